"""What callbacks say, of both environments, old kinds and new."""

import json
import random
import re
from datetime import UTC, datetime

import pytest

from tests.plugins.vonage.conftest import NOW
from videoconf.providers import ArchiveStatus, EventKind, ProviderPort, StreamState, WebhookRequest

SESSION = "2_MX40Nzk5OTExMX4"
CONNECTION = {"id": "c0e0", "createdAt": 1760000000100, "data": 'videoconf:1:{"attendee":"u-7","name":"Ada"}'}
STREAM = {"id": "63245362", "connection": CONNECTION, "createdAt": 1760000010000, "name": "", "videoType": "screen"}
AT = datetime(2025, 10, 9, 8, 53, 20, 123000, UTC)
CONNECTED_AT = datetime(2025, 10, 9, 8, 53, 20, 100000, UTC)


def said(provider, body, channel="session"):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"https://meet.example/webhooks/vonage/{channel}"
    return provider.parse_webhook(WebhookRequest(channel, "POST", url, {}, raw, NOW))


@pytest.fixture
def monitored(provider, environment):
    """Give a function that makes the body of a session monitoring callback."""
    return lambda event, **members: {
        "sessionId": SESSION,
        "projectId": provider.account,
        "event": event,
        "timestamp": 1760000000123,
        **members,
    }


@pytest.fixture
def archive(provider, environment):
    """Give a function that makes the body of an archive callback."""
    if environment == "opentok":
        account = {"partnerId": int(provider.account), "projectId": int(provider.account)}
    else:
        account = {"applicationId": provider.account}
    return lambda status, **members: {
        "id": "b40ef09b-3811-4726-b508-e41a0f96c68f",
        "event": "archive",
        "createdAt": 1760000000000,
        "updatedAt": 1760000400000,
        "duration": 328,
        "name": "visit 7",
        "reason": "session ended",
        "resolution": "1280x720",
        "outputMode": "composed",
        "sessionId": SESSION,
        "size": 18023312,
        "status": status,
        "url": "https://bucket.example/archive.mp4?signature=tops3cret",
        "password": "tops3cret",
        "sha256sum": "q0==",
        **account,
        **members,
    }


def test_a_connection_comes_and_goes(provider, monitored):
    (joined,) = said(provider, monitored("connectionCreated", connection=CONNECTION))
    (left,) = said(provider, monitored("connectionDestroyed", connection=CONNECTION, reason="networkDisconnected"))
    assert (joined.kind, left.kind) == (EventKind.JOINED, EventKind.LEFT)
    assert left.reason == "networkDisconnected"
    for event in (joined, left):
        assert (event.session_id, event.connection_id) == (SESSION, "c0e0")
        assert (event.attendee, event.name) == ("u-7", "Ada")
        assert (event.at, event.connected_at) == (AT, CONNECTED_AT)


@pytest.mark.parametrize("event", ["streamCreated", "streamDestroyed"])
def test_stream_names_its_connection_and_ends_no_presence(provider, monitored, event):
    (activity,) = said(provider, monitored(event, stream=STREAM, reason="clientDisconnected"))
    assert activity.kind is EventKind.ACTIVITY
    assert (activity.connection_id, activity.attendee, activity.name) == ("c0e0", "u-7", "Ada")
    assert activity.connected_at == CONNECTED_AT


@pytest.mark.parametrize(("event", "is_published"), [("streamCreated", True), ("streamDestroyed", False)])
def test_stream_event_carries_the_id_of_the_stream(provider, monitored, event, is_published):
    (told,) = said(provider, monitored(event, stream=STREAM))
    assert told.stream == StreamState("63245362", is_published)


@pytest.mark.parametrize("wrong", [None, "", 7, ["x"], "a/../b", "a?b", "ä", "x" * 65, "a\n"], ids=repr)
def test_a_stream_whose_id_cannot_be_used_still_proves_presence(provider, monitored, wrong):
    (told,) = said(provider, monitored("streamCreated", stream={**STREAM, "id": wrong}))
    assert (told.kind, told.connection_id, told.stream) == (EventKind.ACTIVITY, "c0e0", None)


