"""What a command does not load, and the CPU time that it takes: a script may start it every few seconds."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import click
import pytest

from tests.support.service import ON_SQLITE
from tests.support.settings import FAKE_SETTINGS, JWT_SECRET
from videoconf.cli.main import commands

HEAVY = {
    "alembic",
    "apispec",
    "azure",
    "boto3",
    "cryptography",
    "flask",
    "flask_limiter",
    "flask_migrate",
    "flask_smorest",
    "gunicorn",
    "jwt",
    "marshmallow",
    "opentok",
    "prometheus_client",
    "psycopg",
    "sqlalchemy",
    "structlog",
    "urllib3",
    "videoconf.edge",
    "videoconf.jobs.worker",
}
"""Modules that take long to import, or that serve. A command loads those that its example names, and no other."""

DATABASE = {"flask", "sqlalchemy"}
PORTS = {"marshmallow", "urllib3"}
"""What providers and storage targets are declared with."""
PROVIDERS = DATABASE | PORTS | {"cryptography"}
"""What checks all settings: the keys, and the enabled providers with the guarded client."""
QUEUE = PROVIDERS | {"prometheus_client"}  # counts jobs
EVERY_PLUGIN = PROVIDERS | {"jwt"}
MIGRATIONS = DATABASE | {"alembic", "flask_migrate"}

BOUND = 1.35
"""How much more CPU time than :data:`REFERENCE` a command may use. On the machine where the bound was set, the
reference takes 0.37 s, and a command less than 0.5 s. Another machine, or other processes, change both alike."""
REFERENCE = "import flask, flask_sqlalchemy"


@dataclass(frozen=True)
class Example:
    """One way to call a command."""

    arguments: str
    loads: frozenset[str] | set[str] = frozenset()
    """What it loads of :data:`HEAVY`."""
    bound: float = BOUND


EXAMPLES = {
    "--help": Example("", EVERY_PLUGIN - DATABASE),
    "audit protect": Example("videoconf", DATABASE),
    "audit prune": Example("--older-than-days 30", PROVIDERS),
    "db branches": Example("", MIGRATIONS),
    "db check": Example("", MIGRATIONS, bound=1.5),  # 1.33 when it is quiet: it reads and compares every table
    "db current": Example("", MIGRATIONS),
    "db downgrade": Example("head", MIGRATIONS),
    "db heads": Example("", MIGRATIONS),
    "db history": Example("", MIGRATIONS),
    "db list-templates": Example("", MIGRATIONS),
    "db show": Example("", MIGRATIONS),
    "db stamp": Example("head", MIGRATIONS),
    "db upgrade": Example("", MIGRATIONS),
    "deliveries list": Example("a-subscription", DATABASE | PORTS),
    "deliveries retry": Example("a-subscription 1", PROVIDERS),
    "doctor": Example("", PROVIDERS),
    "events listen": Example("--forward-to http://127.0.0.1:1/ --until-idle", DATABASE | PORTS),
    "events tail": Example("--until-idle", DATABASE),
    "explain": Example("a-link a-person", DATABASE),
    "fake archive": Example("an-archive available", EVERY_PLUGIN),
    "fake close": Example("a-session", EVERY_PLUGIN),
    "fake deliver": Example("", EVERY_PLUGIN),
    "fake drop": Example("a-connection", EVERY_PLUGIN),
    "fake join": Example("--session a-session", EVERY_PLUGIN),
    "fake leave": Example("a-connection", EVERY_PLUGIN),
    "fake list": Example("", EVERY_PLUGIN),
    "fake publish": Example("a-connection", EVERY_PLUGIN),
    "fake unpublish": Example("a-connection", EVERY_PLUGIN),
    "jobs list": Example("", DATABASE),
    "jobs retry": Example("--all-dead", QUEUE),
    "jobs run": Example("prune_jobs", QUEUE),
    "new-plugin": Example("acme", PORTS),
    "openapi": Example("", PORTS | {"apispec"}),
    "person erase": Example("a-person", PROVIDERS),
    "person export": Example("a-person", PROVIDERS),
    "providers": Example("", EVERY_PLUGIN),
    "rotate-keys": Example("", PROVIDERS),
    "serve": Example("--help"),
    "token": Example("--all", {"cryptography", "flask", "jwt"}),
    "webhooks list": Example("", DATABASE),
    "webhooks replay": Example("1", QUEUE),
    "webhooks show": Example("1", DATABASE),
}

NOT_MEASURED = {
    "db edit": "opens an editor",
    "db init": "writes new migrations",
    "db merge": "writes new migrations",
    "db migrate": "writes new migrations",
    "db revision": "writes new migrations",
    "dev": "serves",
    "fake serve": "serves",
    "worker": "lives long",
}

RUN = """
import json, sys
from click import ClickException
from videoconf.cli.main import commands
try:
    commands(sys.argv[1:], standalone_mode=False)
