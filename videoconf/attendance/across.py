"""Attendance across meetings: a person's time in each, and the report over the meetings whose ids begin alike.

Rows come as they are asked for, so that memory does not grow with the number of meetings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Select, String, literal, select, text
from sqlalchemy.orm import Session

from videoconf.attendance.models import AttendeeConnection
from videoconf.attendance.presence import Attendee, Evidence, c, gather_attendees, length
from videoconf.attendance.queries import Attendance, stream_attendees
from videoconf.attendance.report import reduce_totals, share
from videoconf.db.functions import digest, starts_with
from videoconf.db.transactions import read
from videoconf.db.types import UTCDateTime
from videoconf.meetings.models import LISTED, Meeting
from videoconf.precedence import giving_way
from videoconf.tenancy import Caller

AT_ONCE = 500
"""Rows that are loaded at a time."""


@dataclass(frozen=True)
class Attended:
    """One attendee at one meeting."""

    meeting_link: str
    ext_id: str | None
    created_on: datetime
    attendee: Attendee
    now: datetime
    share: float | None
    """Part of the meeting's length; None if the other attendees were not read."""

    @property
    def total(self) -> timedelta:
        return length(self.attendee.spans(self.now))


class AttendanceAcross:
    """The questions. One instance serves all threads. Meetings are those created in a range, without deleted ones."""

    def __init__(self, attendance: Attendance) -> None:
        self._attendance = attendance

    @contextmanager
    def of_person(
        self, caller: Caller, attendee: str, since: datetime | None, until: datetime | None
    ) -> Iterator[Iterator[Attended]]:
        """Give a person's time in each meeting, the newest first; to be gone through within the block."""
        theirs = (
            select(*_EVIDENCE, *_SHOWN)
            .join_from(AttendeeConnection.__table__, Meeting.__table__, c.meeting_id == _MEETING.id)
            .where(
                c.attendee.is_not(None),
                digest(c.attendee) == digest(literal(attendee, String)),
                c.attendee == attendee,
                c.tenant == caller.tenant,
                text(LISTED),
            )
            .order_by(c.meeting_created_on.desc(), c.meeting_id.desc())
        )
        with read(snapshot=True) as session:
            rows = session.execute(_between(theirs, c.meeting_created_on, since, until))
            yield self._by_meeting(giving_way(rows.yield_per(AT_ONCE)))

    @contextmanager
    def of_meetings(
        self, caller: Caller, ext_id_prefix: str, since: datetime | None, until: datetime | None
    ) -> Iterator[Iterator[Attended]]:
        """Give each attendee of each meeting whose ``extId`` begins so, the newest first; within the block."""
        wanted = (
            select(*_SHOWN)
            .where(_MEETING.tenant == caller.tenant, text(LISTED), _MEETING.ext_id.is_not(None))
            .where(starts_with(_MEETING.ext_id, ext_id_prefix))
            .order_by(_MEETING.created_on.desc(), _MEETING.id.desc())
        )
        with read(snapshot=True) as session:
            meetings = session.execute(_between(wanted, _MEETING.created_on, since, until))
            yield self._of_each(session, meetings.yield_per(AT_ONCE))

    def _by_meeting(self, rows: Any) -> Iterator[Attended]:
        for _, connections in groupby(rows, key=attrgetter("meeting_id")):
            found = list(connections)
            meeting, bounds = found[0], self._attendance.bounds(found[0])
            for one in gather_attendees((Evidence._make(row[: len(_EVIDENCE)]) for row in found), bounds):
                yield Attended(meeting.meeting_link, meeting.ext_id, meeting.created_on, one, bounds.now, None)

    def _of_each(self, session: Session, meetings: Any) -> Iterator[Attended]:
        for meeting in meetings:
            bounds = self._attendance.bounds(meeting)
            whole = reduce_totals(stream_attendees(session, meeting.meeting_id, bounds), bounds.now).length
            for one in stream_attendees(session, meeting.meeting_id, bounds):
                part = share(length(one.spans(bounds.now)), whole)
                yield Attended(meeting.meeting_link, meeting.ext_id, meeting.created_on, one, bounds.now, part)


def _between(statement: Select[Any], column: Any, since: datetime | None, until: datetime | None) -> Select[Any]:
    if since is not None:
        statement = statement.where(column >= literal(since, UTCDateTime()))
    if until is not None:
        statement = statement.where(column < literal(until, UTCDateTime()))
    return statement.execution_options(yield_per=AT_ONCE)


_EVIDENCE = tuple(c[name] for name in Evidence._fields)
_MEETING: Any = Meeting.__table__.c
_SHOWN = (
    _MEETING.id.label("meeting_id"),
    _MEETING.meeting_link,
    _MEETING.ext_id,
    _MEETING.created_on,
    _MEETING.closed_at,
    _MEETING.end_time,
)
