"""``flask videoconf …``: what operators see, and what scripts can rely on."""

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import click
import jwt
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import func, make_url, select

from tests.support.commands import run, run_json
from tests.support.service import ON_POSTGRESQL, ON_SQLITE, plugins_with, service_of
from tests.support.settings import JWT_SECRET
from videoconf.cli.main import commands
from videoconf.cli.printing import print_table
from videoconf.db.transactions import read, write
from videoconf.errors import ProviderAuthFailed, ProviderUnavailable
from videoconf.hooks import Failure, Origin, Plugins
from videoconf.jobs.models import Job, JobState
from videoconf.jobs.queue import enqueue
from videoconf.jobs.work import Work
from videoconf.settings import Secret
from videoconf_fake.memory import AREAS
from videoconf_fake.provider import FakeProvider


def run_alone(folder, *args, **environment):
    """Run a command in a process of its own, where nothing is configured but this."""
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "videoconf.app", "videoconf", *args],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(autouse=True)
def shared_state(monkeypatch, tmp_path):
    """Keep the fake provider's rooms in a file, as several processes need it."""
    monkeypatch.setenv("VIDEOCONF_FAKE_STATE", str(tmp_path / "fake.sqlite"))


# --- doctor ---------------------------------------------------------------------------------------------------------


def levels(findings):
    return {(finding["part"], finding["level"]) for finding in findings}


def test_doctor_finds_no_fault_in_a_good_configuration(make_app):
    keys = (Secret(Fernet.generate_key().decode()),)
    plugins = plugins_with(FakeProvider)
    app = make_app(plugins=plugins, public_url="https://video.example.com", path_prefix="/video", encryption_keys=keys)
    findings = run_json(app, "doctor")
    assert {finding["level"] for finding in findings} == {"ok", "note"}
    assert {finding["part"] for finding in findings} >= {"settings", "database", "schema", "jobs", "provider fake"}
    notes = [finding["said"] for finding in findings if finding["level"] == "note"]
    assert [note.split()[-1] for note in notes] == [
        f"https://video.example.com/video/webhooks/fake/{channel}" for channel in ("session", "archive")
    ]


def test_doctor_works_when_nothing_is_configured(tmp_path):
    done = run_alone(tmp_path, "doctor")
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    for expected in ("VIDEOCONF_JWT_SECRETS", "VIDEOCONF_VONAGE_API_KEY", "db upgrade"):
        assert expected in done.stdout
    assert "\x1b" not in done.stdout, "plain when piped"


def test_doctor_reports_unreadable_settings(tmp_path):
    wrong = {
        "VIDEOCONF_LOG_LEVEL": "LOUD",
        "VIDEOCONF_DATABASE_URL": "tops3cret",
        "VIDEOCONF_PATH_PREFIX": "video",
        "VIDEOCONF_RATE_LIMIT": "lots",
        "VIDEOCONF_JWT_SECRET": "misspelt",
    }
    done = run_alone(tmp_path, "doctor", "--json", **wrong)
    assert (done.returncode, done.stderr) == (1, "")
    findings = json.loads(done.stdout)
    assert {(one["part"], one["level"]) for one in findings} == {("settings", "error")}
    for expected in (*wrong, "VIDEOCONF_JWT_SECRETS", "VIDEOCONF_VONAGE_API_KEY"):
        assert any(expected in one["said"] for one in findings), expected
    assert "tops3cret" not in done.stdout


@ON_SQLITE
def test_doctor_fails_when_the_database_has_no_schema(make_app, tmp_path):
    app = make_app(database_url=Secret(f"sqlite:///{tmp_path / 'empty.sqlite'}"))
    findings = run_json(app, "doctor", exit_code=1)
    assert {("database", "ok"), ("schema", "error")} <= levels(findings)
    result = run(app, "jobs", "list")
    assert result.exit_code == 1
    assert "db upgrade" in result.output


