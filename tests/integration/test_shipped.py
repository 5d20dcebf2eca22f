"""What is shipped works by itself: the wheel serves alone, and a third party's provider is written by the guide.

All of it outside the tree, in a fresh environment with the built wheel, as whoever has nothing else would do it. The
provider is begun with the template, written by the guide, built, installed, and serves meetings.
"""

import hashlib
import hmac
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import venv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from tests.support.servers import GunicornServer, start_gunicorn
from tests.support.service import Caller, over_http
from tests.support.settings import JWT_SECRET
from tests.third_party.guide import steps
from videoconf import __version__
from videoconf.testing import FaultyServer

ROOT = Path(__file__).parents[2]
SHIPPED = {"videoconf": "videoconf", "migrations": "videoconf_migrations"} | {
    f"plugins/{folder.name}": folder.name for folder in (ROOT / "plugins").glob("videoconf_*") if folder.is_dir()
}
"""The folders of the tree, and what they are called when installed."""
SCENARIO = re.compile(r"^([PWS])-(\d\d) [\w ]+: (.*)$", re.MULTILINE)
WRITTEN_BY_NOBODY = {
    *("P05", "P07", "P10", "P11", "P12", "P14", "P15", "P16", "P17", "P18", "P20", "P21", "P22", "P23", "P24"),
    *("P25", "P26"),
    *("W01", "W02", "W03", "W04", "W05", "W06", "W07", "W08", "W09", "W10", "W11", "W12", "W13"),
}
"""What a new plugin has still to fulfil. The rest is what it is and what it does not declare."""
WEBHOOK_SECRET = "the-secret-of-the-webhooks-at-acme"

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


