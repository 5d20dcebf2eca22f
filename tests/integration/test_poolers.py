"""A pooler stands before PostgreSQL: in session mode nothing is to be set, in transaction mode doctor says what is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from tests.support.commands import run_json
from tests.support.poolers import BOUNDED, NEEDS_PGBOUNCER, UNBOUNDED, pgbouncer
from tests.support.service import service_of
from videoconf.api.services import services
from videoconf.db.pooler import as_statements
from videoconf.db.types import db
from videoconf.errors import ConfigurationError
from videoconf.settings import Secret

pytestmark = [NEEDS_PGBOUNCER, pytest.mark.timeout(120)]
ROOT = Path(__file__).parents[2]
BOUNDS = {"statement_timeout": "3s", "lock_timeout": "1s", "idle_in_transaction_session_timeout": "10s"}


@pytest.fixture(autouse=True)
def shared_state(monkeypatch, tmp_path):
    """Keep the fake provider's rooms in a file: of an application in several processes, doctor asks for it."""
    monkeypatch.setenv("VIDEOCONF_FAKE_STATE", str(tmp_path / "fake.sqlite"))


@pytest.fixture
def database_url(postgresql_database):
    """Run each test once."""
    return postgresql_database


@pytest.fixture
def transaction(make_app, pooled, postgresql_database):
    """Give a function that makes an app behind PgBouncer in transaction mode, set up as the guide says."""

    def make(role=BOUNDED, **settings):
        values = {
            "database_url": Secret(pooled(postgresql_database, "transaction", role)),
            "database_direct_url": Secret(postgresql_database),
            "database_pooler": "transaction",
        }
        return make_app(**values | settings)

    return make


def of_database(app, exit_code=0):
    """Return what doctor says of the database and the way to it."""
    findings = run_json(app, "doctor", exit_code=exit_code)
    return [one for one in findings if one["part"] in ("database", "pooler", "direct URL")]


def shown_bounds(app):
    with app.app_context(), db.engine.connect() as connection:
        return {name: connection.scalar(text(f"SHOW {name}")) for name in BOUNDS}


# --- session mode -----------------------------------------------------------------------------------------------------


def test_session_mode_needs_no_setting(make_app, headers, pooled, postgresql_database):
    """PgBouncer refuses the start-up parameter ``options``, which set the time limits once."""
    app = make_app(database_url=Secret(pooled(postgresql_database, "session", UNBOUNDED)))
    service = service_of(app, headers)
    link = service.api.create(extId="x")
    assert service.api.read(link)["extId"] == "x"
    assert shown_bounds(app) == BOUNDS
    [said] = of_database(app)
    assert (said["level"], said["said"].rpartition(" answers")[2]) == ("ok", " through a pooler in session mode")


def test_direct_connection_is_named_so(make_app, postgresql_database):
    [said] = of_database(make_app(database_url=Secret(postgresql_database)))
    assert said["said"].endswith(" answers without a pooler")


# --- transaction mode -----------------------------------------------------------------------------------------------


def test_transaction_mode_without_the_setting_is_refused(make_app, pooled, postgresql_database):
    url = Secret(pooled(postgresql_database, "transaction"))
    with pytest.raises(ConfigurationError, match="Set VIDEOCONF_DATABASE_POOLER=transaction") as raised:
        make_app(database_url=url)
    [said] = of_database(make_app(database_url=url, serving=False), exit_code=1)
    assert said["level"] == "error"
    assert said["remedy"] in str(raised.value)


def test_transaction_mode_with_one_connection_is_found(make_app, postgresql_server, postgresql_database, pooler_roles):
    name = make_url(postgresql_database).database
    with pgbouncer(make_url(postgresql_server), "transaction", {BOUNDED: ""}, size=1) as port:
        app = make_app(database_url=Secret(f"postgresql://{BOUNDED}@127.0.0.1:{port}/{name}"), serving=False)
        [said] = of_database(app, exit_code=1)
        with app.app_context():
            db.engine.dispose()
    assert "a pooler in transaction mode stands before PostgreSQL" in said["said"]


