"""The database cannot be used as it is named: doctor, ``db upgrade`` and the server say the same one sentence."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests.support.commands import run, run_json
from tests.support.databases import SQLITE_ONLY
from tests.support.poolers import NEEDS_PGBOUNCER, PASSWORDS
from videoconf.app import create_app
from videoconf.db.types import db
from videoconf.errors import ConfigurationError
from videoconf.settings import Secret, Settings

pytestmark = pytest.mark.skipif(SQLITE_ONLY, reason="TEST_SQLITE_ONLY=1")
ROOT = Path(__file__).parents[2]
CANARY = "c4n4ry"


@pytest.fixture
def database_url(postgresql_database):
    """Run each test once."""
    return postgresql_database


@pytest.fixture
def say(make_app, caplog, monkeypatch):
    """Give a function that returns what doctor, ``db upgrade`` and a server that starts say of a database's URL."""

    def say(url):
        app = make_app(database_url=Secret(url), serving=False)
        errors = [one for one in run_json(app, "doctor", exit_code=1) if one["part"] == "database"]
        doctor = " ".join(f"{one['said']}. {one['remedy']}" for one in errors)
        upgraded = run(app, "db", "upgrade")
        assert upgraded.exit_code == 1, upgraded.output
        caplog.clear()
        try:
            make_app(database_url=Secret(url))
        except ConfigurationError as error:
            served = error.faults[0]
        else:
            served = caplog.records[0].getMessage()
        for said in (doctor, upgraded.output, served):
            assert "Traceback" not in said
            assert CANARY not in said
        return doctor, upgraded.stderr, served

    return say


def plain(said):
    return " ".join(said.removeprefix("Error: ").split()).lower()


def at(url, **changes):
    return make_url(url).set(**changes).render_as_string(hide_password=False)


WRONG = {
    "port": (f"postgresql://me:{CANARY}@127.0.0.1:1/x", "no server listens there", "Start it"),
    "host": (f"postgresql://me:{CANARY}@no-such-host.invalid/x", "the host name does not resolve", "Correct the host"),
    "socket": (f"postgresql://me:{CANARY}@/x?host=/nowhere", "no server listens there", "Start it"),
}


@pytest.mark.parametrize("name", WRONG)
def test_server_that_does_not_answer_is_named(say, name):
    url, meaning, remedy = WRONG[name]
    doctor, upgrade, serve = say(url)
    assert plain(doctor) == plain(upgrade) == plain(serve)
    assert meaning in serve
    assert remedy in serve


@pytest.mark.parametrize(
    ("change", "query", "meaning"),
    [
        ({"username": "no_such_role"}, {}, 'the user or the password (FATAL: role "no_such_role" does not exist)'),
        ({"database": "no_such_database"}, {}, "the server does not have this database"),
        ({}, {"sslmode": "require", "host": "127.0.0.1"}, "cannot be used"),
        ({}, {"options": "-csearch_path=nowhere"}, "names no schema"),
        ({}, {"options": "-cdefault_transaction_read_only=on"}, "takes no writes"),
    ],
)
def test_refusal_by_the_server_is_named(say, database_url, change, query, meaning):
    url = make_url(at(database_url, **change))
    doctor, upgrade, serve = say(url.update_query_dict(query).render_as_string(hide_password=False))
    assert meaning in serve
    assert plain(serve) in plain(doctor)
    assert plain(serve) in plain(upgrade)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_encoding_other_than_utf8_is_refused(say, postgresql, database_url, encoding):
    name = f"in_{encoding.lower()}_{os.getpid()}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    try:
        doctor, upgrade, serve = say(at(database_url, database=name))
        assert plain(doctor) == plain(upgrade) == plain(serve)
        assert f"has the encoding {encoding}" in serve
        assert "ENCODING 'UTF8'" in serve
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def humble(create_postgresql):
    """Give the URL of an empty database for a role that owns nothing, as PostgreSQL 15 and newer make it."""
    url = create_postgresql()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'humble'").fetchone():
            connection.execute("CREATE ROLE humble LOGIN")
    return at(url, username="humble")


def test_role_without_rights_on_public_gets_the_grant(make_app, humble):
    app = make_app(database_url=Secret(humble), serving=False)
    upgraded = run(app, "db", "upgrade")
    assert upgraded.exit_code == 1
    assert upgraded.stderr.splitlines() == [
        'Error: The role "humble" may not create tables in the schema "public". As its owner:'
        ' GRANT USAGE, CREATE ON SCHEMA "public" TO "humble";'
    ]
    with psycopg.connect(at(humble, username="postgres"), autocommit=True) as owner:
        owner.execute(upgraded.stderr.partition("As its owner: ")[2].encode())
    assert run(app, "db", "upgrade").exit_code == 0


