"""Faults of the database: a documented 503, nothing half done, and recovery without a restart."""

import sqlite3
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import make_url, text

from videoconf.api import health
from videoconf.api.health import CACHE_SECONDS
from videoconf.api.services import services
from videoconf.db.types import db
from videoconf.errors import DatabaseBusy
from videoconf.settings import Secret

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def assert_unavailable(answer, code):
    assert (answer.status_code, answer.json["code"]) == (503, code), answer.text
    assert answer.headers["Retry-After"]


def assert_not_ready(client):
    """A load balancer sends writers to a node that can store; this one still answers reads."""
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["checks"]["writes"]) == (503, "database_full")
    assert client.get("/healthz").status_code == 200, "a restart would not help"


@contextmanager
def session_of(database_url, **options):
    url = make_url(database_url).render_as_string(hide_password=False)
    with psycopg.connect(url, **options) as connection:
        yield connection


@pytest.fixture
def link(client, headers):
    return client.post("/session", headers=headers()).data.decode().strip('"')


@on_postgresql
def test_request_waits_one_second_for_a_locked_row(client, headers, link, database_url):
    with session_of(database_url) as other:
        other.execute("SELECT 1 FROM meeting FOR UPDATE")
        assert_unavailable(client.patch(f"/session/{link}", headers=headers(), json={"extId": "x"}), "database_busy")
        assert client.get(f"/session/{link}", headers=headers()).json["extId"] is None
    assert client.patch(f"/session/{link}", headers=headers(), json={"extId": "x"}).status_code == 204


@on_postgresql
def test_exhausted_pool_answers_503(make_app, headers):
    app = make_app(database_pool_size=1)
    client = app.test_client()
    held, go_on = threading.Event(), threading.Event()

    def hold():
        with app.app_context(), db.engine.connect():
            held.set()
            go_on.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    try:
        assert_unavailable(client.get("/session", headers=headers()), "database_busy")
        assert client.get("/healthz").status_code == 200
    finally:
        go_on.set()
        holder.join()
    assert client.get("/session", headers=headers()).status_code == 200


@on_postgresql
def test_read_only_database_still_serves_reads(app, client, headers, link, database_url):
    name = make_url(database_url).database
    with session_of(database_url, autocommit=True) as other:
        other.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    with app.app_context():
        db.engine.dispose()
    assert_unavailable(client.post("/session", headers=headers()), "database_full")
    assert client.get(f"/session/{link}", headers=headers()).status_code == 200
    assert_not_ready(client)
    with session_of(database_url, autocommit=True) as other:
        other.execute("SET default_transaction_read_only = off")
        other.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = off')
    with app.app_context():
        db.engine.dispose()
    assert client.post("/session", headers=headers()).status_code == 200


@on_postgresql
def test_database_without_free_connections_answers_503(make_app, headers, database_url):
    name = make_url(database_url).database
    with session_of(database_url, autocommit=True) as other:
        if not other.execute("SELECT 1 FROM pg_roles WHERE rolname = 'limited'").fetchone():
            other.execute("CREATE ROLE limited LOGIN")  # superusers have no limit
        other.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')
    url = Secret(make_url(database_url).set(username="limited").render_as_string(hide_password=False))
    client = make_app(database_url=url).test_client()
    assert_unavailable(client.get("/session", headers=headers()), "database_unavailable")
    assert client.get("/healthz").status_code == 200


@on_postgresql
def test_absent_server_answers_503(make_app, headers):
    away = Secret("postgresql://unknown@127.0.0.1:9/none")
    client = make_app(database_url=away).test_client()
    for answer in (
        client.get("/session", headers=headers()),
        client.post("/session", headers=headers()),
    ):
        assert_unavailable(answer, "database_unavailable")
    assert client.get("/healthz").status_code == 200
    readiness = client.get("/readyz")
    assert readiness.status_code == 503
    assert readiness.json["checks"]["database"] != "ok"


@on_postgresql
def test_statement_is_stopped_after_three_seconds(app):
    with app.app_context(), db.engine.connect() as connection:
        limit = connection.execute(text("SHOW statement_timeout")).scalar_one()
    assert limit == "3s"


@on_postgresql
def test_broken_connection_answers_503_and_the_next_call_works(app, client, headers, link, database_url):
    armed = [True]

    def cut(connection, cursor, statement, *rest):
        if armed[0] and statement.startswith("UPDATE meeting"):
            armed[0] = False
            with session_of(database_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (cursor.connection.info.backend_pid,))

    from sqlalchemy import event

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", cut)
    answer = client.patch(f"/session/{link}", headers=headers(), json={"extId": "x"})
    assert_unavailable(answer, "database_unavailable")
    assert client.get(f"/session/{link}", headers=headers()).json["extId"] is None
    assert client.patch(f"/session/{link}", headers=headers(), json={"extId": "x"}).status_code == 204


@on_sqlite
def test_locked_file_answers_503(make_app, headers, database_url, monkeypatch):
    monkeypatch.setattr("videoconf.db.engine.SQLITE_WAIT_SECONDS", 0.2)
    client = make_app().test_client()
    with sqlite3.connect(make_url(database_url).database, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert_unavailable(client.post("/session", headers=headers()), "database_busy")
        other.execute("ROLLBACK")
    assert client.post("/session", headers=headers()).status_code == 200


@on_sqlite
def test_full_disk_answers_503_and_still_reads(app, client, headers, link):
    def fill(connection, record, proxy):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages if full else 2**30}")

    from sqlalchemy import event

    with app.app_context():
        event.listen(db.engine, "checkout", fill)
    full = True
    big = {"extMetadata": {"text": "x" * 16_000}}
    answers = [client.post("/session", headers=headers(), json=big) for _ in range(3)]
    assert_unavailable(answers[-1], "database_full")
    assert client.get(f"/session/{link}", headers=headers()).status_code == 200
    assert_not_ready(client)
    full = False
    assert client.post("/session", headers=headers(), json=big).status_code == 200
    time.sleep(CACHE_SECONDS)
    assert client.get("/readyz").status_code == 200


@on_sqlite
def test_probe_answers_while_another_hangs_in_the_database(app, client, monkeypatch):
    """Each would hold a thread, and with enough of them no thread is left for the liveness probe."""
    from sqlalchemy import event

    monkeypatch.setattr(health, "CACHE_SECONDS", 0)
    assert client.get("/readyz").status_code == 200
    asked, over = threading.Event(), threading.Event()

    def hang(*statement):
        asked.set()
        assert over.wait(20)

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", hang)
    first = threading.Thread(target=lambda: app.test_client().get("/readyz"))
    first.start()
    try:
        assert asked.wait(10)
        began = time.monotonic()
        assert [app.test_client().get("/readyz").status_code for _ in range(5)] == [200] * 5
        assert time.monotonic() - began < 5
    finally:
        over.set()
        first.join()


@on_sqlite
def test_readiness_names_a_database_that_fails_on_the_way(app, client, monkeypatch):
    """An error in place of a result was never kept, so that each probe of a flood asked again and held its thread."""
    asked = []

    def fail():
        asked.append(1)
        raise DatabaseBusy

    monkeypatch.setattr(services(app).credentials, "unknown_key_ids", fail)
    for _ in range(3):
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json.get("checks", {}).get("database")) == (503, "database_busy")
    assert asked == [1]
