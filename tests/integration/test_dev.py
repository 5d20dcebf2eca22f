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
from pathlib import Path

import pytest

from tests.servers import GunicornServer


@pytest.fixture
def dev_server(tmp_path: Path) -> Iterator[Callable[..., GunicornServer]]:
    """Give a function that runs the command in an empty folder, or in what it left there, and returns it serving."""
    started: list[GunicornServer] = []

    def start(**environment: str) -> GunicornServer:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log_path = tmp_path / f"dev-{len(started)}.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", "videoconf.app", "videoconf", "dev", "--port", str(port)],
                cwd=tmp_path,
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

    yield start
    for server in started:
        server.close()


def run_shell(line: str) -> str:
    return subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True, timeout=30).stdout


def test_the_printed_lines_work_when_pasted(dev_server: Callable[..., GunicornServer], tmp_path: Path) -> None:
    server = dev_server()
    (curl,) = re.findall(r"^ +(curl .*)$", server.log, re.MULTILINE)
    assert re.fullmatch(r'"[\w-]{22,}"', run_shell(curl).strip())
    assert "<title>" in run_shell(f"curl -sS {server.url}/docs")
    token = (tmp_path / "instance" / "dev-token").read_text()
    assert f"bearer token   {token}\n" in server.log
    (act,) = re.findall(r"^ +(\S+ --env-file .* fake) --help$", server.log, re.MULTILINE)
    assert "Session " in run_shell(f"{act} list"), "the other process must see the meeting's room"


def test_what_holds_secrets_is_private(dev_server: Callable[..., GunicornServer], tmp_path: Path) -> None:
    dev_server()
    modes = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "instance").iterdir()}
    assert {"dev-token", "dev.env", "videoconf.sqlite"} <= modes.keys()
    assert set(modes.values()) == {0}


def test_a_second_run_goes_on_with_what_the_first_left(
    dev_server: Callable[..., GunicornServer], tmp_path: Path
) -> None:
    first = dev_server()
    authorization = f"Authorization: Bearer {(tmp_path / 'instance' / 'dev-token').read_text()}"
    meeting = run_shell(f"curl -sS -X POST {first.url}/session -H '{authorization}'").strip().strip('"')
    first.terminate()
    second = dev_server()
    assert meeting in run_shell(f"curl -sS {second.url}/session/{meeting} -H '{authorization}'")


def test_variables_of_the_environment_win(dev_server: Callable[..., GunicornServer], tmp_path: Path) -> None:
    dev_server(VIDEOCONF_DATABASE_URL=f"sqlite:///{tmp_path / 'mine.sqlite'}")
    assert (tmp_path / "mine.sqlite").exists()
    assert not (tmp_path / "instance" / "videoconf.sqlite").exists()


def test_the_fake_reaches_a_service_below_a_path(dev_server: Callable[..., GunicornServer], tmp_path: Path) -> None:
    server = dev_server(VIDEOCONF_PATH_PREFIX="/video")
    authorization = f"Authorization: Bearer {(tmp_path / 'instance' / 'dev-token').read_text()}"
    meeting = run_shell(f"curl -sS -X POST {server.url}/session -H '{authorization}'").strip().strip('"')
    given = run_shell(f"curl -sS -X POST {server.url}/session/{meeting}/token -H '{authorization}'")
    (act,) = re.findall(r"^ +(\S+ --env-file .* fake) --help$", server.log, re.MULTILINE)
    run_shell(f"{act} join {json.loads(given)['token']}")
    run_shell(f"{act} deliver")
    listed = json.loads(run_shell(f"curl -sS {server.url}/session/{meeting}/attendees -H '{authorization}'"))
    assert [attendee["isDeleted"] for attendee in listed] == [False]


def test_what_forbids_serving_is_told_without_a_trace(dev_server: Callable[..., GunicornServer]) -> None:
    with pytest.raises(AssertionError, match="VIDEOCONF_JWT_SECRETS") as told:
        dev_server(VIDEOCONF_JWT_SECRETS="short")
    assert "Traceback" not in str(told.value)


def test_ctrl_c_stops_it_whole(dev_server: Callable[..., GunicornServer]) -> None:
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