class Machine:
    """A folder with an environment in it, and nothing of the tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "venv/bin"

    def environment(self, **variables: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in os.environ if not name.startswith(("VIDEOCONF_", "PYTHON"))}
        pip = {
            "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_COMPILE": "0",  # what is imported is compiled then; the SDKs' thousands of files take most of it
        }
        path = f"{self.programs}:{os.environ['PATH']}"
        return {**kept, **pip, "PATH": path, **variables}

    def run(self, script: str, *, fails: bool = False, **variables: str) -> str:
        """Run a script as a reader types it; return what it says."""
        command = ["bash", "-euc", script]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment(**variables), capture_output=True, text=True, check=False
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree without what git ignores: nothing that was built before may help."""
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
    copy = tmp_path_factory.mktemp("wheel") / "source"
    return Path(shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", *ignored)))


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    """The wheel, built from the source distribution, so that the latter is complete too."""
    output = source.parent / "dist"
    command = [sys.executable, "-m", "build", "--outdir", str(output), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (path,) = output.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Machine:
    folder = tmp_path_factory.mktemp("machine")
    venv.create(folder / "venv", with_pip=True)
    made = Machine(folder)
    made.run(f"pip install --quiet '{wheel}'")
    return made


@pytest.fixture(scope="module")
def followed(machine: Machine) -> list[str]:
    """The guide, followed to the letter; what each command said."""
    machine.run("pip install --quiet pytest pytest-timeout")
    said = []
    for step in steps():
        if step.path is not None:
            step.write(machine.folder)
        else:
            said.append(machine.run(step.text, fails=step.fails))
    return said


def test_the_wheel_holds_every_file_of_every_package(source: Path, wheel: Path) -> None:
    expected = {
        f"{package}/{path.relative_to(source / folder).as_posix()}"
        for folder, package in SHIPPED.items()
        for path in (source / folder).rglob("*")
        if path.is_file() and path.suffix != ".md"
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert expected - names == set()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(SHIPPED.values())
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_wheel_alone_upgrades_its_database_and_serves(
    machine: Machine, tmp_path: Path, fake_settings: dict[str, str], headers: Callable[..., dict[str, str]]
) -> None:
    """Before anything else is installed next to it, and in an empty folder."""
    settings = {"VIDEOCONF_PROVIDERS": "fake", "VIDEOCONF_JWT_SECRETS": JWT_SECRET, **fake_settings}
    with serving(machine, tmp_path, **settings) as server:
        with over_http(server.url) as send:
            api = Caller(send, headers())
            assert api.read(api.create())["provider"] == "fake"
            assert api("GET", "/readyz").json["release"] == __version__
            assert api("GET", "/openapi.json").json["info"]["version"] == __version__
        with urllib.request.urlopen(f"{server.url}/docs", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/html")
    assert "videoconf.serving.BalancedWorker" in server.log
    started = [json.loads(line) for line in server.log.splitlines() if "videoconf started" in line]
    assert len(started) == 2, "one line for each process"
    for line in started:
        assert (line["release"], line["role"], line["workers"], line["providers"]) == (
            __version__,
            "server",
            2,
            ["fake"],
        )
        assert (line["database"], line["public_url"]) == ("sqlite", "http://127.0.0.1:8000")
        assert "azure" in line["storage_kinds"]


@contextmanager
def serving(machine: Machine, folder: Path, **settings: str) -> Iterator[GunicornServer]:
    """Upgrade a new database and serve, by what is installed, in a folder of its own; give the server."""
    empty = folder / "empty"
    empty.mkdir()
    settings["VIDEOCONF_DATABASE_URL"] = f"sqlite:///{folder / 'videoconf.sqlite'}"
    machine.run(f"cd '{empty}' && videoconf db upgrade", **settings)
    command = [str(machine.programs / "videoconf"), "serve", "--workers=2"]
    server = start_gunicorn(command, folder / "gunicorn.log", empty, settings)
    try:
        server.wait_until_up()
        yield server
    finally:
        server.close()


def test_new_plugin_fails_exactly_the_unwritten_scenarios(followed: list[str]) -> None:
    said = followed[1]
    failed = {kind + number: message for kind, number, message in SCENARIO.findall(said)}
    assert failed.keys() == WRITTEN_BY_NOBODY, said
    for scenario, message in failed.items():
        if same := re.fullmatch(r"as ([PWS])-(\d\d)", message):
            assert same[1] + same[2] in failed
            continue
        told = re.search(r"(\w+\(\)|samples = )", message) and (
            "NotImplementedError" in message or "written" in message
        )
        assert told, f"{scenario} does not say what to do: {message}"
    assert f"7 scenarios hold, {len(failed)} do not" in said


def test_the_guide_ends_in_a_plugin_that_works(followed: list[str], machine: Machine) -> None:
    assert re.search(r"\d+ passed, \d+ skipped", followed[3]), followed[3]
    assert "failed" not in followed[3]
    written = (machine.folder / "videoconf-acme/videoconf_acme/provider.py").read_text().splitlines()
    assert len(written) < 150, "short enough to be read"


def test_guide_has_every_step() -> None:
    assert [step.path is None for step in steps()].count(True) == 7
    assert len([step for step in steps() if step.path]) == 12


def test_the_guides_storage_target_works_too(followed: list[str], machine: Machine) -> None:
    assert "passed" in followed[6], followed[6]
    assert "failed" not in followed[6]
    said = machine.run(
        "flask --app videoconf.app videoconf openapi", VIDEOCONF_PROVIDERS="fake", VIDEOCONF_STORAGE_KINDS="folder"
    )
    assert '"FOLDER"' in said, "it can be set"


def acme_of(machine: Machine) -> type:
    """The guide's stand-in for the vendor."""
    sys.path.insert(0, str(machine.folder / "videoconf-acme"))
    try:
        path = machine.folder / "videoconf-acme/tests/test_conformance.py"
        spec = importlib.util.spec_from_file_location("acme_conformance", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def test_built_plugin_serves_as_the_default_provider(machine, followed, headers, tmp_path) -> None:
    machine.run("pip uninstall --quiet --yes videoconf-acme")
    machine.run("pip wheel --quiet --no-deps --wheel-dir dist ./videoconf-acme")
    machine.run("pip install --quiet dist/videoconf_acme-*.whl")
    kit = acme_of(machine)
    with FaultyServer() as vendor:
        acme = kit.Acme(vendor)
        settings = {
            "VIDEOCONF_PROVIDERS": "acme",
            "VIDEOCONF_ACME_API_URL": vendor.url(""),
            "VIDEOCONF_ACME_API_KEY": "key",
            "VIDEOCONF_ACME_API_SECRET": kit.SECRET,
            "VIDEOCONF_ACME_WEBHOOK_SECRETS": WEBHOOK_SECRET,
            "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
        }
        with serving(machine, tmp_path, **settings) as server, over_http(server.url) as send:
            live(Caller(send, headers()), acme, server.url)


def live(api: Caller, acme, url: str) -> None:
    """Run a meeting's life."""
    assert api("GET", "/providers").json["items"][0]["key"] == "acme"
    link = api.create()
    assert api.read(link)["provider"] == "acme"
    issued = api.token(link, data="ann", name="Ann")
    connection = acme.enter(issued["token"])

    since = int(time.time())
    person = {"id": connection, "user": "ann", "name": "Ann", "since": since}
    for number, (kind, at) in enumerate((("person.entered", since), ("person.left", since + 1))):
        assert len(api.attendees(link)) == number
        event = {"id": f"ev_{number}", "type": kind, "room": issued["sessionId"], "at": at, "person": person}
        assert post(url, event).status in (200, 204)
    [attendee] = api.attendees(link)
    assert attendee["name"] == "Ann"
    assert post(url, event, secret="another").status == 401

    missing = api("POST", f"/session/{link}/archives", {})
    assert missing.problem == (422, "capability_unsupported")
    assert api("PATCH", f"/session/{link}/end").status == 204
    assert acme.people == {}, "the vendor's room is gone"
    assert api("POST", f"/session/{link}/token", {}).problem == (409, "meeting_ended")


def post(url: str, event: dict, *, secret: str = WEBHOOK_SECRET):
    body, stamp = json.dumps(event).encode(), str(int(time.time()))
    signature = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    with urllib3.PoolManager(retries=False) as pool:
        sent = {"acme-signature": f"{stamp},{signature}"}
        return pool.request("POST", f"{url}/webhooks/acme/session", body=body, headers=sent)