def test_other_events_carry_no_stream(provider, monitored, archive):
    for body in (
        monitored("connectionCreated", connection=CONNECTION, stream=STREAM),
        monitored("connectionDestroyed", connection=CONNECTION, stream=STREAM),
        monitored("sessionDestroyed", stream=STREAM),
        archive("started", stream=STREAM),
    ):
        assert said(provider, body)[0].stream is None


def test_audio_only_stream_counts_as_a_stream(provider, monitored):
    stream = {name: value for name, value in STREAM.items() if name != "videoType"}
    assert said(provider, monitored("streamCreated", stream=stream))[0].connection_id == "c0e0"


@pytest.mark.parametrize("more", [{}, {"session": {"id": SESSION, "createdAt": 1760000000000}}])
def test_the_end_of_a_session_closes_it(provider, monitored, more):
    (closed,) = said(provider, monitored("sessionDestroyed", reason="serverRotation", **more))
    assert (closed.kind, closed.session_id, closed.at) == (EventKind.SESSION_CLOSED, SESSION, AT)
    for event in ("sessionCreated", "sessionNotification"):
        assert said(provider, monitored(event, **more))[0].kind is EventKind.IGNORED


OTHERS = ["callCreated", "callUpdated", "callDestroyed", "muteForced", "broadcast", "newThing", "", "a" * 5000]


@pytest.mark.parametrize("event", [*OTHERS, None, 7, ["archive"]], ids=lambda event: repr(event)[:20])
def test_events_of_other_kinds_are_ignored(provider, monitored, event):
    (ignored,) = said(provider, monitored(event, call={"id": "x"}))
    assert ignored.kind is EventKind.IGNORED
    assert len(ignored.dedupe_key) <= 200


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b"null", b"{", b"\xff", b"[" * 100_000, b'{"event":"connectionCreated"}']
)
def test_unreadable_callback_raises_an_error(provider, body):
    with pytest.raises(Exception):  # noqa: B017  # any: the seam says so
        said(provider, body)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sessionId": None},
        {"sessionId": 7},
        {"timestamp": None},
        {"timestamp": "soon"},
        {"timestamp": True},
        {"timestamp": -1},
        {"timestamp": 10**30},
        {"connection": None},
        {"connection": []},
        {"connection": {"id": 7}},
        {"connection": {}},
    ],
    ids=str,
)
def test_a_monitoring_callback_that_lacks_something_is_an_error(provider, monitored, wrong):
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        said(provider, monitored("connectionCreated", **{"connection": CONNECTION, **wrong}))


@pytest.mark.parametrize("data", [None, "", 7, [], {}])
def test_connection_without_data_is_anonymous(provider, monitored, data):
    (event,) = said(provider, monitored("connectionCreated", connection={**CONNECTION, "data": data}))
    assert (event.attendee, event.name) == (None, None)
    (event,) = said(provider, monitored("connectionCreated", connection={"id": "c"}))
    assert (event.attendee, event.connected_at) == (None, None)


def test_events_of_another_account_are_ignored(provider, monitored, archive):
    for body in (monitored("connectionCreated", connection=CONNECTION), archive("started")):
        bare = {name: value for name, value in body.items() if name not in ("projectId", "applicationId", "partnerId")}
        kind = said(provider, body)[0].kind
        assert said(provider, bare | {"applicationId": provider.account})[0].kind is kind
        assert said(provider, bare)[0].kind is kind
        assert said(provider, bare | {"projectId": "123"})[0].kind is EventKind.IGNORED
        assert said(provider, bare | {"applicationId": "123"})[0].kind is EventKind.IGNORED


@pytest.mark.parametrize("status", [status.value for status in ArchiveStatus])
def test_an_archive_reaches_a_status(provider, archive, status):
    (event,) = said(provider, archive(status), "archive")
    state = event.archive
    assert (event.kind, event.session_id, event.at) == (EventKind.ARCHIVE, SESSION, None)
    assert (state.archive_id, state.status, state.provider_status) == (archive("")["id"], ArchiveStatus(status), status)
    assert (state.duration_seconds, state.size_bytes, state.name) == (328, 18023312, "visit 7")
    assert (state.created_at.timestamp(), state.updated_at.timestamp()) == (1760000000, 1760000400)
    assert state.metadata == {"resolution": "1280x720", "outputMode": "composed", "sha256sum": "q0=="}
    assert "tops3cret" not in repr(event)


