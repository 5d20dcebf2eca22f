"""Events as text: cleaned before they touch the database, and written down while their session is not known."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

from videoconf.archives.evidence import cleaned as cleaned_archive
from videoconf.providers import ArchiveState, ArchiveStatus, EventKind, ProviderEvent, StreamState
from videoconf.texts import NOT_KEPT, cleaned_text

LONGEST_TEXT = 255
LONGEST_ATTENDEE = 1000
LONGEST_DEDUPE_KEY = 200


def cleaned(event: ProviderEvent) -> ProviderEvent:
    """Return the event with texts that both databases take, bounded; those that a token takes stay as they are.

    A participant chooses their own name; it must not be able to make a webhook fail, because a sender whose webhooks
    fail repeats them for a day, or stops sending.

    :raises ValueError: an id cannot be kept as it is (changing it could make two connections one), or an archive has
        none that can be used. Of what is no event at all, any other error of reading it.
    """
    for name, longest in (
        ("session_id", LONGEST_TEXT),
        ("connection_id", LONGEST_TEXT),
        ("dedupe_key", LONGEST_DEDUPE_KEY),
    ):
        if not _is_usable(getattr(event, name) or "", longest):
            raise ValueError(f"the event's {name} is longer than {longest} characters, or has some that are not kept")
    texts: dict[str, Any] = {
        "session_id": event.session_id or None,
        "connection_id": event.connection_id or None,
        "attendee": _clean(event.attendee, LONGEST_ATTENDEE),
        "name": _clean(event.name),
        "reason": _clean(event.reason),
    }
    times: dict[str, Any] = {name: _utc(getattr(event, name)) for name in ("at", "connected_at")}
    archive = None if event.archive is None else cleaned_archive(event.archive)
    stream = event.stream
    if stream is not None and not (stream.stream_id and _is_usable(stream.stream_id, LONGEST_TEXT)):
        stream = None  # without it, the event still proves presence
    return dataclasses.replace(event, kind=EventKind(event.kind), archive=archive, stream=stream, **texts, **times)


def _is_usable(id: str, longest: int) -> bool:
    return len(id) <= longest and not NOT_KEPT.search(id)


def _clean(text: str | None, longest: int = LONGEST_TEXT) -> str | None:
    return cleaned_text(text, longest) or None if text is not None else None


def _utc(time: datetime | None) -> datetime | None:
    if time is not None and time.tzinfo is None:
        raise ValueError("a provider's time must be aware")
    return None if time is None else time.astimezone(UTC)


def event_to_json(event: ProviderEvent) -> dict[str, Any]:
    """Write an event down as JSON values."""
    return {name: _to_json(value) for name, value in vars(event).items() if value is not None}


def event_from_json(document: dict[str, Any]) -> ProviderEvent:
    """Read back what :func:`event_to_json` wrote, of what this version knows: a newer node may have written more."""
    values = {name: value for name, value in document.items() if name in _FIELDS}
    values["kind"] = EventKind(values["kind"])
    for name in ("at", "connected_at"):
        if name in values:
            values[name] = datetime.fromisoformat(values[name])
    if "archive" in values:
        values["archive"] = _archive_from_json(values["archive"])
    if "stream" in values:
        values["stream"] = StreamState(**values["stream"])
    return ProviderEvent(**values)


_FIELDS = frozenset(field.name for field in dataclasses.fields(ProviderEvent))


def _archive_from_json(document: dict[str, Any]) -> ArchiveState:
    values = dict(document)
    values["status"] = ArchiveStatus(values["status"]) if values.get("status") else None
    for name in ("created_at", "updated_at"):
        if name in values:
            values[name] = datetime.fromisoformat(values[name])
    return ArchiveState(**values)


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, ArchiveState | StreamState):
        return {name: _to_json(item) for name, item in vars(value).items() if item is not None}
    return value
