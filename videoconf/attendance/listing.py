"""Reading the attendees of a meeting."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from videoconf.attendance.models import AttendeeConnection
from videoconf.attendance.reducer import Attendee, reduce_attendees
from videoconf.meetings.models import Meeting


def list_attendees(session: Session, meeting: Meeting, *, active: bool | None = None) -> list[Attendee]:
    """Return a meeting's attendees by first join; with ``active``, only those who are, or are not, connected now."""
    table = AttendeeConnection.__table__
    rows = session.execute(select(table).where(table.c.meeting_id == meeting.id)).all()
    ends = [time for time in (meeting.closed_at, meeting.end_time) if time is not None]
    attendees = reduce_attendees(rows, max(ends, default=None))
    return [attendee for attendee in attendees if active is None or attendee.active is active]


def open_connections(session: Session, meeting: Meeting) -> list[str]:
    """Return the ids of connections that joined and did not leave, whatever the meeting's own end says."""
    table = AttendeeConnection.__table__
    gone = table.c.last_leave.is_not(None) & (table.c.last_join.is_(None) | (table.c.last_leave >= table.c.last_join))
    statement = select(table.c.connection_id).where(table.c.meeting_id == meeting.id, ~gone)
    return list(session.execute(statement).scalars())
