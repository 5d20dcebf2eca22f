"""``db upgrade`` was forgotten: callers get Retry-After, and the log says once what is to be done."""

from itertools import count
from threading import Event

import pytest
from sqlalchemy import text

from videoconf.api.database_checks import code_revisions
from videoconf.api.services import services
from videoconf.cli.process import collect_metrics
from videoconf.db.transactions import write
from videoconf.errors import SchemaNotReady
from videoconf.jobs.worker import Worker
from videoconf.settings import Secret

REMEDY = "Run: videoconf db upgrade"


@pytest.fixture
def unmigrated(make_app, empty_database_url):
    return make_app(database_url=Secret(empty_database_url))


def test_callers_get_503_with_retry_after(unmigrated, headers, caplog):
    at_start = caplog.get_records("setup")
    [said] = [record.getMessage() for record in at_start if REMEDY in record.getMessage()]
    assert "this release needs revision" in said
    client = unmigrated.test_client()
    for answer in (client.get("/session", headers=headers()), client.post("/session", headers=headers())):
        assert (answer.status_code, answer.json["code"]) == (503, "schema_not_ready")
        assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/readyz").status_code == 503
    assert b"videoconf_request_seconds" in collect_metrics(unmigrated)
    assert not any(record.exc_info for record in caplog.records), "a trace says nothing here"


def test_schema_of_an_older_release_is_not_ready(make_app, headers):
    app = make_app()
    assert app.test_client().post("/session", headers=headers()).status_code == 200
    with app.app_context(), write() as session:
        session.execute(text("ALTER TABLE meeting DROP COLUMN upload_target"))
    for ask in (app.test_client().get, app.test_client().post):
        answer = ask("/session", headers=headers())
        assert (answer.status_code, answer.json["code"]) == (503, "schema_not_ready")


def test_node_on_an_older_schema_stores_all_or_nothing(make_app, headers):
    """A load balancer takes such a node out. Who calls it anyway gets what the older schema can hold, or 503."""
    app = make_app()
    client = app.test_client()
    needed, former, *_ = code_revisions()
    with app.app_context(), write() as session:
        session.execute(text("UPDATE videoconf_version SET version_num = :former"), {"former": former})
        session.execute(text("ALTER TABLE audit_entry DROP COLUMN actor_type"))
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json["checks"] == {
        "database": "ok",
        "schema": f"revision {former}; this release needs revision {needed}",
    }
    assert client.get("/session", headers=headers()).status_code == 200, "what fits is served"
    answer = client.post("/session", headers=headers())
    assert (answer.status_code, answer.json["code"]) == (503, "schema_not_ready")
    assert client.get("/session", headers=headers()).json == [], "the meeting is not stored without its entry"


def test_waiting_worker_logs_that_it_waits_once(unmigrated, caplog, monkeypatch):
    monkeypatch.setattr("videoconf.jobs.worker.IDLE_SECONDS", 0.01)
    rounds, seen = count(1), Event()

    def context():
        if next(rounds) > 15:  # three of each of the five threads
            seen.set()
        return unmigrated.app_context()

    caplog.clear()
    worker = Worker(services(unmigrated).jobs, context)
    worker.start()
    assert seen.wait(20)
    worker.stop()
    said = [record.getMessage() for record in caplog.records]
    paused = f"job worker paused: schema_not_ready: {SchemaNotReady.title}. {REMEDY} ("  # and the database's reason
    assert [line.startswith(paused) for line in said] == [True] * 5, "once in each thread"
