"""Compare what GET returns now with what the log reported last, and choose the events for the differences.

Pure functions of JSON values. ``durationSeconds`` grows with the clock and is not compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from videoconf.events.types import EventType

Data = dict[str, Any]

_ARCHIVE_EVENTS = {
    "started": EventType.ARCHIVE_STARTED,
    "stopped": EventType.ARCHIVE_STOPPED,
    "available": EventType.ARCHIVE_AVAILABLE,
    "uploaded": EventType.ARCHIVE_UPLOADED,
    "failed": EventType.ARCHIVE_FAILED,
    "expired": EventType.ARCHIVE_EXPIRED,
}
"""What a new status is called; any other, such as ``paused``, is an update."""


def attendee_part(data: Mapping[str, Any]) -> str:
    """Name an attendee for the rows of :class:`~videoconf.events.models.ReportedPart`: a digest, so of any length.

    A person is the same by their id, an anonymous participant by their one connection.
    """
    name = data["attendee"]
    who = ("connection", data["connections"][0]["id"]) if name is None else ("attendee", name)
    return f"attendee:{hashlib.sha256(chr(0).join(who).encode(errors='surrogatepass')).hexdigest()}"


def connection_ids(data: Mapping[str, Any]) -> list[str]:
    """Return the ids of an attendee's connections."""
    return [one["id"] for one in data["connections"]]


def open_connections(data: Mapping[str, Any]) -> list[str]:
    """Return the ids of those that have not left."""
    return [one["id"] for one in data["connections"] if one["left"] is None]


def meeting_events(reported: Data | None, now: Data) -> list[EventType]:
    """Return the types of the events that lead from what was reported of a meeting to what is true now."""
    if reported == now:
        return []
    types = [EventType.MEETING_CREATED] if reported is None else []
    before = reported or {"endTime": None, "deleted": False}
    if now["endTime"] is not None and before["endTime"] is None:
        types.append(EventType.MEETING_ENDED)
    if now["deleted"] and not before["deleted"]:
        types.append(EventType.MEETING_DELETED)
    return types or [EventType.MEETING_UPDATED]


def attendee_events(reported: Data | None, now: Data, known: set[str], were_open: set[str]) -> list[EventType]:
    """Return the types of the events of one attendee.

    :param known: the connections of any attendee that were reported before.
    :param were_open: those that were reported as connected.
    """
    if reported is not None and _still(reported) == _still(now):
        return []
    was_active = not were_open.isdisjoint(connection_ids(now))
    new = [one for one in now["connections"] if one["id"] not in known]
    if now["active"]:
        return [EventType.ATTENDEE_UPDATED if was_active else EventType.ATTENDEE_JOINED]
    types = []
    if not was_active and any(one["joined"] is not None for one in new):
        types.append(EventType.ATTENDEE_JOINED)  # came and went between two projections
    if was_active or new:
        types.append(EventType.ATTENDEE_LEFT)
    return types or [EventType.ATTENDEE_UPDATED]


def archive_events(reported: Data | None, now: Data | None) -> list[EventType]:
    """Return the types of the events of one archive; None: it is not there."""
    if reported == now:
        return []
    if now is None:
        return [EventType.ARCHIVE_DELETED]
    if reported is None or reported["status"] != now["status"]:
        first = EventType.ARCHIVE_STARTED if reported is None else EventType.ARCHIVE_UPDATED
        return [_ARCHIVE_EVENTS.get(now["status"], first)]
    return [EventType.ARCHIVE_UPDATED]


def deleted_archive(reported: Data) -> Data:
    """Return what an event says of an archive that GET no longer answers."""
    return {**reported, "status": "deleted"}


def without_person(data: Data) -> Data:
    """Return an event's data without the person whom it names."""
    return {**data, **{name: None for name in ("attendee", "name") if name in data}}


def names_person(data: Mapping[str, Any], connections: Iterable[str], attendee: str | None) -> bool:
    """Return whether an event is about a person: by one of these connections, or by their id."""
    if attendee is not None and data.get("attendee") == attendee:
        return True
    mentioned = {one.get("id") for one in data.get("connections") or () if isinstance(one, dict)}
    mentioned.add(data.get("connectionId"))
    return not mentioned.isdisjoint(connections)


def _still(data: Mapping[str, Any]) -> Data:
    return {name: value for name, value in data.items() if name != "durationSeconds"}
