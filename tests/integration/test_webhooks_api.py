"""Webhooks: what is proven is taken, once, and seen at once; what is not proven leaves no trace."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

import psycopg
import pytest
from sqlalchemy import event, make_url, select, update

from tests.service import ON_POSTGRESQL, ON_SQLITE, Answer, SteppedClock, now_text, plugins_with, service_of
from videoconf.db.transactions import read, write
from videoconf.db.types import db
from videoconf.errors import DatabaseBusy, ProviderTimeout
from videoconf.meetings.models import Meeting
from videoconf.meetings.session import Sessions
from videoconf.observability.metrics import WEBHOOK_EVENTS
from videoconf.providers import Secret, SessionRef, WebhookReply
from videoconf.webhooks.models import WebhookEvent
from videoconf.webhooks.receive import REPLAY
from videoconf_fake.provider import CAPABILITIES, FakeProvider
from videoconf_fake.webhooks import sign, signer


@pytest.fixture
def clock():
    return SteppedClock()


@pytest.fixture
def app(make_app, clock):
    return make_app(clock=clock)


@pytest.fixture
def service(app, headers):
    return service_of(app, headers)


def stored(app):
    """Read the inbox: status and body of every event."""
    with app.app_context(), read() as session:
        return session.execute(select(WebhookEvent.status, WebhookEvent.body).order_by(WebhookEvent.id)).all()


def statuses(app):
    return [status for status, _ in stored(app)]


def connection(id="fc_1", **members):
    return {"id": id, "created_at": now_text(), "attendee": "ann", "name": "Ann", **members}


# --- what is not proven ---------------------------------------------------------------------------------------------

FORGERIES = {
    "no signature": {"webhook_signature": ""},
    "no headers at all": {"webhook_signature": "", "webhook_id": "", "webhook_timestamp": ""},
    "a signature of nothing": {"webhook_signature": "v1,"},
    "another scheme": {"webhook_signature": "v0,AAAA"},
    "not base64": {"webhook_signature": "v1,✗".encode().decode("latin-1")},
    "another id": {"webhook_id": "evt_other"},
    "no time": {"webhook_timestamp": "now"},
    "a time of other digits": {"webhook_timestamp": "١٢٣".encode().decode("latin-1")},
    "a huge time": {"webhook_timestamp": "9" * 40},
    "a negative time": {"webhook_timestamp": "-1"},
}


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.needs
def test_a_forgery_is_refused_and_leaves_no_trace(service, app, forgery):
    link = service.api.create()
    genuine = service.made_up("connection.created", service.room(link), connection=connection())
    assert_refused(service.post(genuine, **FORGERIES[forgery]))
    assert stored(app) == []
    assert service.api.attendees(link) == []
    assert service.post(genuine).status == 204, "unchanged it is taken"


def assert_refused(answer: Answer):
    assert answer.problem == (401, "webhook_rejected")
    assert answer.json["detail"] == answer.json["title"], "one wording for every cause"
    assert "errors" not in answer.json


@ON_SQLITE
def test_any_changed_byte_is_a_forgery(service, app):
    genuine = service.made_up("connection.created", connection=connection())
    for position in range(0, len(genuine.body), 7):
        body = bytearray(genuine.body)
        body[position] ^= 1
        assert_refused(service.send("POST", "/webhooks/session", bytes(body), genuine.headers))
    for body in (genuine.body + b" ", genuine.body[:-1], b"", b"\xff", None):
        assert_refused(service.send("POST", "/webhooks/session", body, genuine.headers))
    assert stored(app) == []


@ON_SQLITE
def test_a_signature_by_another_secret_is_a_forgery(service, app):
    genuine = service.made_up("connection.created")
    other = signer(Secret("whsec_" + "QQ" * 20))
    forged = sign(other, genuine.event_id, genuine.body, service.provider.context.clock())
    assert_refused(service.send("POST", "/webhooks/session", genuine.body, forged))
    assert stored(app) == []


@ON_SQLITE
@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_stale_signature_is_refused_in_both_directions(service, app, clock, seconds):
    genuine = service.made_up("connection.created", connection=connection())
    clock.step(seconds=-seconds)
    assert_refused(service.post(genuine))
    assert stored(app) == []
    clock.step(seconds=1 if seconds > 0 else -1)
    assert service.post(genuine).status == 204


@ON_SQLITE
def test_a_bearer_token_proves_nothing_about_a_webhook(service, app):
    genuine = service.made_up("connection.created")
    answer = service.api("POST", "/webhooks/session", json.loads(genuine.body))
    assert_refused(answer)
    assert stored(app) == []


@ON_SQLITE
@pytest.mark.parametrize(
    "error",
    [RuntimeError(), KeyError("id"), UnicodeDecodeError("utf-8", b"", 0, 1, "no"), RecursionError(), ProviderTimeout()],
    ids=lambda error: type(error).__name__,
)
def test_a_verifier_that_raises_anything_has_proven_nothing(make_app, headers, error):
    class Broken(FakeProvider):
        def verify_webhook(self, request):
            raise error

    app = make_app(plugins=plugins_with(Broken))
    service = service_of(app, headers)
    assert_refused(service.post(service.made_up("connection.created")))
    assert stored(app) == []


# --- where they are sent --------------------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.needs
def test_the_documented_route_and_the_providers_own_take_the_same(service, app):
    for path in ("/webhooks/session", "/webhooks/fake/session", "/webhooks/fake/archive"):
        answer = service.post(service.made_up("connection.created", connection=connection()), path)
        assert (answer.status, answer.body) == (204 if path == "/webhooks/session" else service.taken, b"")
    assert len(stored(app)) == 3


@ON_SQLITE
@pytest.mark.parametrize("path", ["/webhooks/nobody/session", "/webhooks/fake/nothing", "/webhooks/FAKE/session"])
def test_an_unknown_provider_or_channel_is_404(service, app, path):
    assert service.post(service.made_up("connection.created"), path).problem[0] == 404
    assert stored(app) == []


@ON_SQLITE
def test_a_webhook_is_posted(service):
    for path in ("/webhooks/session", "/webhooks/fake/session"):
        assert service.stranger("GET", path).problem == (405, "method_not_allowed")


@ON_SQLITE
def test_the_providers_own_route_answers_what_the_provider_takes_for_success(make_app, headers):
    class Picky(FakeProvider):
        capabilities = replace(CAPABILITIES, webhook_success_status=200)

    service = service_of(make_app(plugins=plugins_with(Picky)), headers)
    assert service.post(service.made_up("a"), "/webhooks/fake/session").status == 200
    assert service.post(service.made_up("b"), "/webhooks/session").status == 204, "as documented, whatever the provider"


@ON_SQLITE
def test_a_handshake_is_answered_once_it_is_proven(make_app, headers):
    class Shaking(FakeProvider):
        def answer_handshake(self, request):
            return WebhookReply(201, request.body[::-1], "text/x-echo") if b"challenge" in request.body else None

    app = make_app(plugins=plugins_with(Shaking))
    service = service_of(app, headers)
    shake = service.signed(b"challenge")
    answer = service.post(shake)
    assert (answer.status, answer.body) == (201, b"egnellahc")
    assert answer.headers["Content-Type"].startswith("text/x-echo")
    assert_refused(service.post(shake, webhook_signature="v1,AAAA"))
    assert stored(app) == []


@ON_SQLITE
def test_the_url_that_is_verified_is_the_configured_one(make_app, headers):
    seen = []

    class Looking(FakeProvider):
        def verify_webhook(self, request):
            super().verify_webhook(request)
            seen.append(request)

    service = service_of(make_app(plugins=plugins_with(Looking), public_url="https://meet.example"), headers)
    path = "/webhooks/fake/session?a=1&b=%20"
    assert service.post(service.made_up("a"), path, Host="evil.example", X_Forwarded_Host="evil.example").status == 204
    [request] = seen
    assert (request.url, request.method, request.channel) == (f"https://meet.example{path}", "POST", "session")
    assert set(request.headers) == {name.lower() for name in request.headers}
    assert isinstance(request.body, bytes)


# --- what is proven -------------------------------------------------------------------------------------------------


def test_a_webhook_is_seen_at_once_on_every_node(make_app, headers):
    here, there = service_of(make_app(), headers), service_of(make_app(), headers)
    link = here.api.create()
    here.join(link, attendee="ann")
    [joined] = here.waiting()
    assert there.post(joined).status == 204
    for node in (here, there):
        assert [person["attendee"] for person in node.api.attendees(link, active="true")] == ["ann"]


@pytest.mark.needs
def test_a_second_delivery_is_taken_and_changes_nothing(service, app):
    link = service.api.create()
    service.join(link, attendee="ann")
    [joined] = service.waiting()
    assert service.post(joined).status == 204
    before = service.api.attendees(link)
    assert len(before) == 1
    for path, status in (("/webhooks/session", 204), ("/webhooks/fake/session", service.taken)):
        assert service.post(joined, path).status == status
    [again] = service.waiting()  # signed anew, as each attempt is
    assert service.post(again).status == 204
    assert service.api.attendees(link) == before
    assert statuses(app) == ["applied"]


def test_what_a_repetition_cannot_improve_is_taken_and_kept(service, app):
    link = service.api.create()
    session = service.room(link)
    unknown_event = service.made_up("moon.risen", session)
    unknown_session = service.made_up("connection.created", "fs_nowhere", connection=connection())
    unreadable = [
        service.signed(body, f"evt_{number}")
        for number, body in enumerate(
            [
                b"",
                b"no json",
                b"[]",
                b"null",
                b"{}",
                b"[" * 5000,
                json.dumps({"id": "", "type": "connection.created"}).encode(),
                json.dumps({"id": "e", "type": "connection.created", "session": session}).encode(),
                json.dumps({"id": "e" * 201, "type": "connection.created"}).encode(),
            ]
        )
    ]
    too_long = service.made_up("connection.created", session, connection=connection("c" * 256))
    unkept = service.made_up("connection.created", session, connection=connection("c\0"))
    for delivery in (unknown_event, unknown_session, *unreadable, too_long, unkept):
        assert service.post(delivery).status == 204, delivery.body[:40]

    assert statuses(app) == ["ignored", "orphan", *["quarantined"] * 9, "quarantined", "quarantined"]
    assert [body for _, body in stored(app)][1:11] == [unknown_session.body, *(one.body for one in unreadable)]
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
@pytest.mark.needs("attendee_names")
def test_a_name_that_no_database_takes_is_cleaned_and_fails_no_webhook(service, name, seen):
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
def test_an_attendees_id_that_no_database_takes_is_cleaned_by_the_rule_for_callers(service, attendee, seen):
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
def test_an_event_that_cannot_be_read_takes_no_other_of_its_webhook_with_it(make_app, headers, wrong):
    class Batching(FakeProvider):
        def parse_webhook(self, request):
            [event] = super().parse_webhook(request)
            bad = BAD_EVENTS[wrong] and replace(event, **({"dedupe_key": "bad"} | BAD_EVENTS[wrong]))
            return (bad, event, bad)

    app = make_app(plugins=plugins_with(Batching))
    service = service_of(app, headers)
    link = service.api.create()
    service.join(link, attendee="ann")
    [joined] = service.waiting()
    for _ in range(2):
        assert service.post(joined).status == 204
    assert [person["attendee"] for person in service.api.attendees(link)] == ["ann"]
    assert statuses(app) == ["quarantined", "applied", "quarantined"], "once each"


@pytest.mark.parametrize("days", [-4, 4])
def test_a_time_that_cannot_be_true_is_kept_and_not_believed(service, app, days):
    link = service.api.create()
    session = service.room(link)
    at = now_text(days=days)
    impossible = service.made_up("connection.created", session, at=at, connection=connection(created_at=at))
    assert service.post(impossible).status == 204
    assert statuses(app) == ["quarantined"]
    assert service.api.attendees(link) == []


def test_the_answer_to_the_list_holds_no_raw_payload(service):
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
def test_no_provider_is_called_while_a_webhook_is_taken(make_app, headers):
    class Alone(FakeProvider):
        opened = True

        def __getattribute__(self, name):
            if name in FORBIDDEN and not Alone.opened:
                raise AssertionError(f"{name} was called")
            return super().__getattribute__(name)

    service = service_of(make_app(plugins=plugins_with(Alone)), headers)
    link = service.api.create()
    service.join(link, attendee="ann")
    waiting = service.waiting()
    Alone.opened = False
    for delivery in waiting:
        assert service.post(delivery).status == 204
    assert len(service.api.attendees(link)) == 1
    Alone.opened = True  # when the application is gone the provider is closed


FORBIDDEN = {"ensure_session", "end_session", "issue_token", "check", "list_connections", "get_archive", "state"}


# --- our own storage fails ------------------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.parametrize("name", ["provider", "account"])
def test_a_session_of_the_same_id_elsewhere_is_another(service, app, name):
    link = service.api.create()
    service.join(link)
    session_id = service.api.read(link)["sessionId"]
    with app.app_context(), write() as session:
        session.execute(update(Meeting).values({name: "another"}))
    service.deliver()
    assert statuses(app) == ["orphan"]
    with app.app_context(), write() as session:
        session.execute(update(Meeting).values(provider="another", account="another", session_id=None))
        [meeting_id] = session.execute(select(Meeting.id)).scalars()
        ref = {"provider": "fake", "account": service.provider.account, name: "another"}
        session.execute(update(Meeting).values(provider=ref["provider"]))
        assert Sessions(REPLAY).bind(session, meeting_id, ref["provider"], SessionRef(ref["account"], session_id))
    assert statuses(app) == ["orphan"]


@ON_SQLITE
def test_what_was_not_committed_is_not_counted(service, app):
    counted = WEBHOOK_EVENTS.labels("fake", "applied")._value.get
    service.join(service.api.create())
    [joined] = service.waiting()
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
def test_a_webhook_that_cannot_be_stored_is_asked_for_again(service, app, database_url):
    link = service.api.create()
    service.join(link, attendee="ann")
    [joined] = service.waiting()
    with psycopg.connect(make_url(database_url).render_as_string(hide_password=False)) as other:
        other.execute("LOCK TABLE webhook_event")
        refused = service.post(joined)
        assert refused.problem == (503, "database_busy")
        assert int(refused.headers["Retry-After"]) >= 1
    assert service.api.attendees(link) == []
    assert service.post(joined).status == 204
    assert len(service.api.attendees(link)) == 1


@ON_POSTGRESQL
def test_who_joins_a_meeting_that_ends_while_their_webhook_waits_is_disconnected(service, database_url):
    """It waits for another delivery of the same event, which stores nothing in the end."""
    service.join(service.api.create())
    [joined] = service.waiting()
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


# --- the list itself ------------------------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("active=yes", "active"),
        ("active=TRUE", "active"),
        ("active=1", "active"),
        ("active=", "active"),
        ("active=true&active=false", "active"),
        ("page=0", "page"),
        ("page=1&pageSize=101", "pageSize"),
        ("gone=true", "gone"),
    ],
)
def test_the_list_refuses_what_it_does_not_take(service, query, path):
    assert service.api("GET", f"/session/{service.api.create()}/attendees?{query}").wrong == [path]


def test_the_list_is_whole_unless_a_page_is_asked_for(service):
    api = service.api
    link = api.create()
    session = service.room(link)
    for number in range(60):
        one = connection(f"fc_{number}", attendee=f"u-{number:02}", created_at=now_text(minutes=-number))
        assert service.post(service.made_up("connection.created", session, connection=one)).status == 204

    everybody = [f"u-{number:02}" for number in reversed(range(60))]
    whole = api("GET", f"/session/{link}/attendees")
    assert [person["attendee"] for person in whole.json] == everybody, "by first join"
    assert "X-Pagination" not in whole.headers
    pages = [api("GET", f"/session/{link}/attendees?active=true&page={page}&pageSize=25") for page in (1, 2, 3)]
    assert [person["attendee"] for page in pages for person in page.json] == everybody
    assert [len(page.json) for page in pages] == [25, 25, 10]
    assert json.loads(pages[1].headers["X-Pagination"])["total"] == 60
    assert f'</session/{link}/attendees?active=true&page=3&pageSize=25>; rel="next"' in pages[1].headers["Link"]
    assert len(api("GET", f"/session/{link}/attendees?page=1").json) == 50


@pytest.mark.needs
def test_ids_that_differ_only_in_what_a_database_might_fold_are_different(service):
    api = service.api
    link = api.create()
    session = service.room(link)
    attendees = ["Ann", "ann", "ann ", " ann", "änn", "a\u0308nn", str(uuid.UUID(int=7)), str(uuid.UUID(int=7)).upper()]
    attendees[-1] = "URN:" + attendees[-1]
    for number, attendee in enumerate(attendees):
        one = connection(f"fc_{number}", attendee=attendee, created_at=now_text(seconds=number - 60))
        assert service.post(service.made_up("connection.created", session, connection=one)).status == 204
    assert [person["attendee"] for person in api.attendees(link)] == attendees
