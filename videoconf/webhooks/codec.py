"""Events as JSON: written into the row of a webhook while the meeting of its session is not known."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from videoconf.providers import ArchiveState, ArchiveStatus, EventKind, ProviderEvent, StreamState


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