@ON_SQLITE
def test_doctor_fails_without_a_database_and_hides_its_password(make_app):
    app = make_app(database_url=Secret("postgresql://me:tops3cret@127.0.0.1:1/none"))
    result = run(app, "doctor")
    assert result.exit_code == 1
    assert "error   database: postgresql://127.0.0.1:1/none cannot be used" in result.output
    assert "Connection refused" in result.output
    assert "tops3cret" not in result.output


@ON_POSTGRESQL
@pytest.mark.parametrize("name", ["role", "database"])
def test_doctor_names_the_missing_role_or_database(make_app, database_url, name):
    url = make_url(database_url)
    missing = url.set(username="nobody_s") if name == "role" else url.set(database="nowhere_s")
    app = make_app(database_url=Secret(missing.render_as_string(hide_password=False)))
    [said] = [one["said"] for one in run_json(app, "doctor", exit_code=1) if one["part"] == "database"]
    assert f'{name} "no' in said
    assert "does not exist" in said


@ON_SQLITE
@pytest.mark.parametrize(("development", "level"), [(True, "warning"), (False, "error")])
def test_doctor_warns_of_a_fake_that_each_process_has(make_app, monkeypatch, tmp_path, development, level):
    """Two processes with rooms of their own answer at random; outside development that is an error."""
    monkeypatch.delenv("VIDEOCONF_FAKE_STATE")
    findings = run_json(make_app(development=development), "doctor", exit_code=0 if development else 1)
    [said] = [one for one in findings if "VIDEOCONF_FAKE_STATE" in one["said"]]
    assert (said["part"], said["level"]) == ("provider fake", level)
    monkeypatch.setenv("VIDEOCONF_FAKE_STATE", str(tmp_path / "fake.sqlite"))
    assert "VIDEOCONF_FAKE_STATE" not in run(make_app(), "doctor").output


@ON_SQLITE
@pytest.mark.parametrize(
    ("error", "level", "exit_code"), [(ProviderAuthFailed(), "error", 1), (ProviderUnavailable(), "warning", 0)]
)
def test_doctor_asks_the_provider(make_app, error, level, exit_code):
    class Failing(FakeProvider):
        def check(self):
            raise error

    findings = run_json(make_app(plugins=plugins_with(Failing)), "doctor", exit_code=exit_code)
    assert ("provider fake", level) in levels(findings)


@ON_SQLITE
def test_doctor_warns_of_broken_plugins_and_overdue_jobs(make_app):
    plugins = plugins_with(FakeProvider)
    broken = Failure(Origin("broken", "acme 1.2"), "ImportError: nothing")
    app = make_app(plugins=Plugins(plugins.manager, plugins.origins, (broken,)))
    with app.app_context(), write() as session:
        session.add(Job(kind="gone", payload={}, state=JobState.DEAD))
        session.add(Job(kind="late", payload={}, due_at=datetime(2020, 1, 1, tzinfo=UTC)))
    findings = run_json(app, "doctor")
    assert {("plugins", "warning"), ("jobs", "warning"), ("public URL", "warning")} <= levels(findings)
    assert sum(finding["part"] == "jobs" for finding in findings) == 2
    plain = make_app(public_url="http://video.example.com")
    assert ("public URL", "warning") in levels(run_json(plain, "doctor"))
    development = make_app(development=True)
    assert ("settings", "warning") in levels(run_json(development, "doctor"))


def test_doctor_probes_storage_targets_and_misses_keys(make_app, headers):
    keys = tuple(Secret(Fernet.generate_key().decode()) for _ in range(2))
    app = make_app(encryption_keys=keys[:1])
    target = {"name": "MEMORY", "area": "doctors", "password": "tops3cret"}
    assert service_of(app, headers).api("PUT", "/archives/storage-target", target).status == 200
    part = "storage of tenant default"
    assert (part, "ok") in levels(run_json(app, "doctor"))
    AREAS.missing.add("doctors")
    try:
        result = run(app, "doctor", "--json")
    finally:
        AREAS.missing.clear()
    assert (part, "warning") in levels(json.loads(result.stdout))
    assert "tops3cret" not in result.output
    other = make_app(encryption_keys=keys[1:], serving=False)
    assert ("encryption", "error") in levels(run_json(other, "doctor", exit_code=1))


