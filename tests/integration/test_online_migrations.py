"""A schema is changed beside the writers: what a revision does to a large table, and what it leaves when stopped."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from flask_migrate import downgrade, upgrade
from sqlalchemy import make_url
from videoconf_migrations.online import LOCK_TIMEOUT

from bench.skewed import CROWD, fill
from videoconf.app import create_app
from videoconf.db.types import db
from videoconf.settings import Secret, Settings

ROOT = Path(__file__).parents[2]
BEFORE = "0010"
"""Revisions since this one are written by the rules."""
ONLY_POSTGRESQL = pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)


@pytest.fixture
def migrating(empty_database_url):
    app = create_app(Settings(database_url=Secret(empty_database_url), providers=("none",)), serving=False)
    with app.app_context():
        yield app
        db.engine.dispose()


def opened(url):
    return psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(False), autocommit=True)


def test_revisions_pass_the_linter(tmp_path):
    """VARCHAR is how every string is stored; all other rules of squawk hold."""
    environment = {**os.environ, "VIDEOCONF_DATABASE_URL": "postgresql://user@localhost/name"}
    upgrading = [sys.executable, "-m", "flask", "--app", "videoconf.app", "db", "upgrade", f"{BEFORE}:head", "--sql"]
    sql = subprocess.run(upgrading, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    assert "CREATE INDEX CONCURRENTLY" in sql
    file = tmp_path / "upgrade.sql"
    for text, is_clean in ((sql, True), (sql + "\nCREATE INDEX ix_new ON meeting (tenant);\n", False)):
        file.write_text(text)
        linting = [Path(sys.executable).with_name("squawk"), "--exclude", "prefer-text-field", "--pg-version", "16"]
        linted = subprocess.run([*linting, file], capture_output=True, text=True)
        assert (linted.returncode == 0) is is_clean, linted.stdout


@ONLY_POSTGRESQL
def test_index_that_was_left_unfinished_is_replaced(migrating, empty_database_url):
    upgrade(revision=BEFORE)
    with opened(empty_database_url) as connection:
        for number in range(2):
            connection.execute(
                "INSERT INTO audit_entry (tenant, at, actor, action) VALUES ('a', %s, 'a', 'b')",
                (f"2026-01-0{number + 1}",),
            )
        with pytest.raises(psycopg.errors.UniqueViolation):  # as a server that is stopped leaves it
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY ix_audit_entry_tenant_at_id ON audit_entry (tenant)")
        upgrade()
        valid, unique = connection.execute(
            "SELECT indisvalid, indisunique FROM pg_index WHERE indexrelid = 'ix_audit_entry_tenant_at_id'::regclass"
        ).fetchone()
    assert (valid, unique) == (True, False)


@ONLY_POSTGRESQL
@pytest.mark.parametrize("rows", [20_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_writers_wait_less_than_a_second_for_an_upgrade(migrating, empty_database_url, rows):
    upgrade()
    with opened(empty_database_url) as connection:
        fill(connection, rows, TABLES)
    downgrade(revision=BEFORE)
    waits, done = [], threading.Event()

    def write(table, statement):
        with opened(empty_database_url) as connection:
            number = 0
            while not done.is_set():
                number += 1
                begin = time.monotonic()
                connection.execute(statement, {"id": number % rows + 1})
                waits.append((time.monotonic() - begin, table))
                time.sleep(0.02)

    statements = {
        "meeting": "UPDATE meeting SET modified_on = now() WHERE id = %(id)s",
        "attendee_connection": "UPDATE attendee_connection SET last_evidence = now() WHERE meeting_id = %(id)s",
        "audit_entry": "INSERT INTO audit_entry (tenant, at, actor, action) VALUES ('default', now(), 'a', 'b')",
        "archive": "UPDATE archive SET modified_on = now() WHERE meeting_id = %(id)s",
        "job": "UPDATE job SET due_at = now() WHERE id = %(id)s",
        "webhook_event": "INSERT INTO webhook_event (provider, account, channel, dedupe_key, kind, status, session_id,"
        " received_at) VALUES ('fake', 'fake', 'session', gen_random_uuid(), 'joined', 'applied', 's%(id)s', now())",
    }
    threads = [threading.Thread(target=write, args=item) for item in statements.items()]
    for thread in threads:
        thread.start()
    try:
        upgrade()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    slowest = {table: max(seconds for seconds, of in waits if of == table) for table in statements}
    assert max(slowest.values()) < 1.0, slowest
    with opened(empty_database_url) as connection:
        [unplaced] = connection.execute("SELECT count(*) FROM attendee_connection WHERE tenant IS NULL").fetchone()
        [placed] = connection.execute(
            "SELECT count(*) FROM attendee_connection c JOIN meeting m ON m.id = meeting_id"
            " WHERE c.tenant = m.tenant AND meeting_created_on = m.created_on"
        ).fetchone()
        counted = connection.execute(
            "SELECT count(*), count(tenant), count(*) FILTER (WHERE tenant = '') FROM webhook_event"
            " WHERE dedupe_key LIKE 'k%'"
        ).fetchone()
        [wrong] = connection.execute(
            "SELECT count(*) FROM webhook_event e JOIN meeting m USING (provider, account, session_id)"
            " WHERE e.tenant <> m.tenant"
        ).fetchone()
    assert (unplaced, placed) == (0, rows + CROWD)
    assert (*counted, wrong) == (rows, rows, rows // 500, 0), "those of the former release in between are the job's"


TABLES = ("meeting", "attendee_connection", "archive", "audit_entry", "webhook_event", "job")


def test_rows_whose_ids_are_far_apart_are_placed_at_once(migrating):
    upgrade(revision="0018")
    with db.engine.begin() as connection:
        for id in (1, 2, 10**12):
            connection.exec_driver_sql(
                "INSERT INTO webhook_event (id, provider, account, channel, dedupe_key, kind, status, received_at)"
                f" VALUES ({id}, 'fake', 'fake', 'session', 'k{id}', 'ignored', 'ignored', '2026-01-01 00:00:00')"
            )
    upgrade()
    with db.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT tenant FROM webhook_event").scalars().all() == [""] * 3


@ONLY_POSTGRESQL
def test_connection_settings_of_an_upgrade_do_not_stay(migrating):
    """The connection of an upgrade has other time limits and a lock, so nothing else may use it."""
    upgrade()
    with db.engine.connect() as connection:
        limits = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in ("statement_timeout", "lock_timeout")]
        locks = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database"
            " WHERE locktype = 'advisory' AND datname = current_database()"
        ).scalar()
    assert limits == ["3s", "1s"]
    assert LOCK_TIMEOUT == "500ms"
    assert locks == 0
