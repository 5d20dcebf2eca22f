"""What an event of Janus says, whatever it holds. These need no server."""

import json
from datetime import UTC, datetime

import pytest

from tests.plugins.janus.test_settings import GOOD
from videoconf.errors import WebhookRejected
from videoconf.providers import EventKind, Secret, StreamState, WebhookRequest
from videoconf_janus.tokens import derived_key
from videoconf_janus.webhooks import authorization, is_proven, parse, participants_of, verify

AT = datetime(2026, 5, 4, 12, 0, 0, 250_000, tzinfo=UTC)
KEY = derived_key(GOOD["room_key"], "identity")
PASSWORDS = (Secret("first-event-password"), Secret("second-event-password"))


def written(data=None, *, plugin="janus.plugin.videoroom", **changes):
    """Write an event as Janus posts it."""
    return {
        "emitter": "janus-1",
        "type": 64,
        "timestamp": int(AT.timestamp() * 10**6),
        "event": {"plugin": plugin, "data": data or {"event": "joined", "room": "m1", "id": "ann"}},
        **changes,
    }


def read(*documents):
    body = json.dumps(documents[0] if len(documents) == 1 else documents).encode()
    return parse(WebhookRequest("session", "POST", "/webhooks/janus/session", {}, body, AT), "janus-1", KEY)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("joined", EventKind.JOINED),
        ("leaving", EventKind.LEFT),
        ("kicked", EventKind.LEFT),
        ("configured", EventKind.ACTIVITY),
        ("published", EventKind.ACTIVITY),
        ("unpublished", EventKind.ACTIVITY),
        ("moderated", EventKind.ACTIVITY),
    ],
)
@pytest.mark.parametrize("member", ["event", "videoroom"])
def test_event_of_a_participant_has_its_kind(name, kind, member):
    [event] = read(written({member: name, "room": "m1", "id": "ann"}))
    assert (event.kind, event.session_id, event.connection_id, event.at) == (kind, "m1", "ann", AT)
    assert event.reason == ("kicked" if (name, member) == ("kicked", "event") else None)


def test_end_of_a_room_names_no_participant():
    [event] = read(written({"event": "destroyed", "room": "m1", "id": "ann"}))
    assert (event.kind, event.session_id, event.connection_id) == (EventKind.SESSION_CLOSED, "m1", None)


@pytest.mark.parametrize(
    "document",
    [
        written(emitter="janus-2"),
        written(emitter=None),
        written(type=128),
        written(type="64"),
        written(timestamp="1796009342137535"),
        written(timestamp=None),
        written(event=[]),
        written(plugin="janus.plugin.echotest"),
        written(plugin=17),
        written({"event": "joined", "id": "ann"}),
        written({"event": "joined", "room": 17, "id": "ann"}),
        written({"event": "joined", "room": "m1"}),
        written({"event": "joined", "room": "m1", "id": 17}),
        written({"event": "created", "room": "m1", "id": "ann"}),
        written({"event": "created", "room": "m1"}),
        written({"event": ["joined"], "room": "m1", "id": "ann"}),
        written({"room": "m1", "id": "ann"}),
        17,
        None,
        "joined",
    ],
    ids=str,
)
def test_event_of_another_shape_is_ignored_alone(document):
    ignored, event = read(document, written())
    assert (ignored.kind, event.kind) == (EventKind.IGNORED, EventKind.JOINED)
    assert (ignored.session_id, ignored.connection_id) == (None, None)
    assert len({ignored.dedupe_key, event.dedupe_key, ""}) == 3


def test_published_streams_are_events_of_their_own():
    streams = [{"mid": "0", "type": "audio"}, {"mid": "1", "type": "video"}, {"type": "data"}, {"mid": 2}, "3"]
    data = {"event": "published", "room": "m1", "id": "ann", "streams": streams}
    events = read(written(data))
    assert [event.stream for event in events] == [StreamState(mid, is_published=True) for mid in ("0", "1")]
    assert {(event.kind, event.connection_id, event.at) for event in events} == {(EventKind.ACTIVITY, "ann", AT)}
    assert len({event.dedupe_key for event in events}) == 2
    assert read(written(data)) == events


@pytest.mark.parametrize(
    "data",
    [
        {"event": "published"},
        {"event": "published", "streams": []},
        {"event": "published", "streams": {"mid": "0"}},
        {"event": "published", "streams": [{"mid": None}]},
        {"event": "configured", "streams": [{"mid": "0"}]},
        {"event": "joined", "streams": [{"mid": "0"}]},
    ],
    ids=str,
)
def test_event_without_published_streams_is_one_event(data):
    [event] = read(written({"room": "m1", "id": "ann", **data}))
    assert (event.connection_id, event.stream) == ("ann", None)


@pytest.mark.parametrize(
    ("participant", "connection"),
    [("a1b2.c3", "7~a1b2.c3"), ("1~bob", "7~1~bob"), ("ann", "ann")],
    ids=["prefix of another", "form of a claim", "free choice"],
)
def test_unproven_id_is_kept_apart(participant, connection):
    """The handle names the client, which has not shown that the id is its own."""
    document = written({"event": "joined", "room": "m1", "id": participant}, handle_id=7, opaque_id="unsigned")
    [event] = read(document)
    assert (event.connection_id, event.attendee, event.name) == (connection, None, None)
    assert not is_proven(connection)
    assert participant in participants_of(connection)


@pytest.mark.parametrize(
    ("connection", "participants"),
    [
        ("a1b2.c3", ["a1b2.c3"]),
        ("7~a1b2.c3", ["7~a1b2.c3", "a1b2.c3"]),
        ("7~1~bob", ["7~1~bob", "1~bob"]),
        ("x~ann", ["x~ann"]),
        ("7~", ["7~"]),
        ("~ann", ["~ann"]),
        ("7", ["7"]),
    ],
)
def test_connection_has_the_participants_it_may_be(connection, participants):
    assert participants_of(connection) == participants


def test_proven_connection_has_a_prefix_and_no_claim():
    assert [is_proven(one) for one in ("a1b2.c3", "ann", "7~a1b2.c3", "7~ann")] == [True, False, False, False]


@pytest.mark.parametrize("password", PASSWORDS)
def test_each_password_in_force_is_accepted(password):
    verify(request_with(authorization("janus", password)), "janus", PASSWORDS)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "X",
        "Basic",
        authorization("another", PASSWORDS[0]),
        authorization("janus", Secret("another-password")),
        authorization("janus", PASSWORDS[0]).lower(),
        authorization("janus", PASSWORDS[0]) + "\xe9",
    ],
)
def test_webhook_without_a_password_in_force_is_refused(header):
    with pytest.raises(WebhookRejected):
        verify(request_with(header), "janus", PASSWORDS)


def test_authorization_is_basic():
    assert authorization("janus", Secret("pa:ss")) == "Basic amFudXM6cGE6c3M="


def test_order_of_members_gives_no_other_key():
    event = written()
    [turned] = read(dict(reversed(event.items())))
    assert [turned] == read(event)


def request_with(header):
    headers = {} if header is None else {"authorization": header}
    return WebhookRequest("session", "POST", "/webhooks/janus/session", headers, b"{}", AT)
