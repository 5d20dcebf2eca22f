"""What deploy/janus/configure.sh makes of the service's settings."""

import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import textwrap
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.plugins.janus.client import JanusClient
from tests.plugins.janus.conftest import issue
from tests.plugins.janus.server import CONFIGURATION, SECRETS, JanusServer, configure, needs_janus
from videoconf.configuration import load
from videoconf.providers import SessionRequest
from videoconf.testing import FaultyServer
from videoconf.testing.faulty_server import reply
from videoconf_janus.provider import CAPABILITIES
from videoconf_janus.settings import JanusSettings

ROOT = Path(__file__).parents[3]
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
SETTINGS = {
    **{
        f"VIDEOCONF_JANUS_{name}": SECRETS[name]
        for name in ("SERVER_NAME", "ADMIN_SECRET", "ADMIN_KEY", "TOKEN_SECRET")
    },
    "VIDEOCONF_JANUS_EVENT_PASSWORDS": "password-that-is-sent,password-of-before",
    "VIDEOCONF_PUBLIC_URL": "https://meet.example.com/",
}


def test_settings_become_a_configuration(tmp_path):
    folder = tmp_path / "etc"
    configure(folder, SETTINGS)
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in CONFIGURATION.glob("*.jcfg"))
    written = "".join(path.read_text() for path in folder.iterdir())
    assert "@" not in written.replace("@NAME@", "")
    assert 'backend = "https://meet.example.com/webhooks/janus/session"' in written
    assert "password-that-is-sent" in written
    assert "password-of-before" not in written
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_secret_may_come_from_a_file(tmp_path):
    (tmp_path / "secret").write_text("admin-secret-of-a-file\n")
    settings = {name: value for name, value in SETTINGS.items() if name != "VIDEOCONF_JANUS_ADMIN_SECRET"}
    configure(tmp_path / "etc", {**settings, "VIDEOCONF_JANUS_ADMIN_SECRET_FILE": str(tmp_path / "secret")})
    assert 'admin_secret = "admin-secret-of-a-file"' in (tmp_path / "etc/janus.jcfg").read_text()


def test_address_to_listen_at_is_a_setting(tmp_path):
    configure(tmp_path / "etc", {**SETTINGS, "JANUS_LISTEN": "0.0.0.0"})
    assert 'admin_ip = "0.0.0.0"' in (tmp_path / "etc/janus.transport.http.jcfg").read_text()
    assert 'ws_ip = "0.0.0.0"' in (tmp_path / "etc/janus.transport.websockets.jcfg").read_text()


@needs_janus
def test_janus_starts_behind_nat(tmp_path):
    nat = {"JANUS_PUBLIC_ADDRESS": "203.0.113.7", "JANUS_RTP_PORTS": "20000-20200"}
    server = JanusServer(tmp_path / "etc", **nat)
    written = (server.folder / "janus.jcfg").read_text()
    for line in ("ice_lite = false", 'nat_1_1_mapping = "203.0.113.7"', 'rtp_port_range = "20000-20200"'):
        assert re.search(f"^[^#]*{line}", written, re.MULTILINE)
    server.start()
    assert "203.0.113.7" in server.log_path.read_text()
    server.close()


def test_documented_steps_configure_service_and_janus(tmp_path, monkeypatch):
    page = (ROOT / "docs/how-to/janus.md").read_text()
    ini, command = (
        re.search(rf"```{language}\n(.*?)```", page.split("## Configure")[1], re.DOTALL)[1]
        for language in ("ini", "sh")
    )
    for line in textwrap.dedent(ini).splitlines():
        monkeypatch.setenv(*line.partition("=")[::2])
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    subprocess.run(["sh", "-euc", textwrap.dedent(command)], cwd=tmp_path, check=True)
    assert "janus-1" in (tmp_path / "janus-configuration/janus.jcfg").read_text()
    assert load(JanusSettings, "VIDEOCONF_JANUS_").server_name == "janus-1"


