"""Some of a meeting's attendees: those of given connections, read without the others of a large meeting."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, literal, select, union_all
from sqlalchemy.orm import Session

from videoconf.attendance.presence import Attendee, Bounds, Evidence, c, gather_attendees
from videoconf.db.functions import digest

_EVIDENCE = tuple(c[name] for name in Evidence._fields)


class Watched(NamedTuple):
    """An attendee, and since when their most silent open connection has been silent; None if all have left."""

    attendee: Attendee
    silent_since: datetime | None


def attendees_of(
    session: Session, meeting: Any, bounds: Bounds, connections: Collection[str], attendees: Collection[str]
) -> list[Watched]:
    """Return the attendees of these connections and those with these ids, each with all their connections.

    :param meeting: its ``id``, ``tenant`` and ``created_on``, by which the index of persons finds the rows.
    """
    of_meeting = select(*_EVIDENCE).where(c.meeting_id == meeting.id)
    rows = [Evidence._make(row) for row in session.execute(of_meeting.where(c.connection_id.in_(connections)))]
    named = {row.attendee for row in rows if row.attendee is not None} | set(attendees)
    evidence = [row for row in rows if row.attendee is None]
    if named:
        placed = and_(
            digest(c.attendee).in_([digest(literal(name)) for name in named]),
            c.attendee.is_not(None),
            c.tenant == meeting.tenant,
            c.meeting_created_on == meeting.created_on,
        )
        # A row of the release before, until the job has given it its tenant.
        unplaced = c.tenant.is_(None)
        theirs = union_all(*(of_meeting.where(place, c.attendee.in_(named)) for place in (placed, unplaced)))
        evidence += [Evidence._make(row) for row in session.execute(theirs)]
    return _watched(evidence, bounds)


def all_attendees(session: Session, meeting: Any, bounds: Bounds) -> list[Watched]:
    """Return every attendee of a meeting."""
    found = session.execute(select(*_EVIDENCE).where(c.meeting_id == meeting.id))
    return _watched([Evidence._make(row) for row in found], bounds)


def _watched(evidence: list[Evidence], bounds: Bounds) -> list[Watched]:
    seen = {row.connection_id: row.last_evidence for row in evidence}
    watched = []
    for attendee in gather_attendees(evidence, bounds):
        silent = (seen[one.id] for one in attendee.connections if one.left is None)
        watched.append(Watched(attendee, min(silent, default=None)))
    return watched