except (ClickException, SystemExit):
    pass
with open("modules.json", "w") as file:
    json.dump([name for name, module in sys.modules.items() if module], file)
"""
"""Runs a command, then writes which modules are loaded. Not to standard error, where log lines come meanwhile."""


@pytest.fixture
def environment(database_url, tmp_path):
    """Give the variables of a process where the fake provider and a database are configured."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("VIDEOCONF_", "PYTHON"))}
    return {
        **others,
        **FAKE_SETTINGS,
        "VIDEOCONF_PROVIDERS": "fake",
        "VIDEOCONF_FAKE_STATE": str(tmp_path / "fake.sqlite"),
        "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
        "VIDEOCONF_ENCRYPTION_KEYS": "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=",
        "VIDEOCONF_DATABASE_URL": database_url,
    }


@pytest.fixture
def run(environment, tmp_path):
    """Give a function that runs code in a process; it returns its CPU time, user's and system's."""

    def run(code, *arguments):
        with subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            errors = process.stderr.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, errors
        return used.ru_utime + used.ru_stime

    return run


class Reference:
    """The CPU time of :data:`REFERENCE`, the latest measurement that a command is compared with."""

    latest = 0.0

    def measure(self, run):
        self.latest = run(REFERENCE)


@pytest.fixture(scope="module")
def shared_reference():
    return Reference()


@pytest.fixture
def reference(shared_reference, run):
    """Give the reference, which the tests of this module measure once unless a command seems to be slow."""
    if not shared_reference.latest:
        shared_reference.measure(run)
    return shared_reference


def loaded_modules(folder):
    names = json.loads((folder / "modules.json").read_text())
    return {*names, *(name.partition(".")[0] for name in names)}


def leaves(command, *names):
    """Give the path of each command that has no subcommands."""
    if not isinstance(command, click.Group):
        yield " ".join(names)
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from leaves(command.get_command(context, name), *names, name)


def test_every_command_has_an_example():
    assert sorted(leaves(commands)) == sorted({*EXAMPLES, *NOT_MEASURED} - {"--help"})


@ON_SQLITE
@pytest.mark.parametrize("command", EXAMPLES)
def test_command_starts_lightly(run, reference, command, tmp_path):
    example = EXAMPLES[command]
    arguments = (*command.split(), *example.arguments.split())
    used = run(RUN, *arguments)
    loaded = loaded_modules(tmp_path)
    assert loaded & HEAVY == example.loads

    # The first run may have compiled the sources, and other processes disturb one run more than another.
    ratios = []
    for _ in range(6):
        ratios.append(used / reference.latest)
        if ratios[-1] <= example.bound:
            return
        reference.measure(run)
        used = run(RUN, *arguments)
    assert min(ratios) <= example.bound, ratios


@ON_SQLITE
def test_flask_runs_a_command_named_run_without_serving(run, tmp_path):
    code = RUN.replace("from videoconf.cli.main import commands", "from flask.cli import cli as commands")
    run(code, "--app", "videoconf.app", "videoconf", "jobs", "run", "prune_jobs")
    loaded = loaded_modules(tmp_path)
    assert "videoconf.jobs.queue" in loaded
    assert "videoconf.jobs.worker" not in loaded