def test_many_creations_at_once_all_succeed(transaction, headers):
    service = service_of(transaction(), headers)

    def walk(number):
        link = service.api.create(extId=f"m-{number}")
        assert service.api("PATCH", f"/session/{link}", {"extId": f"n-{number}"}).status == 204
        assert service.api("POST", f"/session/{link}/token", {}).status == 200
        statuses = [service.api("GET", f"/session/{link}/attendees").status for _ in range(3)]
        return service.api.read(link)["extId"], statuses

    with ThreadPoolExecutor(8) as pool:
        walks = list(pool.map(walk, range(48)))
    assert walks == [(f"n-{number}", [200] * 3) for number in range(48)]


def test_webhooks_at_once_are_stored_once(transaction, headers):
    service = service_of(transaction(), headers)
    link = service.api.create()
    for number in range(6):
        service.join(link, attendee=f"a-{number}")
    waiting = list(service.waiting())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(service.post, waiting * 3))
    assert {answer.status for answer in answers} == {204}
    assert {one["attendee"] for one in service.api.attendees(link)} == {f"a-{number}" for number in range(6)}


def test_long_answers_are_streamed(transaction, headers):
    """They read with a cursor, which is a transaction's."""
    app = transaction()
    service = service_of(app, headers)
    link = service.api.create()
    for number in range(3):
        service.join(link, attendee=f"a-{number}")
    service.deliver()
    assert len(service.api.attendees(link)) == 3
    assert service.api("GET", f"/session/{link}/attendance").status == 200
    with app.app_context():
        assert services(app).jobs.run_due() >= 0
        assert services(app).jobs.measure().by_state["dead"] == 0


def test_transaction_mode_leaves_no_prepared_statement(transaction, headers):
    app = transaction()
    service = service_of(app, headers)
    for number in range(20):
        service.api.create(extId=str(number))
    with app.app_context(), db.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0


def test_locked_row_is_waited_for_a_second(transaction, headers, postgresql_database):
    service = service_of(transaction(), headers)
    link = service.api.create()
    with psycopg.connect(postgresql_database) as other:
        other.execute("SELECT 1 FROM meeting FOR UPDATE")
        begin = time.monotonic()
        answer = service.api("PATCH", f"/session/{link}", {"extId": "x"})
        assert (answer.status, answer.json["code"]) == (503, "database_busy")
        assert 0.9 < time.monotonic() - begin < 2.5


