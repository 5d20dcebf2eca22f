"""The commands that the README prints, run as they are printed but for port and place."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import GunicornServer
from tests.support.settings import FAKE_SETTINGS, JWT_SECRET

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
BLOCKS = {
    heading: block
    for heading, section in re.findall(
        r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    for block in re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
}
TESTED_ELSEWHERE = {"Run it": "tests/integration/test_make_run.py, and this run"}


def test_no_block_escapes():
    assert BLOCKS.keys() == {"A meeting in curl", "Deploying"} | TESTED_ELSEWHERE.keys()


def start(command: str, folder: Path, url: str, **environment: str) -> GunicornServer:
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=folder,
            env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = GunicornServer(url, process, log)
    try:
        server.wait_until_up()
    except BaseException:
        server.close()
        raise
    return server


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_meeting_in_curl(tmp_path, port):
    url = f"http://127.0.0.1:{port}"
    server = start(f"flask --app videoconf.app videoconf dev --port {port}", tmp_path, url)
    try:
        block = BLOCKS["A meeting in curl"].replace("http://127.0.0.1:8000", url).replace(".venv/bin", str(PROGRAMS))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        server.close()
    assert done.returncode == 0, done.stdout + done.stderr
    joined, attendees = done.stdout.index("joined."), done.stdout.index('"attendee":"u-7"')
    assert joined < attendees
    assert '"name":"Ada"' in done.stdout
    assert done.stdout.rstrip().endswith("204")


def test_deploying(tmp_path, port):
    upgrade, doctor, serve = BLOCKS["Deploying"].strip().splitlines()
    for name in ("wsgi.py", "gunicorn.conf.py"):
        shutil.copy(ROOT / name, tmp_path)
    settings = {
        **FAKE_SETTINGS,
        "VIDEOCONF_PROVIDERS": "fake",
        "VIDEOCONF_DATABASE_URL": f"sqlite:///{tmp_path / 'videoconf.sqlite'}",
        "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
    }
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **settings}
    for command in (upgrade, doctor):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    arguments = f"--bind=127.0.0.1:{port} --no-control-socket"
    server = start(serve, tmp_path, f"http://127.0.0.1:{port}", **settings, GUNICORN_CMD_ARGS=arguments)
    server.close()
