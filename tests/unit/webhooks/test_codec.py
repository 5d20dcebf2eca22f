"""An event that waits for its meeting comes back as it was, whatever it says and whichever version wrote it."""

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from videoconf.providers import ArchiveState, ArchiveStatus, EventKind, ProviderEvent, StreamState
from videoconf.webhooks.codec import event_from_json, event_to_json

AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
FULL = ProviderEvent(
    EventKind.LEFT,
    "key",
    session_id="s",
    connection_id="c",
    attendee="ann",
    name="Ann 👩",
    at=AT,
    connected_at=AT.replace(hour=11),
    reason="network",
)
ARCHIVE = ArchiveState(
    archive_id="a",
    session_id="s",
    provider_status="uploaded",
    status=ArchiveStatus.UPLOADED,
    created_at=AT,
    updated_at=AT.replace(hour=13),
    duration_seconds=3,
    size_bytes=10**12,
    metadata={"a": [1, None, {"b": "c"}]},
    object_key="bucket/a.mp4",
)


@pytest.mark.parametrize(
    "event",
    [
        ProviderEvent(EventKind.IGNORED, "key"),
        FULL,
        dataclasses.replace(FULL, kind=EventKind.ACTIVITY, stream=StreamState("stream", is_published=True)),
        dataclasses.replace(FULL, kind=EventKind.ACTIVITY, stream=StreamState("stream", is_published=False)),
        ProviderEvent(EventKind.SESSION_CLOSED, "key", session_id="s", at=AT),
        ProviderEvent(EventKind.ARCHIVE, "key", session_id="s", archive=ARCHIVE),
        ProviderEvent(EventKind.ARCHIVE, "key", archive=ArchiveState("a", "s", "new word", None)),
    ],
    ids=lambda event: event.kind.value,
)
def test_event_comes_back_as_it_was(event: ProviderEvent) -> None:
    document = json.loads(json.dumps(event_to_json(event)))
    back = event_from_json(document)
    assert back == event
    assert isinstance(back.kind, EventKind)
    assert back.archive is None or back.archive.status is None or isinstance(back.archive.status, ArchiveStatus)


def test_document_omits_missing_members() -> None:
    assert event_to_json(ProviderEvent(EventKind.JOINED, "key")) == {"kind": "joined", "dedupe_key": "key"}


def test_member_of_newer_version_is_left_out() -> None:
    document = {**event_to_json(FULL), "mood": "good"}
    assert event_from_json(document) == FULL


def test_reading_leaves_document_as_it_was() -> None:
    document = event_to_json(ProviderEvent(EventKind.ARCHIVE, "key", archive=ARCHIVE, at=AT))
    before = json.dumps(document)
    event_from_json(document)
    assert json.dumps(document) == before
