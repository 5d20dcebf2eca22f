"""``make run``, as a newcomer types it: it serves, the printed line works, Ctrl-C ends it."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.servers import GunicornServer

ROOT = Path(__file__).parents[2]
CPU_SECONDS = 8.0
"""What ``make run`` may cost from its start to its stop. On a busy machine the wall clock says little."""

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("make", "git", "curl", "bash"))) or not (ROOT / ".git").exists(),
    reason="needs make, git, curl, bash and a checkout",
)


@pytest.fixture
def checkout(tmp_path):
    """Copy what is under version control, or would be, with an environment beside it in which all is installed."""
    folder = tmp_path / "a checkout"
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv" / "installed").touch()  # newer than what it was made from: make installs nothing
    return folder


@pytest.fixture
def make_run(checkout, tmp_path):
    """Give a function that types ``make run`` and returns the server once it serves."""
    started = []

    def run():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log_path = tmp_path / f"make-{len(started)}.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                ["make", "run", f"PORT={port}"],
                cwd=checkout,
                env={name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = GunicornServer(f"http://127.0.0.1:{port}", process, log_path)
        started.append(server)
        server.wait_until_up()
        return server

    yield run
    for server in started:
        if group_is_alive(server.process.pid):
            server.kill()
        print(f"--- {server.log_path.name}\n{server.log}")


def press_ctrl_c(server):
    """Do what a terminal does: the signal goes to make, to gunicorn and to its workers alike."""
    os.killpg(server.process.pid, signal.SIGINT)
    server.process.wait(30)


def cpu_seconds_of_children():
    """Return the processor time of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def group_is_alive(process_group):
    try:
        os.killpg(process_group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("goal", [("vonage",), ("demo", "PROVIDER=vonage")])
def test_goal_that_needs_the_tests_tools_installs_them(checkout, goal):
    done = subprocess.run(["make", "--dry-run", *goal], cwd=checkout, check=True, capture_output=True, text=True)
    assert "'.[test,check]'" in done.stdout


def test_make_run_serves_answers_and_stops_every_process(make_run, tmp_path):
    before = cpu_seconds_of_children()
    server = make_run()
    curl, _join = re.findall(r"^ +(curl .*)$", server.log, re.MULTILINE)
    pasted = subprocess.run(["bash", "-c", curl], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert re.fullmatch(r'"[\w-]{22,}"', pasted.stdout.strip()), pasted

    press_ctrl_c(server)
    deadline = time.monotonic() + 10
    while group_is_alive(server.process.pid):
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.02)
    assert not server.is_up()
    assert "Traceback" not in server.log
    assert cpu_seconds_of_children() - before < CPU_SECONDS
