"""The receivers of the how-to page take what the service sends, and refuse what it did not sign."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import urllib3

from videoconf.events.signing import new_secret, signed_headers
from videoconf.events.wire import body_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/receive-events.md").read_text()
MODULES = ROOT / "build/receivers/node_modules"
NODE = shutil.which("node")
EVENT = {"id": "evt_1", "type": "meeting.ended", "meetingLink": "pX3", "sequence": 4, "data": {"name": "Änn"}}


def source(name):
    return re.search(rf"<!-- file: {re.escape(name)} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.fixture(params=["flask", "express"])
def command(request, tmp_path):
    """Give the command that runs a receiver of the page."""
    if request.param == "flask":
        (tmp_path / "receiver.py").write_text(source("receiver.py"))
        return [sys.executable, "receiver.py"]
    if NODE is None or not MODULES.exists():
        pytest.skip("needs Node with express and standardwebhooks: make receivers")
    (tmp_path / "receiver.mjs").write_text(source("receiver.mjs"))
    (tmp_path / "node_modules").symlink_to(MODULES)
    return [NODE, "receiver.mjs"]


@pytest.fixture
def secret():
    return new_secret()


@pytest.fixture
def running(command, secret, tmp_path):
    """Run the receiver; give its URL and a function that ends it and returns what it printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "EVENT_SECRET": secret, "PORT": str(port)}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for(port, process)

    def stop():
        process.terminate()
        return process.communicate(timeout=20)[0]

    yield f"http://127.0.0.1:{port}/events", stop
    if process.poll() is None:
        process.kill()
        process.communicate()


def wait_for(port, process):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    process.kill()
    raise AssertionError(process.communicate()[0])


def test_receiver_of_the_page_verifies_and_counts_once(running, secret):
    from datetime import UTC, datetime

    url, stop = running
    body, now = body_of(EVENT), datetime.now(UTC)
    sent = {"Content-Type": "application/json", **signed_headers([new_secret(), secret], "evt_1", body, now)}
    forged = {**sent, **signed_headers([new_secret()], "evt_1", body, now)}
    with urllib3.PoolManager(retries=False, timeout=10) as pool:

        def post(headers, content):
            return pool.request("POST", url, body=content, headers=headers).status

        assert [post(sent, body), post(sent, body)] == [204, 204], "the second is a repetition"
        assert post(forged, body) == 401
        assert post(sent, body.replace(b"pX3", b"pX4")) == 401
    assert stop().count("meeting.ended pX3 4") == 1
