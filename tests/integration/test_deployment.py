"""The deployment files agree with the code and with each other; nginx is really run where it is installed."""

import configparser
import re
import runpy
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.servers import start_gunicorn
from tests.support.service import ON_SQLITE
from tests.support.settings import FAKE_SETTINGS, JWT_SECRET
from videoconf.configuration import declared
from videoconf.settings import Settings
from videoconf_fake.provider import FakeSettings
from videoconf_janus.settings import JanusSettings
from videoconf_vonage.settings import VonageSettings

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


@pytest.fixture
def gunicorn():
    return runpy.run_path(str(ROOT / "gunicorn.conf.py"))


def default(name: str) -> int:
    return int(next(row.default for row in declared(Settings) if row.field == name))


def test_provider_calls_leave_threads_and_connections_free(gunicorn):
    assert gunicorn["threads"] > default("provider_call_slots")
    # Two nodes of two workers, the job worker and an operator's tools, on PostgreSQL's default of 100 connections.
    assert default("database_pool_size") * (2 * 2 + 1) < 100 - 20


def test_every_variable_of_the_compose_file_is_a_setting():
    plugins = [*declared(VonageSettings, "VIDEOCONF_VONAGE_"), *declared(JanusSettings, "VIDEOCONF_JANUS_")]
    plugins += declared(FakeSettings, "VIDEOCONF_FAKE_")
    known = {row.variable for row in [*declared(Settings), *plugins]}
    named = set(re.findall(r"VIDEOCONF_[A-Z_]+", (ROOT / "compose.yaml").read_text()))
    assert named
    assert {name for name in named if name not in known and name.removesuffix("_FILE") not in known} == set()


def test_compose_file_follows_the_specification():
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        ROOT / "compose.yaml",
    ]
    found = subprocess.run(command, check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_compose_file_contains_all_names_it_refers_to():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("secrets", ())) <= compose["secrets"].keys(), name
        given = {**service.get("environment", {})}
        files = {Path(value).name for value in given.values() if value.startswith("/run/secrets/")}
        assert files <= set(service.get("secrets", ())), f"{name} reads secrets that it is not given"
        depends = service.get("depends_on", [])
        for other in depends:
            condition = depends[other]["condition"] if isinstance(depends, dict) else "service_started"
            assert other in services
            assert condition != "service_healthy" or "test" in services[other]["healthcheck"]
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (ROOT / source).exists(), f"{name} mounts {source}"
    upstream = set(re.findall(r"server (\w+):8000", (ROOT / "deploy/nginx.conf").read_text()))
    assert upstream == {name for name in services if name.startswith("node")}


def test_compose_serves_as_a_role_that_owns_nothing():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    owners = {name for name, service in services.items() if "database_owner_url" in service.get("secrets", ())}
    assert owners == {"migrate"}
    roles = (ROOT / "deploy/database-roles.sh").read_text()
    assert set(re.findall(r"CREATE ROLE (\w+) (.*) PASSWORD", roles)) == {
        ("videoconf_owner", "LOGIN"),
        ("videoconf", "LOGIN"),
    }
    assert re.findall(r"GRANT (.*) ON SCHEMA public TO videoconf;", roles) == ["USAGE"]
    assert "audit protect videoconf" in " ".join(services["migrate"]["command"])


def test_stop_timeouts_are_longer_than_the_drain(gunicorn):
    drains = gunicorn["graceful_timeout"]
    graces = re.findall(r"stop_grace_period: (\d+)s", (ROOT / "compose.yaml").read_text())
    assert graces
    assert all(int(seconds) > drains for seconds in graces)
    for name in ("videoconf.service", "videoconf-worker.service"):
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str
        unit.read(ROOT / "deploy" / name)
        assert int(unit["Service"]["TimeoutStopSec"]) > drains
        assert unit["Service"]["User"] == "videoconf"


def test_the_proxy_closes_idle_connections_before_the_nodes_do(gunicorn):
    upstream = re.search(r"upstream nodes \{.*?\n    \}", (ROOT / "deploy/nginx.conf").read_text(), re.DOTALL)
    assert upstream is not None
    kept = re.search(r"keepalive_timeout (\d+)s", upstream[0])
    assert kept is not None
    assert int(kept[1]) < gunicorn["keepalive"]