def test_doctor_prints_the_bounds_and_checks_them(transaction, pooled, postgresql_database, caplog):
    app = transaction(UNBOUNDED)
    assert any("lack" in record.getMessage() and "ALTER ROLE" in record.getMessage() for record in caplog.records)
    [warning, found] = of_database(app)
    assert (warning["level"], found["level"]) == ("warning", "ok")
    statements = re.findall(r"ALTER ROLE [^;]*;", warning["remedy"])
    assert [one.split()[4] for one in statements] == [*BOUNDS]
    name = postgresql_database.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(postgresql_database, autocommit=True) as owner:
        for one in statements:  # for this database alone: other tests use the role
            owner.execute(one.replace(" SET ", f' IN DATABASE "{name}" SET ', 1))
        owner.execute(  # as PgBouncer's RECONNECT does
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with app.app_context():
        db.engine.dispose()
    [said] = of_database(app)
    assert said["said"].endswith(" answers through a pooler in transaction mode")
    assert shown_bounds(app) == BOUNDS


def test_bounds_that_a_client_set_do_not_count(transaction):
    """In transaction mode a SET reaches other clients, and is gone with the pooler's next connection."""
    app = transaction(UNBOUNDED)
    with app.app_context(), db.engine.connect() as connection:
        for name, value in BOUNDS.items():
            connection.exec_driver_sql(f"SET {name} = '{value}'")
        connection.commit()
    assert of_database(app)[0]["level"] == "warning"


def test_role_in_another_time_zone_is_refused(transaction, postgresql_database, headers):
    name = postgresql_database.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(postgresql_database, autocommit=True) as owner:
        owner.execute(f"ALTER ROLE {UNBOUNDED} IN DATABASE \"{name}\" SET TimeZone = 'Asia/Tokyo'")
    app = transaction(UNBOUNDED)
    answer = service_of(app, headers).api("GET", "/session")
    assert (answer.status, answer.json["code"]) == (503, "database_unavailable")
    [said] = of_database(app, exit_code=1)
    assert "not in UTC" in said["said"]
    assert f"ALTER ROLE \"{UNBOUNDED}\" SET TimeZone = 'UTC';" in said["remedy"]


def test_guide_has_the_statements_that_doctor_prints():
    guide = (ROOT / "docs/how-to/poolers.md").read_text()
    [block] = re.findall(r"```sql\n(.*?)```", guide, re.DOTALL)
    assert " ".join(block.split()) == as_statements("videoconf", {**BOUNDS, "TimeZone": "UTC"})


# --- migrations -------------------------------------------------------------------------------------------------------


@pytest.fixture
def upgrade(create_postgresql, pooled):
    """Give a function that runs ``db upgrade`` on an empty database behind PgBouncer, and returns what it did."""
    empty = create_postgresql()

    def run(direct=None, mode="transaction", program=("videoconf.cli.main",)):
        environment = {
            **os.environ,
            "VIDEOCONF_DATABASE_URL": pooled(empty, mode),
            "VIDEOCONF_DATABASE_POOLER": mode,
            "VIDEOCONF_DATABASE_DIRECT_URL": {"itself": empty, "pooler": pooled(empty, "transaction")}.get(direct, ""),
        }
        command = [sys.executable, "-m", "flask", "--app", "videoconf.app", "db", "upgrade"]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return run


def test_upgrade_uses_the_direct_url(upgrade):
    done = upgrade("itself")
    assert done.returncode == 0, done.stderr
    assert "Running upgrade" in done.stderr


def test_upgrade_works_through_session_mode(upgrade):
    done = upgrade(mode="session")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("direct", "said"),
    [(None, "VIDEOCONF_DATABASE_DIRECT_URL is not set"), ("pooler", "VIDEOCONF_DATABASE_DIRECT_URL leads to a pooler")],
)
def test_upgrade_refuses_a_shared_connection(upgrade, direct, said):
    """Its lock and its settings would be on a connection that others get in between."""
    done = upgrade(direct)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_direct_url_of_another_database_is_found(transaction, create_postgresql):
    app = transaction(database_direct_url=Secret(create_postgresql()), serving=False)
    said = of_database(app, exit_code=1)[-1]
    assert (said["part"], said["level"]) == ("direct URL", "error")
    assert "another database" in said["said"]


def test_setting_without_a_pooler_is_noted(make_app, pooled, postgresql_database, pooler_roles):
    url = postgresql_database.replace("postgres:@", f"{BOUNDED}:@")
    app = make_app(database_url=Secret(url), database_pooler="transaction")
    said = [one["said"] for one in of_database(app) if one["level"] == "note"]
    assert any("answers without a pooler" in one for one in said)
    assert any("DIRECT_URL is not set" in one for one in said)


def test_url_with_start_up_options_is_refused(make_app, pooled, postgresql_database):
    options = "?options=-csearch_path%3Dpublic"
    url = pooled(postgresql_database, "transaction") + options
    with pytest.raises(ConfigurationError, match="poolers in transaction mode refuse"):
        make_app(database_url=Secret(url), database_pooler="transaction")
    app = make_app(database_url=Secret(pooled(postgresql_database, "transaction", UNBOUNDED) + options), serving=False)
    [said] = of_database(app, exit_code=1)
    assert "refuses a start-up parameter" in said["said"]
