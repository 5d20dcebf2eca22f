"""An authentic webhook is stored once, cleaned, and applied; one that cannot be stored is asked for again."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

import psycopg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import event, make_url, select, update

from tests.integration.webhooks.steps import connection, join, stored
from tests.support.service import ON_POSTGRESQL, ON_SQLITE, now_text, service_of
from videoconf.db.transactions import write
from videoconf.db.types import db
from videoconf.errors import DatabaseBusy
from videoconf.meetings.models import Meeting
from videoconf.meetings.session import Sessions
from videoconf.providers import SessionRef
from videoconf.webhooks.receive import REPLAY


def statuses(app):
    return [status for status, _ in stored(app)]


def test_webhook_is_visible_at_once_on_every_node(make_app, headers):
    here, there = service_of(make_app(), headers), service_of(make_app(), headers)
    link, joined = join(here, attendee="ann")
    assert there.post(joined).status == 204
    for node in (here, there):
        assert [person["attendee"] for person in node.api.attendees(link, active="true")] == ["ann"]


@pytest.mark.needs
def test_second_delivery_is_accepted_and_changes_nothing(service, app):
    link, joined = join(service, attendee="ann")
    assert service.post(joined).status == 204
    before = service.api.attendees(link)
    assert len(before) == 1
    for path, status in (("/webhooks/session", 204), (service.webhook_path, service.taken)):
        assert service.post(joined, path).status == status
    [again] = service.waiting()  # signed again, as each attempt is
    assert service.post(again).status == 204
    assert service.api.attendees(link) == before
    assert statuses(app) == ["applied"]


def test_unusable_event_is_accepted_and_stored(service, app):
    link = service.api.create()
    session = service.room(link)
    unknown_event = service.made_up("moon.risen", session)
    unknown_session = service.made_up("connection.created", connection=connection())
    unreadable = [service.signed(body, f"evt_{number}") for number, body in enumerate(service.writer.unreadable)]
    too_long = service.made_up("connection.created", session, connection=connection("c" * 256))
    unkept = service.made_up("connection.created", session, connection=connection("c\0"))
    for delivery in (unknown_event, unknown_session, *unreadable, too_long, unkept):
        assert service.post(delivery).status == 204, delivery.body[:40]

    assert statuses(app) == ["ignored", "orphan", *["quarantined"] * (len(unreadable) + 2)]
    assert [body for _, body in stored(app)][1:-2] == [unknown_session.body, *(one.body for one in unreadable)]
    assert service.api.attendees(link) == []


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("a\u0000b", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ("\u0007\r\n", "\ufffd\ufffd\n"),
        ("👩\u200d💻 اسم", "👩\u200d💻 اسم"),
        ("x" * 5000, "x" * 255),
        ("", None),
        ("'; DROP TABLE meeting; --", "'; DROP TABLE meeting; --"),
    ],
    ids=range(7),
)
@pytest.mark.needs("attendee_names", "free names")
def test_name_with_unstorable_characters_is_cleaned(service, name, seen):
    link = service.api.create()
    session = service.room(link)
    joined = service.made_up("connection.created", session, connection=connection(name=name, attendee=None))
    assert service.post(joined).status == 204
    assert [person["name"] for person in service.api.attendees(link)] == [seen]


@pytest.mark.parametrize(
    ("attendee", "seen"),
    [
        ("a\u0000b", "a\ufffdb"),
        ("a\u000bb", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ("a\t\n\u007f\u0085b", "a\t\n\u007f\u0085b"),
        ("x" * 5000, "x" * 1000),
        ("", None),
    ],
    ids=range(6),
)
@pytest.mark.needs("free names", long=True)
def test_attendee_id_is_cleaned_by_the_rule_for_callers(service, attendee, seen):
    link = service.api.create()
    session = service.room(link)
    joined = service.made_up("connection.created", session, connection=connection(attendee=attendee))
    assert service.post(joined).status == 204
    assert [person["attendee"] for person in service.api.attendees(link)] == [seen]


BAD_EVENTS = {
    "too long an id": {"connection_id": "c" * 256},
    "an id of a NUL": {"connection_id": "c\0"},
    "no dedupe key": {"dedupe_key": None},
    "an empty dedupe key": {"dedupe_key": ""},
    "no kind": {"kind": None},
    "a number for a name": {"name": 7},
    "a naive time": {"at": datetime(2026, 1, 1)},
    "no time at all": {"at": "now"},
    "no stream": {"stream": "camera"},
    "nothing": None,
}


@pytest.mark.parametrize("wrong", BAD_EVENTS)
def test_unreadable_event_does_not_block_others_of_its_webhook(service, app, wrong):
    def parse(request):
        [event] = service.provider.real.parse_webhook(request)
        bad = BAD_EVENTS[wrong] and replace(event, **({"dedupe_key": "bad"} | BAD_EVENTS[wrong]))
        return (bad, event, bad)

    link, joined = join(service, attendee="ann")
    service.provider.script("parse_webhook", parse, always=True)
    for _ in range(2):
        assert service.post(joined).status == 204
    assert [person["attendee"] for person in service.api.attendees(link)] == ["ann"]
    assert statuses(app) == ["quarantined", "applied", "quarantined"], "once each"


@pytest.mark.parametrize("days", [-4, 4])
def test_impossible_time_is_stored_and_not_applied(service, app, days):
    link = service.api.create()
    session = service.room(link)
    at = now_text(days=days)
    impossible = service.made_up("connection.created", session, at=at, connection=connection(created_at=at))
    assert service.post(impossible).status == 204
    assert statuses(app) == ["quarantined"]
    assert service.api.attendees(link) == []


def test_webhook_list_omits_raw_payloads(service):
    link = service.api.create()
    service.join(link, attendee="ann", name="Ann", data="what the client gets")
    service.deliver()
    [person] = service.api.attendees(link)
    assert person.keys() == {
        "attendee",
        "name",
        "sessionId",
        "isDeleted",
        "createdOn",
        "modifiedOn",
        "active",
        "durationSeconds",
        "connections",
    }
    [one] = person["connections"]
    assert one.keys() == {"id", "joined", "left", "reason", "inferred", "joinInferred"}


@ON_SQLITE
def test_webhook_is_accepted_without_a_provider_call(service):
    link, joined = join(service, attendee="ann")
    for name in CALLS:
        service.provider.script(name, AssertionError(name), always=True)
    assert service.post(joined).status == 204
    assert len(service.api.attendees(link)) == 1


CALLS = ("ensure_session", "end_session", "issue_token", "check")


@ON_SQLITE
@pytest.mark.parametrize("name", ["provider", "account"])
def test_same_session_id_at_another_provider_is_another_session(service, app, name):
    link, joined = join(service)
    session_id = service.api.read(link)["sessionId"]
    with app.app_context(), write() as session:
        session.execute(update(Meeting).values({name: "another"}))
    assert service.post(joined).status == 204
    assert statuses(app) == ["orphan"]
    with app.app_context(), write() as session:
        session.execute(update(Meeting).values(provider="another", account="another", session_id=None))
        [meeting_id] = session.execute(select(Meeting.id)).scalars()
        ref = {"provider": service.provider.key, "account": service.provider.account, name: "another"}
        session.execute(update(Meeting).values(provider=ref["provider"]))
        assert Sessions(REPLAY).bind(session, meeting_id, ref["provider"], SessionRef(ref["account"], session_id))
    assert statuses(app) == ["orphan"]


def test_webhook_is_stored_with_all_its_events_or_none(service, app):
    """The sender repeats what was not accepted, so no event of it may have been applied."""
    stores = []

    def parse(request):
        [one] = service.provider.real.parse_webhook(request)
        return (one, replace(one, dedupe_key="second"))

    def refuse_the_second(connection, cursor, statement, *others):
        if statement.startswith("INSERT INTO webhook_event"):
            stores.append(statement)
            if len(stores) == 2:
                raise DatabaseBusy

    link, joined = join(service, attendee="ann")
    service.provider.script("parse_webhook", parse, always=True)
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", refuse_the_second)
    assert service.post(joined).problem == (503, "database_busy")
    assert (service.api.attendees(link), stored(app)) == ([], [])
    assert service.post(joined).status == 204
    assert statuses(app) == ["applied", "applied"]


@ON_SQLITE
def test_uncommitted_webhook_is_not_counted(service, app):
    def counted():
        labels = {"provider": service.provider.key, "outcome": "applied"}
        return REGISTRY.get_sample_value("videoconf_webhook_events_total", labels) or 0

    _, joined = join(service)
    before = counted()

    def refuse(connection):
        raise DatabaseBusy

    with app.app_context():
        engine = db.engine
    event.listen(engine, "commit", refuse)
    try:
        assert service.post(joined).status == 503
    finally:
        event.remove(engine, "commit", refuse)
    assert counted() == before
    assert service.post(joined).status == 204
    assert counted() == before + 1


@ON_POSTGRESQL
def test_webhook_that_cannot_be_stored_answers_503(service, app, database_url):
    link, joined = join(service, attendee="ann")
    with psycopg.connect(make_url(database_url).render_as_string(hide_password=False)) as other:
        other.execute("LOCK TABLE webhook_event")
        refused = service.post(joined)
        assert refused.problem == (503, "database_busy")
        assert int(refused.headers["Retry-After"]) >= 1
    assert service.api.attendees(link) == []
    assert service.post(joined).status == 204
    assert len(service.api.attendees(link)) == 1


@ON_POSTGRESQL
def test_participant_who_joins_an_ending_meeting_is_disconnected(service, database_url):
    """It waits for another delivery of the same event, which stores nothing in the end."""
    _, joined = join(service)
    assert service.post(joined).status == 204
    url = make_url(database_url).render_as_string(hide_password=False)
    with psycopg.connect(url) as other, psycopg.connect(url, autocommit=True) as third:
        third.execute("CREATE TABLE known AS SELECT * FROM webhook_event")
        third.execute("TRUNCATE webhook_event, attendee_connection CASCADE")
        other.execute("INSERT INTO webhook_event SELECT * FROM known")
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(service.post, joined)
            waits = "wait_event_type = 'Lock' AND datname = current_database()"
            while not third.execute(f"SELECT true FROM pg_stat_activity WHERE {waits}").fetchone():
                assert not answer.done()
            third.execute("UPDATE meeting SET end_time = now() - interval '1 hour'")
            other.rollback()
            assert answer.result().status == 204
        assert third.execute("SELECT kind FROM job WHERE kind = 'end_session'").fetchall() == [("end_session",)]