def test_the_image_has_no_root_and_no_secret():
    text = (ROOT / "Dockerfile").read_text()
    last = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*:", last, re.MULTILINE)
    assert "pip install" not in last
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx-light)")
@ON_SQLITE
def test_nginx_serves_with_a_node_down_and_hides_internal_pages(database_url, tmp_path):
    environment = {
        **FAKE_SETTINGS,
        "VIDEOCONF_PROVIDERS": "fake",
        "VIDEOCONF_DATABASE_URL": database_url,
        "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
        "VIDEOCONF_EMBEDDED_WORKERS": "0",
        "VIDEOCONF_TRUSTED_PROXIES": "1",
    }
    node = start_gunicorn([sys.executable, "-m", "gunicorn", "wsgi:app"], tmp_path / "node.log", ROOT, environment)
    with socket.socket() as down, socket.socket() as front:
        down.bind(("127.0.0.1", 0))  # bound and not listening: whoever connects is refused
        front.bind(("127.0.0.1", 0))
        port = front.getsockname()[1]
        dead = f"127.0.0.1:{down.getsockname()[1]}"
        front.close()
        text = (ROOT / "deploy/nginx.conf").read_text()
        text = text.replace("node1:8000", dead).replace("node2:8000", node.url.removeprefix("http://"))
        text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace(" /tmp/", f" {tmp_path}/")
        file = tmp_path / "nginx.conf"
        file.write_text(text)
        proxy = None
        try:
            node.wait_until_up()
            subprocess.run([NGINX, "-t", "-q", "-c", file], check=True)
            proxy = subprocess.Popen([NGINX, "-c", file, "-g", "daemon off;"])
            url = f"http://127.0.0.1:{port}"
            wait_until_up(url)
            for _ in range(20):
                assert urlopen(f"{url}/healthz", timeout=5).status == 200
            assert urlopen(f"{node.url}/readyz", timeout=5).status == 200
            for path in ("/metrics", "/readyz"):
                with pytest.raises(HTTPError) as refused:
                    urlopen(f"{url}{path}", timeout=5)
                assert refused.value.code == 404
                refused.value.close()
            slow_bodies_hold_no_thread(port, url)
        finally:
            if proxy is not None:
                proxy.terminate()
                proxy.wait(10)
            node.close()


@contextmanager
def proxy_before(nodes: tuple[str, str], folder: Path) -> Iterator[str]:
    """Run nginx as deployed, before two nodes (``host:port``); give its URL. Its error log is ``nginx.log``."""
    with socket.socket() as front:
        front.bind(("127.0.0.1", 0))
        port = front.getsockname()[1]
    text = (ROOT / "deploy/nginx.conf").read_text()
    text = text.replace("node1:8000", nodes[0]).replace("node2:8000", nodes[1])
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace(" /tmp/", f" {folder}/")
    file = folder / "nginx.conf"
    file.write_text(text)
    with (folder / "nginx.log").open("wb") as log:
        proxy = subprocess.Popen([str(NGINX), "-c", file, "-g", "daemon off;"], stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not accepts(port):
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        proxy.terminate()
        proxy.wait(10)


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def status_of(url: str, **how: Any) -> int:
    try:
        with urlopen(Request(url, **how), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as refused:
        with refused:
            return refused.code


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx-light)")
@ON_SQLITE
def test_nginx_hides_internal_pages_below_a_prefix(gunicorn_server, tmp_path):
    node = gunicorn_server(VIDEOCONF_PATH_PREFIX="/video", ready=False)
    with proxy_before((node.url.removeprefix("http://"),) * 2, tmp_path) as url:
        deadline = time.monotonic() + 20
        while status_of(f"{url}/video/healthz") != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        for hidden in ("/video/readyz", "/video/metrics", "/video/%72eadyz", "//video//readyz", "/x/../video/readyz"):
            assert status_of(url + hidden) == 404, hidden


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx-light)")
def test_nginx_logs_no_token_of_a_webhook(tmp_path):
    with socket.socket() as down:
        down.bind(("127.0.0.1", 0))  # bound and not listening: whoever connects is refused
        dead = f"127.0.0.1:{down.getsockname()[1]}"
        with proxy_before((dead, dead), tmp_path) as url:
            for path in ("/webhooks/vonage/session?token=s3cr3t", "/video/webhooks/vonage/archive/s3cr3t"):
                assert status_of(url + path, data=b"{}", method="POST") == 502
            assert status_of(f"{url}/session") == 502
    log = (tmp_path / "nginx.log").read_text()
    assert "/session HTTP" in log  # other failures are logged
    assert "s3cr3t" not in log