def test_unknown_status_keeps_the_providers_word(provider, archive):
    state = said(provider, archive("frozen"), "archive")[0].archive
    assert (state.status, state.provider_status) == (None, "frozen")


def test_numbers_may_be_strings_and_invalid_ones_are_omitted(provider, archive):
    state = said(provider, archive("stopped", size="18023312", duration=328.0, name="", reason="", url=None))[0].archive
    assert (state.size_bytes, state.duration_seconds, state.name, state.reason) == (18023312, 328, None, None)
    state = said(provider, archive("stopped", size="-1", duration=None, updatedAt="x", createdAt=10**30))[0].archive
    assert (state.size_bytes, state.duration_seconds, state.updated_at, state.created_at) == (None, None, None, None)


def test_only_a_repetition_has_the_same_key(provider, monitored, archive):
    bodies = [
        monitored("connectionCreated", connection=CONNECTION),
        monitored("connectionDestroyed", connection=CONNECTION),
        monitored("connectionDestroyed", connection=CONNECTION, reason="forceDisconnected"),
        monitored("connectionCreated", connection={**CONNECTION, "id": "other"}),
        monitored("connectionCreated", connection=CONNECTION, timestamp=1760000000124),
        monitored("connectionCreated", connection=CONNECTION, sessionId="2_other"),
        monitored("streamCreated", stream=STREAM),
        monitored("streamCreated", stream={**STREAM, "id": "other"}),
        monitored("streamDestroyed", stream=STREAM),
        monitored("sessionDestroyed"),
        monitored("sessionDestroyed", timestamp=1760000000124),
        monitored("sessionCreated"),
        monitored("newThing"),
        archive("started"),
        archive("paused"),
        archive("started", updatedAt=1760000500000),
        archive("stopped"),
        archive("stopped", size=1),
        archive("stopped", id="00000000-0000-0000-0000-000000000000"),
    ]
    keys = [said(provider, body)[0].dedupe_key for body in bodies]
    assert len(set(keys)) == len(bodies)
    for body, key in zip(bodies, keys, strict=True):
        shuffled = list(body.items())
        random.Random(1).shuffle(shuffled)
        assert said(provider, dict(shuffled))[0].dedupe_key == key
    # A fresh signature in an archive's URL makes no other event of it.
    assert said(provider, archive("stopped", url="https://bucket.example/other"))[0].dedupe_key == keys[16]


def test_archive_callback_without_event_is_read_by_channel(provider, archive):
    body = archive("available")
    del body["event"]
    (event,) = said(provider, body, "archive")
    assert (event.kind, event.archive.status) == (EventKind.ARCHIVE, ArchiveStatus.AVAILABLE)
    (elsewhere,) = said(provider, body, "session")
    assert elsewhere.kind is EventKind.IGNORED
    (other,) = said(provider, {**body, "event": "somethingNew"}, "archive")
    assert other.kind is EventKind.IGNORED


def test_signed_body_of_compact_mode_has_one_key(make_provider):
    """Whitespace is not signed in that mode, so whoever captured one callback may add any amount of it."""
    port = ProviderPort(make_provider(payload_hash="compact"))
    readable = json.dumps({"id": "a", "status": "available", "event": "archive", "size": 1234}, separators=(",", ":"))
    bodies = {"read": readable, "no id": readable.replace('"id"', '"i"'), "no object": "[1,23]", "no event": '{"a":tr}'}
    for compact in bodies.values():
        tokens = re.findall(r'"[^"]*"|.', compact)  # whitespace in a string is signed
        keys = set()
        for number in range(50):
            chance = random.Random(number)
            body = "".join(token + " \n" * chance.randrange(3) for token in tokens).encode()
            request = WebhookRequest("archive", "POST", "https://meet.example/webhooks/vonage/archive", {}, body, NOW)
            keys |= {event.dedupe_key for event in port.parse_webhook(request) if "unreadable" in event.dedupe_key}
        assert len(keys) == 1
