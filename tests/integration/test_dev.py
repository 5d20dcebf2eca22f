"""``make run`` is ``flask videoconf dev``: the first thing that anybody tries."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from dotenv import dotenv_values

from tests.support.servers import GunicornServer


@contextmanager
def servers_in(folder: Path) -> Iterator[Callable[..., GunicornServer]]:
    """Give a function that runs the command in a folder, or in what it left there, and returns it serving."""
    started: list[GunicornServer] = []

    def start(**environment: str) -> GunicornServer:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log_path = folder / f"dev-{len(started)}.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", "videoconf.app", "videoconf", "dev", "--port", str(port)],
                cwd=folder,
                env={**os.environ, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        prefix = environment.get("VIDEOCONF_PATH_PREFIX", "")
        server = GunicornServer(f"http://127.0.0.1:{port}{prefix}", process, log_path)
        started.append(server)
        server.wait_until_up()
        return server

    try:
        yield start
    finally:
        for server in started:
            server.close()


@pytest.fixture
def dev_server(memory_folder: Path) -> Iterator[Callable[..., GunicornServer]]:
    """Give a function that runs the command in an empty folder of this test's own."""
    with servers_in(memory_folder) as start:
        yield start


@dataclass(frozen=True)
class Shared:
    """One server with all that it chooses by itself, for the tests that change none of it."""

    server: GunicornServer
    folder: Path

    @property
    def token(self) -> str:
        return (self.folder / "instance/dev-token").read_text()


@pytest.fixture(scope="module")
def shared(make_memory_folder: Callable[[], Path]) -> Iterator[Shared]:
    folder = make_memory_folder()
    with servers_in(folder) as start:
        yield Shared(start(), folder)


def run_shell(line: str) -> str:
    return subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True, timeout=30).stdout


def test_the_printed_lines_work_when_pasted(shared: Shared) -> None:
    server = shared.server
    curl, join = re.findall(r"^ +(curl .*)$", server.log, re.MULTILINE)
    assert re.fullmatch(r'"[\w-]{22,}"', run_shell(curl).strip())
    assert "<title>" in run_shell(f"curl -sS {server.url}/docs")
    assert f"bearer token   {shared.token}\n" in server.log
    (act,) = re.findall(r"^ +(\S+ --env-file .* fake) --help$", server.log, re.MULTILINE)
    assert "not a join token" in run_shell(join)
    assert "Session " in run_shell(f"{act} list"), "the other process must see the meeting's room"


def test_files_with_secrets_are_private(shared: Shared) -> None:
    modes = {path.name: path.stat().st_mode & 0o077 for path in (shared.folder / "instance").iterdir()}
    assert {"dev-token", "dev.env", "videoconf.sqlite"} <= modes.keys()
    assert set(modes.values()) == {0}


def test_second_run_continues_with_data_of_the_first(
    dev_server: Callable[..., GunicornServer], memory_folder: Path
) -> None:
    first = dev_server()
    authorization = f"Authorization: Bearer {(memory_folder / 'instance' / 'dev-token').read_text()}"
    meeting = run_shell(f"curl -sS -X POST {first.url}/session -H '{authorization}'").strip().strip('"')
    first.terminate()
    second = dev_server()
    assert meeting in run_shell(f"curl -sS {second.url}/session/{meeting} -H '{authorization}'")


def test_variables_of_the_environment_win(dev_server: Callable[..., GunicornServer], memory_folder: Path) -> None:
    dev_server(VIDEOCONF_DATABASE_URL=f"sqlite:///{memory_folder / 'mine.sqlite'}")
    assert (memory_folder / "mine.sqlite").exists()
    assert not (memory_folder / "instance" / "videoconf.sqlite").exists()


def test_another_shell_has_the_settings_in_force(
    dev_server: Callable[..., GunicornServer], memory_folder: Path
) -> None:
    """As with ``make vonage``: what the environment says goes before what the command chooses."""
    secret = "one line\nanother 'line' with a \\ in it"
    server = dev_server(
        VIDEOCONF_PROVIDERS="vonage",
        VIDEOCONF_VONAGE_API_KEY="123456",
        VIDEOCONF_VONAGE_API_SECRET=secret,
        VIDEOCONF_VONAGE_SIGNATURE_SECRETS="s" * 32,
    )
    written = dotenv_values(memory_folder / "instance" / "dev.env")
    assert written["VIDEOCONF_PROVIDERS"] == "vonage"
    assert written["VIDEOCONF_VONAGE_API_SECRET"] == secret
    assert " fake" not in server.log, "its people are not those of this provider"
    (ours,) = re.findall(r"^ +(\S+videoconf --env-file \S+) doctor$", server.log, re.MULTILINE)
    assert "vonage\tVonage Video\tdefault" in run_shell(f"{ours} providers")


def call(shared: Shared, method: str, path: str, body: object = None) -> Any:
    headers = {"Authorization": f"Bearer {shared.token}"}
    answer = urllib3.request(method, shared.server.url + path, headers=headers, json=body, retries=False)
    assert answer.status < 300, answer.data
    return answer.json() if answer.data else None


def act(shared: Shared, name: str, body: object = None, **headers: str) -> urllib3.BaseHTTPResponse:
    port = urlsplit(shared.server.url).port
    assert port is not None
    url = f"http://127.0.0.1:{port + 1}/fake/{name}"
    return urllib3.request("POST" if body is not None else "GET", url, json=body, headers=headers, retries=False)