def test_temporary_files_of_containers_have_a_bound():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    mounts = {name: service["tmpfs"] for name, service in services.items() if "tmpfs" in service}
    assert {"node1", "nginx"} <= mounts.keys()
    assert all(re.search(r":(.*,)?size=\d+m", mount) for found in mounts.values() for mount in found), mounts


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx-light)")
@ON_SQLITE
def test_tls_ends_at_nginx_as_its_comment_says(gunicorn_server, headers, tmp_path):
    node = gunicorn_server(VIDEOCONF_TRUSTED_PROXIES="1")
    certificate, key = self_signed(tmp_path)
    with socket.socket() as front:
        front.bind(("127.0.0.1", 0))
        port = front.getsockname()[1]
    text = (ROOT / "deploy/nginx.conf").read_text().replace(" /tmp/", f" {tmp_path}/")
    text = re.sub(r"node[12]:8000", node.url.removeprefix("http://"), text)
    secure = f"listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};"
    file = tmp_path / "nginx.conf"
    file.write_text(text.replace("listen 8080;", secure))
    subprocess.run([NGINX, "-t", "-q", "-c", file], check=True)
    proxy = subprocess.Popen([NGINX, "-c", file, "-g", "daemon off;"])
    trusting = ssl.create_default_context(cafile=certificate)
    try:
        url = f"https://localhost:{port}"
        deadline = time.monotonic() + 20
        while not answers(url, context=trusting):
            assert time.monotonic() < deadline, "nginx does not answer"
            time.sleep(0.05)
        request = Request(f"{url}/session", b"{}", {**headers(), "Content-Type": "application/json"}, method="POST")
        with urlopen(request, timeout=5, context=trusting) as created:
            assert created.status == 200
        with pytest.raises(URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urlopen(f"{url}/healthz", timeout=5)
        with pytest.raises(HTTPError, match="400"):  # nginx answers who speaks HTTP to it
            urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5)
    finally:
        proxy.terminate()
        proxy.wait(10)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost; return its file, and that of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def slow_bodies_hold_no_thread(port: int, url: str) -> None:
    """Send more requests that never end than the node has threads; others are still answered."""
    head = b"POST /webhooks/session HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
    try:
        for one in slow:
            one.sendall(head)
        assert urlopen(f"{url}/healthz", timeout=5).status == 200
    finally:
        for one in slow:
            one.close()


def wait_until_up(url: str) -> None:
    deadline = time.monotonic() + 20
    while not answers(url):
        assert time.monotonic() < deadline, "nginx does not answer"
        time.sleep(0.05)


def answers(url: str, **how: Any) -> bool:
    try:
        return urlopen(f"{url}/healthz", timeout=5, **how).status == 200
    except OSError:
        return False


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", ["videoconf.service", "videoconf-worker.service"])
def test_systemd_accepts_the_units(name, tmp_path):
    unit = (ROOT / "deploy" / name).read_text().replace("ExecStart=/opt/videoconf/bin/", "ExecStart=/bin/true ")
    (tmp_path / name).write_text(unit)
    found = subprocess.run(["systemd-analyze", "verify", tmp_path / name], capture_output=True, text=True, check=False)
    assert name not in found.stderr, found.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_settings_for_janus(tmp_path):
    settings = (ROOT / "deploy/janus/janus.conf").read_text().replace("ExecStart=/usr/bin/janus", "ExecStart=/bin/true")
    (tmp_path / "janus.service").write_text(f"[Unit]\nDescription=Janus\n{settings}")
    command = ["systemd-analyze", "verify", tmp_path / "janus.service"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "janus.service" not in found.stderr, found.stderr
