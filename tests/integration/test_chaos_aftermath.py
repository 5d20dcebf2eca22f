"""What ``make chaos`` finds in a database afterwards, it does find."""

import psycopg
import pytest
from sqlalchemy import delete, insert

from bench.chaos import events
from bench.chaos.aftermath import leaks, settle, surplus_sessions
from bench.chaos.history import Call, Kind
from tests.support.service import ON_POSTGRESQL
from videoconf.api.services import services
from videoconf.db.functions import utc_in
from videoconf.db.transactions import write
from videoconf.events.models import Change
from videoconf.events.subscription_models import EventDelivery, EventSubscription
from videoconf.jobs.models import Job
from videoconf.jobs.worker import Worker
from videoconf.meetings.models import Meeting

pytestmark = ON_POSTGRESQL


@pytest.fixture
def url(app, client, headers, database_url):
    """A database with data: nothing is left behind."""
    for _ in range(2):
        assert client.post("/session", headers=headers()).status_code == 200
    assert leaks(database_url, 8, idle_seconds=0) == []
    return database_url


def sessions(url):
    with psycopg.connect(url) as connection:
        return {session for (session,) in connection.execute("SELECT session_id FROM meeting")}


def test_an_open_transaction_is_found(url):
    with psycopg.connect(url) as leaked:
        leaked.execute("SELECT 1")
        assert leaks(url, 8, idle_seconds=0) == ["1 connections are idle in a transaction"]


def test_connections_beyond_the_pools_are_found(url):
    open_now = [psycopg.connect(url, autocommit=True) for _ in range(9)]
    [found] = leaks(url, 4)
    assert "more than the pools hold" in found
    for connection in open_now:
        connection.close()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"state": "dead"}, "1 jobs are dead"),
        ({}, "1 jobs wait that should be done"),
        ({"key": "recurs", "lease_until": utc_in(-61)}, "1 jobs are held without an owner"),
    ],
)
def test_jobs_that_are_stuck_are_found(app, url, row, said):
    with app.app_context(), write() as session:
        session.execute(insert(Job).values(kind="x", payload={}, **row))
    assert leaks(url, 8) == [said]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE meeting SET session_id = 'same'", "sessions belong to several"),
        ("UPDATE meeting SET is_ready = false", "neither completed nor taken back"),
        ("UPDATE meeting SET start_time = now(), end_time = now() - interval '1 s'", "end before they start"),
    ],
)
def test_impossible_meetings_are_found(url, change, said):
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE meeting DROP CONSTRAINT uq_meeting_provider_account_session_id")
        connection.execute(change)
    [found] = leaks(url, 8)
    assert said in found


def test_unexplained_sessions_are_found(url):
    used = sessions(url)
    assert surplus_sessions(url, used, []) == []
    assert "belong to no meeting" in surplus_sessions(url, used | {"surplus"}, [])[0]
    unknown = Call(Kind.CREATE, "acme", "", 1, "k", status=504)
    assert surplus_sessions(url, used | {"surplus"}, [unknown]) == []
    assert "never made" in surplus_sessions(url, set(), [])[0]


def test_time_passes_for_a_creation_that_was_cut_off(app, url):
    with app.app_context():
        with write() as session:
            session.execute(Meeting.__table__.update().values(is_ready=False, session_id=None))
        services(app).jobs.run_due()
        assert leaks(url, 8)
    worker = Worker(services(app).jobs, app.app_context)
    worker.start()
    settle(url)
    worker.stop()
    assert leaks(url, 8) == []


def test_settling_hastens_a_delivery_that_failed_twice(app, url, monkeypatch):
    monkeypatch.setattr(events, "SETTLE_SECONDS", 0.5)
    one = {"tenant": "default", "url": "https://receiver.example", "secret": b"", "created_by": "a", "modified_by": "a"}
    waits = {"event_id": "evt_1", "type": "ping", "status": "pending", "attempts": [], "next_attempt_at": utc_in(3600)}
    with app.app_context(), write() as session:
        behind = insert(EventSubscription).values(
            **one, public_id="esub_1", position=0, newest=0, retry_at=utc_in(3600)
        )
        subscription = session.execute(behind.returning(EventSubscription.id)).scalar_one()
        session.execute(insert(EventDelivery).values(**waits, subscription_id=subscription))
        session.execute(delete(Change))
    assert events.settle_events(url) == ["(0, 0, 1) changes, positions of subscriptions and deliveries still wait"]
    with psycopg.connect(url) as connection:
        due = connection.execute(
            "SELECT next_attempt_at <= now(), retry_at <= now() FROM event_delivery, event_subscription"
        )
        assert due.fetchall() == [(True, True)]
