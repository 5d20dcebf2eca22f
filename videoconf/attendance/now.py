"""How many people are at each of some meetings at this moment, counted by the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import func, not_, select, type_coerce

from videoconf.attendance.models import AttendeeConnection
from videoconf.attendance.presence import NO_LEAVE_STANDS, PERSON, c, has_left
from videoconf.db.functions import greatest
from videoconf.db.transactions import read
from videoconf.db.types import UTCDateTime
from videoconf.meetings.models import Meeting
from videoconf.providers import Clock
from videoconf.settings import Settings
from videoconf.tenancy import Caller, visible_to

_MEETING: Any = Meeting.__table__.c
_CLOSED_AT: Any = type_coerce(greatest(_MEETING.closed_at, _MEETING.end_time), UTCDateTime())


class PeopleNow:
    """The question. One instance serves all threads."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._cap = timedelta(hours=settings.connection_cap_hours)
        self._clock = clock

    def count(self, caller: Caller, links: Sequence[str]) -> dict[str, int]:
        """Count the people of each meeting as the list of attendees has them, several connections of one person once.

        A link that the tenant does not have is left out.
        """
        theirs = (_MEETING.meeting_link.in_(links), _MEETING.is_ready, visible_to(caller, _MEETING.tenant))
        people = (
            select(_MEETING.meeting_link)
            .join_from(Meeting.__table__, AttendeeConnection.__table__, c.meeting_id == _MEETING.id)
            .where(*theirs, NO_LEAVE_STANDS, not_(has_left(_CLOSED_AT, self._clock() - self._cap)))
            .group_by(_MEETING.id, _MEETING.meeting_link, *PERSON)
            .subquery()
        )
        by_link = select(people.c.meeting_link, func.count().label("people")).group_by(people.c.meeting_link)
        with read(snapshot=True) as session:
            counted = {row.meeting_link: row.people for row in session.execute(by_link)}
            known = session.execute(select(_MEETING.meeting_link).where(*theirs)).scalars()
            return {link: counted.get(link, 0) for link in known}
