"""What a server does not load: it is memory of each process, and time of each start."""

import json
import os
import subprocess
import sys

import pytest
from alembic.script import ScriptDirectory
from videoconf_migrations import FOLDER, revisions

from bench.run import ROOT
from tests.support.service import ON_SQLITE
from tests.support.settings import FAKE_SETTINGS, JWT_SECRET

NOT_FOR_SERVERS = {"alembic", "boto3", "azure", "flask_limiter", "flask_migrate", "opentok", "rich", "structlog"}

REQUESTS = """
import json, sys
from videoconf.app import create_app
from videoconf.api.keys import mint_token
from videoconf.api.permissions import Permission
from videoconf.api.services import services
app = create_app(serving=True)
client = app.test_client()
client.get("/healthz")  # imports what the test's client needs
token = mint_token(services(app).settings, subject="s", permissions=list(Permission), ttl_seconds=60)
before = set(sys.modules)
headers = {"Authorization": f"Bearer {token}"}
meeting = client.post("/session", json={}, headers=headers)
link = meeting.json
answers = [
    meeting,
    client.post(f"/session/{link}/token", json={}, headers=headers),
    client.get(f"/session/{link}", headers=headers),
    client.patch(f"/session/{link}", json={"extId": "a"}, headers=headers),
    client.get(f"/session/{link}/attendees", headers=headers),
    client.get("/session", headers=headers),
    client.get("/audit", headers=headers),
    client.get("/nowhere", headers=headers),
    client.get("/session"),
    client.post("/webhooks/fake/session", data=b"{}"),
]
with app.app_context():
    queue = services(app).jobs
    for kind, work in queue.works.items():
        if work.every_seconds:
            assert queue.run_now(kind) == 1, kind
print(json.dumps([[answer.status_code for answer in answers], sorted(set(sys.modules) - before)]))
"""


@pytest.fixture
def run(database_url, tmp_path):
    """Give a function that runs code where the fake provider and a database are configured."""

    def run(code, cwd=ROOT):
        settings = {
            **FAKE_SETTINGS,
            "VIDEOCONF_PROVIDERS": "fake",
            "VIDEOCONF_FAKE_STATE": str(tmp_path / "fake.sqlite"),
            "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
            "VIDEOCONF_EMBEDDED_WORKERS": "0",
            "VIDEOCONF_DATABASE_URL": database_url,
        }
        others = {name: value for name, value in os.environ.items() if not name.startswith("VIDEOCONF_")}
        answer = subprocess.run(
            [sys.executable, "-c", code],
            cwd=cwd,
            env={**others, **settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return answer

    return run


def and_packages(modules):
    return {*modules, *(name.partition(".")[0] for name in modules)}


@ON_SQLITE
def test_a_server_loads_nothing_that_it_does_not_use(run):
    code = "import json, sys, wsgi; print(json.dumps([name for name, module in sys.modules.items() if module]))"
    loaded = and_packages(json.loads(run(code).stdout))
    assert "sqlalchemy" in loaded
    assert not loaded & NOT_FOR_SERVERS


@ON_SQLITE
def test_first_requests_and_jobs_import_nothing(run):
    statuses, imported = json.loads(run(REQUESTS).stdout)
    assert statuses == [200, 200, 200, 204, 200, 200, 200, 404, 401, 401]
    assert imported == []


@ON_SQLITE
def test_commands_do_not_search_for_garbage_at_exit(run, tmp_path):
    """The objects that a command imported are frozen before Python looks through all objects at its exit."""
    code = (
        "import atexit, gc\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 10_000, gc.isenabled()))\n"
        "from videoconf.cli.main import commands\ncommands(['jobs', 'list'], standalone_mode=False)"
    )
    assert run(code, tmp_path).stdout == "True True\n"


def test_revisions_are_known_without_alembic():
    assert revisions() == tuple(script.revision for script in ScriptDirectory(FOLDER).walk_revisions())
