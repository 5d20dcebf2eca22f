"""Events as text: cleaned before they touch the database, and written down while their session is not known."""

from __future__ import annotations

import dataclasses
import unicodedata
from datetime import UTC, datetime
from typing import Any

from videoconf.archives.evidence import cleaned as cleaned_archive
from videoconf.providers import ArchiveState, ArchiveStatus, EventKind, ProviderEvent, StreamState

LONGEST_TEXT = 255
LONGEST_ATTENDEE = 1000
LONGEST_DEDUPE_KEY = 200


def cleaned(event: ProviderEvent) -> ProviderEvent:
    """Return the event with texts that both databases take: no control characters, no lone surrogates, bounded.

    A participant chooses their own name; it must not be able to make a webhook fail, because a sender whose webhooks
    fail repeats them for a day, or stops sending.

    :raises ValueError: an id is too long to be kept whole (cutting it could make two connections one), or an archive
        has none that can be used.
    """
    for name, longest in (
        ("session_id", LONGEST_TEXT),
        ("connection_id", LONGEST_TEXT),
        ("dedupe_key", LONGEST_DEDUPE_KEY),
    ):
        if len(getattr(event, name) or "") > longest:
            raise ValueError(f"the event's {name} is longer than {longest} characters")
    texts: dict[str, Any] = {
        name: _clean(getattr(event, name)) or None for name in ("session_id", "connection_id", "name", "reason")
    }
    texts["attendee"] = _clean(event.attendee, LONGEST_ATTENDEE) or None
    times: dict[str, Any] = {name: _utc(getattr(event, name)) for name in ("at", "connected_at")}
    archive = None if event.archive is None else cleaned_archive(event.archive)
    stream = None if event.stream is None or not _is_usable(event.stream.stream_id) else event.stream
    return dataclasses.replace(
        event, dedupe_key=_clean(event.dedupe_key) or "", archive=archive, stream=stream, **texts, **times
    )


def _is_usable(stream_id: str) -> bool:
    """Tell whether a stream's id can be kept as it is. Without its stream, the event still proves presence."""
    return 1 <= len(stream_id) <= LONGEST_TEXT and _clean(stream_id) == stream_id


def _clean(text: str | None, longest: int = LONGEST_TEXT) -> str | None:
    if text is None:
        return None
    # Control characters and surrogates; what joins emoji or sets the direction of a script is a person's name.
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text[:longest])


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
