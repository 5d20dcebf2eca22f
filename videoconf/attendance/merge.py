"""Merging one event's evidence into the row of its connection: a single statement, whatever came before it.

Every column moves one way only (``first_…`` shrinks, ``last_…`` grows, a name stays the earliest one's), so the merge
is commutative, associative and idempotent: order, repetition and races between nodes cannot change what comes out.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Insert, and_, bindparam, case, func, or_, select
from sqlalchemy.dialects import postgresql

from videoconf.attendance.models import AttendeeConnection
from videoconf.db.functions import by_code_point, greatest, least
from videoconf.db.transactions import Transaction, dialect_of
from videoconf.db.upsert import upserts
from videoconf.events.changes import execute_noting, noting, of_connection
from videoconf.meetings.models import Meeting
from videoconf.providers import EventKind, ProviderEvent


def merge(transaction: Transaction, meeting_id: int, event: ProviderEvent) -> datetime | None:
    """Merge a ``joined``, ``left`` or ``activity`` event into its connection's row; return when its meeting ended.

    :raises ValueError: the event has no time.
    """
    return _merge(transaction, meeting_id, event, _columns(event))


def see(transaction: Transaction, meeting_id: int, sighting: ProviderEvent) -> None:
    """Merge that a connection was seen at ``at`` in the provider's own list: a sign of presence since ``connected_at``.

    No event reported a join, so the row gets none: the join stays an inference. A provider whose clock is ahead may
    say that the connection began after ``at``; it was there at ``at``, so it began then at the latest.
    """
    at = _required(sighting.at)
    columns = _columns(replace(sighting, kind=EventKind.ACTIVITY, connected_at=None))
    _merge(transaction, meeting_id, sighting, {**columns, "first_activity": min(sighting.connected_at or at, at)})


def _merge(transaction: Transaction, meeting_id: int, event: ProviderEvent, columns: dict[str, Any]) -> datetime | None:
    row = {"meeting_id": meeting_id, "connection_id": event.connection_id, **columns}
    values, part = {**row, "of_meeting": meeting_id}, of_connection(event.connection_id or "")
    merged = execute_noting(transaction, _MERGE[dialect_of(transaction)], values, meeting_id, part)
    ended: datetime | None = merged.scalar_one()
    return ended


def _columns(event: ProviderEvent) -> dict[str, Any]:
    """Return the columns that one event is evidence for."""
    at = _required(event.at)
    columns: dict[str, Any] = {
        "attendee": event.attendee,
        "attendee_at": at if event.attendee is not None else None,
        "name": event.name,
        "name_at": at if event.name is not None else None,
        "first_join": event.connected_at,
        "last_join": event.connected_at,
        "last_leave": None,
        "leave_reason": None,
        "first_activity": None,
        "last_evidence": at,
    }
    if event.kind is EventKind.JOINED:
        columns["first_join"] = columns["last_join"] = event.connected_at or at
    elif event.kind is EventKind.LEFT:
        columns["last_leave"], columns["leave_reason"] = at, event.reason
    else:
        columns["first_activity"] = at
    return columns


def _required(at: datetime | None) -> datetime:
    if at is None:
        raise ValueError("an event without a time is not evidence")
    return at


_MEETING: Any = Meeting.__table__.c
_END = select(_MEETING.end_time).where(_MEETING.id == bindparam("of_meeting")).scalar_subquery()


_OF_MEETING = {
    name: select(column).where(_MEETING.id == bindparam("of_meeting")).scalar_subquery()
    for name, column in (("tenant", _MEETING.tenant), ("meeting_created_on", _MEETING.created_on))
}


def _merge_statement(statement: postgresql.Insert) -> Insert:
    row, new = AttendeeConnection.__table__.c, statement.excluded
    statement = statement.values(**_OF_MEETING)
    later_leave = or_(
        row.last_leave.is_(None),
        new.last_leave > row.last_leave,
        and_(
            new.last_leave == row.last_leave,
            by_code_point(func.coalesce(new.leave_reason, "")) < by_code_point(func.coalesce(row.leave_reason, "")),
        ),
    )
    merged = statement.on_conflict_do_update(
        index_elements=[row.meeting_id, row.connection_id],
        set_={
            **_earliest(row, new, "attendee"),
            **_earliest(row, new, "name"),
            "first_join": least(row.first_join, new.first_join),
            "last_join": greatest(row.last_join, new.last_join),
            "last_leave": greatest(row.last_leave, new.last_leave),
            "leave_reason": case(
                (and_(new.last_leave.is_not(None), later_leave), new.leave_reason), else_=row.leave_reason
            ),
            "first_activity": least(row.first_activity, new.first_activity),
            "last_evidence": greatest(row.last_evidence, new.last_evidence),
            # The meeting's, which never change: only a row of the release before lacks them.
            "tenant": new.tenant,
            "meeting_created_on": new.meeting_created_on,
        },
    )
    return merged.returning(_END)


def _earliest(row: Any, new: Any, column: str) -> dict[str, Any]:
    """Keep the value of the earliest evidence, the smaller of two at one moment, so that order decides nothing."""
    at = f"{column}_at"
    ours, theirs, ours_at, theirs_at = row[column], new[column], row[at], new[at]
    earlier = and_(
        theirs.is_not(None),
        row.erased_on.is_(None),
        or_(
            ours.is_(None), theirs_at < ours_at, and_(theirs_at == ours_at, by_code_point(theirs) < by_code_point(ours))
        ),
    )
    return {column: case((earlier, theirs), else_=ours), at: case((earlier, theirs_at), else_=ours_at)}


_MERGE = {
    dialect: noting(statement, dialect)
    for dialect, statement in upserts(AttendeeConnection.__table__, _merge_statement).items()
}
