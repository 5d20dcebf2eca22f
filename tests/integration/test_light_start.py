"""What a server does not load: it is memory of each process, and time of each start."""

import json
import os
import subprocess
import sys

import pytest
from alembic.script import ScriptDirectory
from videoconf_migrations import FOLDER, revisions

from bench.run import ROOT

NOT_FOR_SERVERS = {"alembic", "boto3", "azure", "flask_limiter", "flask_migrate", "opentok"}
"""rich is not among them: structlog imports it where it is installed, and only examples/demo.py installs it."""


def test_a_server_loads_nothing_that_it_does_not_use(tmp_path):
    code = "import json, sys, wsgi; print(json.dumps([name for name, module in sys.modules.items() if module]))"
    settings = {
        "VIDEOCONF_PROVIDERS": "fake",
        "VIDEOCONF_DEVELOPMENT": "true",
        "VIDEOCONF_AUTH": "disabled",
        "VIDEOCONF_FAKE_TOKEN_SECRET": "x" * 48,
        "VIDEOCONF_FAKE_WEBHOOK_SECRETS": "whsec_" + "eHh4" * 12,
        "VIDEOCONF_DATABASE_URL": f"sqlite:///{tmp_path}/light.db",
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith("VIDEOCONF_")}
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**others, **settings}, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    loaded = {name.partition(".")[0] for name in json.loads(answer.stdout)}
    assert "sqlalchemy" in loaded
    assert not loaded & NOT_FOR_SERVERS


def test_revisions_are_known_without_alembic():
    assert revisions() == tuple(script.revision for script in ScriptDirectory(FOLDER).walk_revisions())


@pytest.mark.parametrize("args", [["--help"], ["jobs", "--help"], ["webhooks", "list", "--help"], ["serve", "--help"]])
def test_commands_load_what_they_need_when_they_run(tmp_path, args):
    code = (
        "import json, sys\nfrom videoconf.cli.main import commands\n"
        f"commands({args!r}, standalone_mode=False)\nprint(json.dumps(list(sys.modules)), file=sys.stderr)"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(answer.stderr)}
    assert "click" in loaded
    assert not loaded & {*NOT_FOR_SERVERS, "flask", "gunicorn", "prometheus_client", "sqlalchemy"}
