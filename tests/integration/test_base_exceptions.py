"""A plugin that raises what ends a process ends neither a worker nor a job thread, and fails no other request."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from bench.chaos import moody
from tests.support.servers import start_gunicorn
from tests.support.service import Caller, over_http
from tests.support.settings import FAKE_SETTINGS, JWT_SECRET

ROOT = Path(__file__).parents[2]
ROUNDS = 25


@pytest.fixture
def server(tmp_path, sqlite_database):
    moody.install(tmp_path / "plugins")
    environment = {
        **FAKE_SETTINGS,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path / 'plugins'}",
        "VIDEOCONF_PROVIDERS": "fake,moody",
        "VIDEOCONF_DATABASE_URL": sqlite_database,
        "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
        "VIDEOCONF_ROSTER_SECONDS": "1",
    }
    command = [sys.executable, "-m", "gunicorn", "--workers=1", "wsgi:app"]
    server = start_gunicorn(command, tmp_path / "gunicorn.log", ROOT, environment)
    try:
        server.wait_until_up()
        yield server
    finally:
        server.close()


def workers(server):
    master = server.process.pid
    return Path(f"/proc/{master}/task/{master}/children").read_text().split()


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="this system has no /proc, from which child processes are read"
)
def test_worker_outlives_a_plugin_that_raises_anything(server, headers):
    before = workers(server)
    assert len(before) == 1
    with over_http(server.url) as send:
        api, statuses = Caller(send, headers()), {"made": set(), "token": set(), "end": set(), "webhook": set()}
        for _ in range(ROUNDS):
            made = api("POST", "/session", {"provider": "moody"})
            statuses["made"].add(made.status)
            if made.status == 200:
                link = json.loads(made.body)
                statuses["token"].add(api("POST", f"/session/{link}/token", {}).status)
                statuses["end"].add(api("PATCH", f"/session/{link}/end").status)
            statuses["webhook"].add(send("POST", "/webhooks/moody/session", b"{}", {}).status)
            assert api("POST", "/session", {"provider": "fake"}).status == 200, "another provider's meetings go on"
        assert statuses == {"made": {200, 502}, "token": {200, 502}, "end": {204}, "webhook": {401}}
        give_up_at = time.monotonic() + 20
        while not any(job["kind"] == "end_session" for job in api("GET", "/jobs?state=done").json):
            assert time.monotonic() < give_up_at, "job threads go on"
            time.sleep(0.5)
        ready = send("GET", "/readyz", None, {})
    assert ready.status == 200
    assert "jobs" not in ready.json, "no job thread ended"
    assert workers(server) == before
    assert "Exception in worker process" not in server.log