@pytest.mark.parametrize("name", ["VIDEOCONF_JANUS_ADMIN_KEY", "VIDEOCONF_JANUS_TOKEN_SECRET", "VIDEOCONF_PUBLIC_URL"])
@pytest.mark.parametrize("value", ["", 'quote"', "pipe|", "two\nlines", "back\\slash", "a&b"])
def test_missing_or_odd_value_is_refused(tmp_path, name, value):
    done = subprocess.run(
        [CONFIGURATION / "configure.sh", tmp_path / "etc"],
        env={"PATH": os.environ["PATH"], **SETTINGS, name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert name in done.stderr
    assert not value or value not in done.stderr
    assert not (tmp_path / "etc").exists()


@needs_janus
def test_new_settings_keep_stored_rooms(tmp_path, make_provider):
    server = JanusServer(tmp_path / "etc")
    server.start()
    provider = make_provider(server)
    session = provider.ensure_session(SessionRequest("m1"))
    server.terminate()
    new_key = "another-admin-key-of-videoroom"
    configure(server.folder, {**SETTINGS, "VIDEOCONF_JANUS_ADMIN_KEY": new_key})
    written = (server.folder / "janus.plugin.videoroom.jcfg").read_text()
    assert new_key in written
    assert "room-m1" in written
    assert SECRETS["ADMIN_KEY"] not in written
    server.close()
    assert session.session_id == "m1"


# --- delivery through nginx -----------------------------------------------------------------------------------------


@pytest.fixture
def node():
    with FaultyServer() as node:
        yield node


@pytest.fixture
def proxied(node, tmp_path):
    """Give the URL of nginx in front of a node, with the configuration of deploy/nginx.conf."""
    if NGINX is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    with FaultyServer() as free:
        port = free.url("").rpartition(":")[2]
    address = node.url("").removeprefix("http://")
    text = (ROOT / "deploy/nginx.conf").read_text().replace("node1:8000", address).replace("node2:8000", address)
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace(" /tmp/", f" {tmp_path}/")
    (tmp_path / "nginx.conf").write_text(text)
    node.on("/healthz", reply(200))
    process = subprocess.Popen([NGINX, "-c", tmp_path / "nginx.conf", "-g", "daemon off;"])
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                urlopen(f"{url}/healthz", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "nginx does not answer"
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


class Statuses:
    """Answer webhooks with these statuses, then with 200; gather what came."""

    def __init__(self, *statuses):
        self.bodies = []
        self._statuses = list(statuses)

    def __call__(self, exchange):
        self.bodies.append(json.loads(exchange.request.body))
        return reply(self._statuses.pop(0) if self._statuses else 200)(exchange)

    def wait_for(self, event):
        """Wait until an event has come, in whatever way it was answered."""
        deadline = time.monotonic() + 10
        while not any(body["event"].get("data", {}).get("event") == event for body in self.bodies):
            assert time.monotonic() < deadline, self.bodies
            time.sleep(0.05)


@pytest.fixture
def visit(tmp_path, make_provider):
    """Give a function that lets a participant join and leave at a Janus that sends its events to a URL."""
    servers = []

    def visit(url):
        servers.append(JanusServer(tmp_path / "etc", event_url=url))
        servers[0].start()
        provider = make_provider(servers[0])
        join = issue(provider, provider.ensure_session(SessionRequest("m1")))
        with contextlib.closing(JanusClient.of(servers[0].client_url, join)) as client:
            client.join()

    yield visit
    for server in servers:
        server.close()


@needs_janus
def test_nginx_repeats_a_refused_event(node, proxied, visit):
    statuses = Statuses(503, 500, 429)
    node.on("/webhooks/janus/session", statuses)
    visit(proxied)
    statuses.wait_for("leaving")
    first, *others = statuses.bodies
    assert others[:3] == [first] * 3
    assert first not in others[3:]


@needs_janus
def test_refused_event_is_lost_without_nginx(node, visit):
    """So the provider's ``repeats_refused_webhooks`` is False."""
    statuses = Statuses(503, 500, 429)
    node.on("/webhooks/janus/session", statuses)
    visit(node.url(""))
    statuses.wait_for("leaving")
    assert all(statuses.bodies.count(body) == 1 for body in statuses.bodies)
    assert not CAPABILITIES.repeats_refused_webhooks