def eventually(read: Callable[[], Any], wanted: object, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while (found := read()) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_storage_credentials_are_accepted(shared: Shared) -> None:
    call(shared, "PUT", "/archives/storage-target", {"name": "MEMORY", "area": "a", "password": "any"})
    call(shared, "DELETE", "/archives/storage-target")


def test_recording_finishes_by_itself_and_downloads(shared: Shared) -> None:
    link = call(shared, "POST", "/session")
    token = call(shared, "POST", f"/session/{link}/token")["token"]
    assert act(shared, "join", {"token": token}).status == 200
    archive = call(shared, "POST", f"/session/{link}/archives")["id"]
    time.sleep(1.1)  # the shortest recording that has bytes
    call(shared, "POST", f"/archives/{archive}/stop")
    eventually(lambda: call(shared, "GET", f"/archives/{archive}")["status"], "available")
    url = call(shared, "GET", f"/archives/{archive}/download")["url"]
    answer = urllib3.request("GET", url, retries=False)
    assert answer.status == 200
    assert len(answer.data) == call(shared, "GET", f"/archives/{archive}")["sizeBytes"] > 0


def test_people_act_over_http(shared: Shared) -> None:
    link = call(shared, "POST", "/session")
    issued = call(shared, "POST", f"/session/{link}/token", {"attendee": "u-7"})
    connection = act(shared, "join", {"token": issued["token"]}).json()["connection"]
    (attendee,) = call(shared, "GET", f"/session/{link}/attendees")
    assert (attendee["attendee"], attendee["active"]) == ("u-7", True)
    assert act(shared, "publish", {"connection": connection}).status == 200
    archive = act(shared, "record", {"session": issued["sessionId"]}).json()["archive"]
    assert call(shared, "GET", f"/archives/{archive}")["status"] == "started"
    assert act(shared, "archive", {"archive": archive, "status": "failed"}).json()["status"] == "failed"
    assert call(shared, "GET", f"/archives/{archive}")["status"] == "failed"
    assert act(shared, "unpublish", {"connection": connection}).status == 200
    assert act(shared, "leave", {"connection": connection}).status == 200
    (attendee,) = call(shared, "GET", f"/session/{link}/attendees")
    assert attendee["active"] is False
    states = {one["session"]: one for one in act(shared, "state").json()["sessions"]}
    assert states[issued["sessionId"]]["connections"] == []


def test_moderation_reaches_the_service_by_itself(shared: Shared) -> None:
    link = call(shared, "POST", "/session")
    token = call(shared, "POST", f"/session/{link}/token")["token"]
    connection = act(shared, "join", {"token": token}).json()["connection"]
    call(shared, "DELETE", f"/session/{link}/attendees/{connection}")
    eventually(lambda: [one["active"] for one in call(shared, "GET", f"/session/{link}/attendees")], [False])


@pytest.mark.parametrize(
    ("name", "body", "headers", "status"),
    [
        ("leave", {}, {}, 422),
        ("leave", {"connection": "unknown"}, {}, 404),
        ("leave", ["unknown"], {}, 422),
        ("archive", {"archive": "x", "status": "no-status"}, {}, 422),
        ("join", {"token": "forged"}, {}, 422),
        ("dance", {}, {}, 404),
        ("join", {"token": "x"}, {"Origin": "https://elsewhere.example"}, 403),
        ("join", {"token": "x"}, {"Host": "elsewhere.example"}, 403),
    ],
)
def test_wrong_act_is_refused(shared: Shared, name: str, body: object, headers: dict[str, str], status: int) -> None:
    assert act(shared, name, body, **headers).status == status


def test_port_in_use_is_reported_before_any_change(shared: Shared) -> None:
    port = urlsplit(shared.server.url).port
    made = (shared.folder / "instance" / "dev.env").read_text()
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "videoconf.app", "videoconf", "dev", f"--port={port}"],
        cwd=shared.folder,
        env={**os.environ, "VIDEOCONF_TOKEN_TTL_SECONDS": "60"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"Port {port} " in done.stderr
    assert "PORT=" in done.stderr
    assert (shared.folder / "instance" / "dev.env").read_text() == made


def test_the_fake_reaches_a_service_below_a_path(
    dev_server: Callable[..., GunicornServer], memory_folder: Path
) -> None:
    server = dev_server(VIDEOCONF_PATH_PREFIX="/video")
    authorization = f"Authorization: Bearer {(memory_folder / 'instance' / 'dev-token').read_text()}"
    meeting = run_shell(f"curl -sS -X POST {server.url}/session -H '{authorization}'").strip().strip('"')
    given = run_shell(f"curl -sS -X POST {server.url}/session/{meeting}/token -H '{authorization}'")
    (act,) = re.findall(r"^ +(\S+ --env-file .* fake) --help$", server.log, re.MULTILINE)
    run_shell(f"{act} join {json.loads(given)['token']}")
    run_shell(f"{act} deliver")
    listed = json.loads(run_shell(f"curl -sS {server.url}/session/{meeting}/attendees -H '{authorization}'"))
    assert [attendee["isDeleted"] for attendee in listed] == [False]


def test_invalid_setting_is_reported_without_a_traceback(dev_server: Callable[..., GunicornServer]) -> None:
    with pytest.raises(AssertionError, match="VIDEOCONF_JWT_SECRETS") as told:
        dev_server(VIDEOCONF_JWT_SECRETS="short")
    assert "Traceback" not in str(told.value)


def test_ctrl_c_stops_every_process(dev_server: Callable[..., GunicornServer]) -> None:
    server = dev_server()
    os.killpg(server.process.pid, signal.SIGINT)  # as a terminal does, to the workers too
    assert server.process.wait(20) == 0
    while is_any_alive(server.process.pid):  # until the test's time is up
        time.sleep(0.05)


def is_any_alive(process_group: int) -> bool:
    try:
        os.killpg(process_group, 0)
    except ProcessLookupError:
        return False
    return True