# --- providers ------------------------------------------------------------------------------------------------------


@ON_SQLITE
def test_providers_are_listed(make_app):
    app = make_app()
    listed = run_json(app, "providers")
    assert [(item["key"], item["enabled"]) for item in listed["items"]] == [
        ("fake", True),
        ("janus", False),
        ("livekit", False),
        ("vonage", False),
    ]
    lines = [line.split("\t") for line in run(app, "providers").stdout.splitlines()]
    assert [line[:3] for line in lines] == [
        ["fake", "Fake (in memory)", "default"],
        ["janus", "Janus", "no"],
        ["livekit", "LiveKit", "no"],
        ["vonage", "Vonage Video", "no"],
    ]


@ON_SQLITE
def test_providers_command_names_missing_settings(make_app):
    said = run(make_app(providers=("fake", "vonage", "acme"), serving=False), "providers").stderr
    assert "VIDEOCONF_VONAGE_API_KEY" in said
    assert "VIDEOCONF_PROVIDERS names 'acme', which no installed plugin brings" in said


class Terminal(io.StringIO):
    """Stands in for the standard output of a person."""

    def isatty(self):
        return True


def test_terminal_shows_a_table_with_a_head(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    print_table(("provider", "label"), [("fake", "Fake (in memory)"), ("vonage", "Vonage Video")])
    assert terminal.getvalue().splitlines() == [
        "provider  label",
        "fake      Fake (in memory)",
        "vonage    Vonage Video",
    ]


# --- jobs -----------------------------------------------------------------------------------------------------------


@ON_SQLITE
def test_jobs_of_a_kind_run_at_once(make_app):
    app = make_app()
    assert run(app, "jobs", "run", "prune_jobs").stdout == "1 jobs ran.\n"
    with app.app_context(), read() as session:
        job = session.execute(select(Job).where(Job.kind == "prune_jobs")).scalar_one()
        others = session.execute(select(func.max(Job.attempts)).where(Job.kind != "prune_jobs")).scalar_one()
    assert job.state == JobState.PENDING, "a recurring job stays"
    assert others == 0, "jobs of other kinds are left alone"


@ON_SQLITE
def test_unknown_kind_of_job_is_refused_by_name(make_app):
    refused = run(make_app(), "jobs", "run", "no_such_kind")
    assert refused.exit_code == 2
    assert "is not a kind of job" in refused.stderr
    assert "prune_jobs" in refused.stderr


def test_dead_jobs_are_listed_and_revived(make_app):
    app = make_app()
    with app.app_context(), write() as session:
        rows = [
            Job(kind="fails", payload={"meeting_id": 1}, state=state, attempts=20, last_error="provider_error: no")
            for state in (JobState.DEAD, JobState.DEAD, JobState.DONE)
        ]
        session.add_all(rows)
        session.flush()
        first, second, done = (row.id for row in rows)

    listed = run_json(app, "jobs", "list", "--state", "dead")
    assert [job["id"] for job in listed] == [second, first]
    assert listed[0]["lastError"] == "provider_error: no"
    assert [line.split("\t")[0] for line in run(app, "jobs", "list").stdout.splitlines()] == [
        str(id) for id in (done, second, first)
    ]

    assert run(app, "jobs", "retry", str(first)).exit_code == 0
    refused = run(app, "jobs", "retry", str(first), str(done))
    assert refused.exit_code == 1
    assert str(done) in refused.output
    assert run(app, "jobs", "retry", "--all-dead").output == "1 jobs are due again.\n"
    assert run(app, "jobs", "retry").exit_code == 2
    with app.app_context(), read() as session:
        assert {session.get(Job, id).state for id in (first, second)} == {JobState.PENDING}
        assert session.get(Job, first).attempts == 0


def test_worker_command_runs_due_jobs(make_app, headers):
    app = make_app()
    service = service_of(app, headers)
    link = service.api.create()
    done = []
    with app.app_context(), write() as session:
        app.extensions["videoconf"].jobs.declare(Work("told", done.append))
        enqueue(session, "told", {"link": link})
    result = run(app, "worker", "--once")
    assert result.exit_code == 0, result.output
    assert done == [{"link": link}]


# --- token, openapi -------------------------------------------------------------------------------------------------


@ON_SQLITE
def test_token_command_sets_the_requested_claims(make_app):
    args = ("--permission", "GetMeetings", "--subject", "me", "--tenant", "acme", "--role", "publisher", "--ttl", "60")
    token = run(make_app(), "token", *args).stdout.strip()
    claims = jwt.decode(token, JWT_SECRET, ["HS256"], audience="videoconf")
    assert (claims["sub"], claims["tenant"], claims["permissions"]) == ("me", "acme", ["GetMeetings"])
    assert claims["meetingRoles"] == ["publisher"]
    assert claims["exp"] - claims["iat"] == 60


@ON_SQLITE
@pytest.mark.parametrize("args", [(), ("--all", "--permission", "GetMeetings")])
def test_a_token_without_permissions_is_not_made(make_app, args):
    refused = run(make_app(), "token", *args)
    assert refused.exit_code == 2
    assert "--permission" in refused.output


@ON_SQLITE
@pytest.mark.parametrize(
    "command",
    [
        "worker --once",
        "jobs retry --all-dead",
        "person erase ada",
        "person export ada",
        "person erase ada --tenant acme",
        "rotate-keys",
    ],
)
def test_a_command_that_acts_refuses_a_wrong_configuration(make_app, command):
    app = make_app(jwt_secrets=(), serving=False)
    refused = run(app, *command.split())
    assert refused.exit_code == 3, "what the units take for final"
    assert "VIDEOCONF_JWT_SECRETS" in refused.output


def test_worker_without_the_encryption_key_refuses_to_work(make_app, headers):
    keys = tuple(Secret(Fernet.generate_key().decode()) for _ in range(2))
    target = {"name": "MEMORY", "area": "workers", "password": "tops3cret"}
    api = service_of(make_app(encryption_keys=keys[:1]), headers).api
    assert api("PUT", "/archives/storage-target", target).status == 200
    refused = run(make_app(encryption_keys=keys[1:], serving=False), "worker", "--once")
    assert refused.exit_code == 3
    assert "VIDEOCONF_ENCRYPTION_KEYS" in refused.output


@ON_SQLITE
@pytest.mark.parametrize("settings", [{}, {"path_prefix": "/video", "storage_kinds": ("s3",)}])
def test_printed_openapi_document_is_the_served_one(make_app, settings):
    app = make_app(**settings)
    prefix = settings.get("path_prefix", "")
    served = app.test_client().get(f"{prefix}/openapi.json").json
    assert json.loads(run(app, "openapi").stdout) == served
    assert f"{prefix}/session" in served["paths"]


@ON_SQLITE
def test_help_shows_each_commands_summary_uncut(make_app, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert "..." not in run(make_app(), "--help").stdout.partition("Commands:")[2]


@ON_SQLITE
def test_every_command_explains_itself(make_app):
    app = make_app()

    def walk(command, path):
        result = run(app, *path, "--help")
        assert result.exit_code == 0
        assert command.help, path
        if isinstance(command, click.Group):
            with click.Context(command) as context:
                for name in command.list_commands(context):
                    walk(command.get_command(context, name), (*path, name))

    walk(commands, ())
