"""What can be asked about a meeting's attendance: the list of attendees, and the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from videoconf.attendance.presence import Attendee, Bounds, gather_attendees
from videoconf.attendance.queries import (
    LOADED_AT_ONCE,
    find_meeting,
    load_connections,
    page_of_attendees,
    stream_attendees,
)
from videoconf.attendance.report import MeetingTotals, PresenceRule, Row, reduce_row, reduce_totals
from videoconf.db.transactions import snapshot
from videoconf.errors import MeetingNotFound
from videoconf.providers import Clock
from videoconf.settings import Settings
from videoconf.tenancy import Caller


@dataclass(frozen=True)
class AttendeeList:
    """Attendees of a meeting, by first join, ties by id. Those of a large one can be gone through once."""

    session_id: str | None
    bounds: Bounds
    attendees: Iterable[Attendee]


@dataclass(frozen=True)
class Report:
    """The attendance of a meeting. The rows can be gone through once."""

    session_id: str | None
    bounds: Bounds
    totals: MeetingTotals
    rows: Iterator[Row]


class Attendance:
    """The questions. One instance serves all threads."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._cap = timedelta(hours=settings.connection_cap_hours)
        self._clock = clock

    def page(
        self, caller: Caller, link: str, *, active: bool | None, page: int, page_size: int
    ) -> tuple[AttendeeList, int]:
        """Return one page of a meeting's attendees, and how many there are.

        With ``active``, only those who are, or are not, there now.

        :raises MeetingNotFound: there is none of this link, or it is another tenant's.
        """
        with snapshot() as session:
            meeting, bounds = self._get(session, caller, link)
            attendees, total = page_of_attendees(
                session, meeting.id, bounds, active=active, limit=page_size, offset=(page - 1) * page_size
            )
            return AttendeeList(meeting.session_id, bounds, attendees), total

    @contextmanager
    def whole(self, caller: Caller, link: str, *, active: bool | None) -> Iterator[AttendeeList]:
        """Give all of a meeting's attendees, in bounded memory; to be gone through within the block.

        :raises MeetingNotFound: there is none of this link, or it is another tenant's.
        """
        found = load_connections(caller, link)
        if found is None:
            raise MeetingNotFound
        meeting, connections = found
        if len(connections) <= LOADED_AT_ONCE:
            bounds = self._bounds(meeting)
            few = gather_attendees(connections, bounds)
            yield AttendeeList(meeting.session_id, bounds, _those(few, active))
            return
        with snapshot() as session:
            meeting, bounds = self._get(session, caller, link)
            many = stream_attendees(session, meeting.id, bounds)
            yield AttendeeList(meeting.session_id, bounds, _those(many, active))

    @contextmanager
    def report(self, caller: Caller, link: str, rule: PresenceRule) -> Iterator[Report]:
        """Give a meeting's report, in bounded memory; its rows are to be gone through within the block.

        :raises MeetingNotFound: there is none of this link, or it is another tenant's.
        """
        with snapshot() as session:  # gone through twice, for the totals and for the rows, which must agree
            meeting, bounds = self._get(session, caller, link)
            totals = reduce_totals(stream_attendees(session, meeting.id, bounds), bounds.now)
            rows = (
                reduce_row(attendee, rule, totals, bounds.now)
                for attendee in stream_attendees(session, meeting.id, bounds)
            )
            yield Report(meeting.session_id, bounds, totals, rows)

    def _get(self, session: Session, caller: Caller, link: str) -> tuple[Any, Bounds]:
        meeting = find_meeting(session, caller, link)
        if meeting is None:
            raise MeetingNotFound
        return meeting, self._bounds(meeting)

    def _bounds(self, meeting: Any) -> Bounds:
        ends = [time for time in (meeting.closed_at, meeting.end_time) if time is not None]
        return Bounds(self._clock(), self._cap, max(ends, default=None))


def _those(attendees: Iterable[Attendee], active: bool | None) -> Iterable[Attendee]:
    if active is None:
        return attendees
    return (attendee for attendee in attendees if attendee.active is active)