def test_role_that_may_not_use_the_tables_is_named(make_app, headers, database_url, humble):
    """Requests are answered with 503, not with 500."""
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO humble")
        owner.execute("REVOKE UPDATE ON meeting FROM humble; REVOKE UPDATE ON audit_entry FROM humble")
        owner.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO humble; REVOKE ALL ON job_id_seq FROM humble")
    app = make_app(database_url=Secret(at(database_url, username="humble")))
    [said] = [one["said"] for one in run_json(app, "doctor", exit_code=1) if one["part"] == "database"]
    assert said == "the database role may not use job_id_seq, meeting"
    client = app.test_client()
    link = client.post("/session", headers=headers())
    assert link.status_code in (200, 503)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM humble")
    assert (client.get("/session", headers=headers()).status_code, client.get("/readyz").status_code) == (503, 503)


def test_server_of_another_protocol_is_named(say):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(100)
                    connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        doctor, _, serve = say(f"postgresql://me:{CANARY}@127.0.0.1:{listener.getsockname()[1]}/x")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert "something other than PostgreSQL answers there" in serve
    assert plain(doctor) == plain(serve)


def test_command_prints_the_same_sentence(make_app):
    result = run(make_app(database_url=Secret("postgresql://127.0.0.1:1/x"), serving=False), "jobs", "list")
    assert result.exit_code == 1
    assert "no server listens there" in result.stderr
    assert "Start it" in result.stderr


def test_upgrade_by_flask_shows_no_trace():
    environment = {**os.environ, "VIDEOCONF_DATABASE_URL": f"postgresql://me:{CANARY}@127.0.0.1:1/x"}
    command = [sys.executable, "-m", "flask", "--app", "videoconf.app", "db", "upgrade"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: postgresql://127.0.0.1:1/x cannot be used")
    assert "Traceback" not in done.stderr
    assert CANARY not in done.stderr


# --- passwords ----------------------------------------------------------------------------------------------------


@NEEDS_PGBOUNCER
@pytest.mark.parametrize("role", [role for role in PASSWORDS if role != "pooled_at"])
def test_password_with_url_characters_is_accepted(pooled, database_url, role):
    url = pooled(database_url, "session", role, PASSWORDS[role])
    app = create_app(Settings(database_url=Secret(url)), serving=False)
    with app.app_context():
        assert db.session.connection().exec_driver_sql("SELECT current_user").scalar() == role
        db.session.remove()
        db.engine.dispose()


@NEEDS_PGBOUNCER
def test_password_with_an_at_sign_is_refused_with_a_hint(pooled, database_url):
    url = pooled(database_url, "session", "pooled_at", PASSWORDS["pooled_at"])
    with pytest.raises(ConfigurationError, match="Write %40 for @") as raised:
        create_app(Settings(database_url=Secret(url)), serving=False)
    assert "word" not in str(raised.value).replace("password", "")
    encoded = create_app(Settings(database_url=Secret(url.replace("t@word", "t%40word"))), serving=False)
    with encoded.app_context():
        db.engine.connect().close()
        db.engine.dispose()


@NEEDS_PGBOUNCER
def test_wrong_password_is_named_and_not_printed(say, pooled, database_url):
    doctor, upgrade, serve = say(pooled(database_url, "session", "pooled_slash", CANARY))
    assert "the server refuses the user or the password" in serve
    assert "encode : / ? # %" in serve
    assert plain(doctor) == plain(upgrade) == plain(serve)


# --- SQLite ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "meaning"),
    [
        ("missing/videoconf.sqlite", "cannot be opened"),
        ("", "cannot be opened"),
        ("text.sqlite", "is not a database of SQLite"),
        ("text.sqlite/videoconf.sqlite", "cannot be opened"),
    ],
    ids=["a folder that is missing", "a folder", "a text", "below a file"],
)
def test_file_that_cannot_be_used_is_named(say, tmp_path, path, meaning):
    (tmp_path / "text.sqlite").write_text("This is a text, and not a database of SQLite.\n" * 99)
    doctor, upgrade, serve = say(f"sqlite:///{tmp_path}/{path}")
    assert plain(doctor) == plain(upgrade) == plain(serve)
    assert meaning in serve


def test_read_only_file_is_named(say, tmp_path, sqlite_template):
    """As on a volume that is mounted read-only; root may write any file."""
    url = f"sqlite:///file:{sqlite_template}?uri=true&mode=ro"
    with pytest.raises(ConfigurationError, match="`mode` that does not work here"):
        create_app(Settings(database_url=Secret(url)), serving=False)


def test_folder_that_cannot_be_made_is_named(monkeypatch):
    monkeypatch.setattr("videoconf.api.database.INSTANCE", "/dev/null/instance")
    with pytest.raises(ConfigurationError, match="/dev/null/instance of the SQLite file cannot be created"):
        create_app(Settings(database_url=Secret("sqlite:///videoconf.db")), serving=False)
