"""Finding lost webhooks: the evidence is compared with the provider's own list of who is connected.

A connection that the list shows and no webhook reported is present since the list says, inferred. A connection that two
lists in a row do not show has left at the first of them, inferred: one list is not enough, since such lists lag behind.
A list that may be incomplete only adds. Webhooks that come late have the last word: see the laws in
:mod:`videoconf.attendance.presence`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, false, literal, not_, or_, select, type_coerce, union, update
from sqlalchemy.orm import Session

from videoconf.attendance.merge import see
from videoconf.attendance.models import AttendeeConnection
from videoconf.attendance.presence import NO_LEAVE_STANDS, c, has_left
from videoconf.attendance.roster_periods import roster_periods, shortest_period
from videoconf.db.functions import greatest, utc_in, utc_now
from videoconf.db.transactions import read, write
from videoconf.db.types import UTCDateTime
from videoconf.errors import ProviderError
from videoconf.events.changes import note_change, of_connection
from videoconf.hooks import Providers
from videoconf.meetings.models import Meeting
from videoconf.providers import (
    Capability,
    Clock,
    Roster,
    SessionRef,
)
from videoconf.settings import Settings

logger = logging.getLogger(__name__)

MEETINGS_PER_RUN = 500
RUN_SECONDS = 15.0
"""How long one run may take, less than a server that stops waits for its jobs; the next run continues."""

_ROWS: Any = AttendeeConnection.__table__
_MEETINGS: Any = Meeting.__table__
_CLOSED_AT = type_coerce(greatest(Meeting.closed_at, Meeting.end_time), UTCDateTime())


class RosterReconciler:
    """The recurring job. Idempotent, but a second run at once would count one list as two."""

    def __init__(self, providers: Providers, settings: Settings, clock: Clock) -> None:
        self._providers = providers
        self._periods = roster_periods(providers, settings)
        self._period = shortest_period(providers, settings)
        self._cap = timedelta(hours=settings.connection_cap_hours)
        self._clock = clock

    def run(self) -> None:
        """Ask about the meetings that may have participants, the longest unasked first. Skip a provider that fails."""
        until = time.monotonic() + RUN_SECONDS
        failed: set[str] = set()
        for meeting in self._due():
            if time.monotonic() > until:
                break
            if meeting.provider in failed:
                continue
            try:
                self._reconcile(meeting)
            except ProviderError as error:
                logger.warning("the roster of %s cannot be read: %s", meeting.provider, error.code)
                if error.retryable:
                    failed.add(meeting.provider)

    def _due(self) -> list[Any]:
        """Return meetings with participants, and those that began lately: their first join may be lost."""
        silent_since = self._clock() - self._cap
        somebody_there = (
            select(c.meeting_id)
            .join(Meeting, Meeting.id == c.meeting_id)
            .where(NO_LEAVE_STANDS, c.last_evidence > silent_since, not_(has_left(_CLOSED_AT, silent_since)))
        )
        begun = select(Meeting.id).where(Meeting.start_time > silent_since, Meeting.end_time.is_(None))
        due = (
            select(Meeting.id, Meeting.provider, Meeting.account, Meeting.session_id, _CLOSED_AT.label("closed_at"))
            .where(
                Meeting.id.in_(union(somebody_there, begun)),
                or_(false(), *map(self._is_due, self._periods)),
                Meeting.session_id.is_not(None),
            )
            .order_by(Meeting.roster_on.asc().nulls_first(), Meeting.id)
            .limit(MEETINGS_PER_RUN)
        )
        with read() as session:
            return list(session.execute(due).all())

    def _is_due(self, key: str) -> ColumnElement[bool]:
        """Return the condition for meetings of a provider whose turn it is in this run."""
        of_provider = Meeting.provider == key
        if self._periods[key] <= self._period:
            return of_provider
        latest = utc_in(-(self._periods[key] - self._period / 2))  # runs are not exactly on time
        return and_(of_provider, or_(Meeting.roster_on.is_(None), Meeting.roster_on <= latest))

    def _reconcile(self, meeting: Any) -> None:
        self._note_asked(meeting.id)  # first: one that cannot be asked must not be the first in every run
        provider = self._providers.get(meeting.provider)
        if not provider.can(Capability.ROSTER) or provider.account != meeting.account:
            return
        observed_on = self._clock()
        roster = provider.list_connections(SessionRef(meeting.account, meeting.session_id))
        with write() as session:
            self.apply(session, meeting, roster, observed_on)

    def _note_asked(self, meeting_id: int) -> None:
        with write() as session:
            session.execute(update(_MEETINGS).where(_MEETINGS.c.id == meeting_id).values(roster_on=utc_now()))

    def apply(self, session: Session, meeting: Any, roster: Roster, observed_on: datetime) -> None:
        """Merge one list into what is known of a meeting.

        :param meeting: its ``id`` and ``closed_at``.
        :param observed_on: our clock before the list was asked for; what happened later it cannot know.
        """
        gone = has_left(literal(meeting.closed_at, UTCDateTime()), observed_on - self._cap)
        known = select(c.connection_id, c.last_evidence, c.missed_on).where(c.meeting_id == meeting.id, not_(gone))
        there = {row.connection_id: row for row in session.execute(known)}
        listed = {one.connection_id: one for one in roster.connections}
        found_again = [id for id, row in there.items() if id in listed and row.missed_on is not None]
        _update(session, meeting.id, found_again, observed_on, missed_on=None)
        for id, one in listed.items():
            # A repeated listing adds nothing, until the connection would count as gone by silence.
            if id not in there or id in found_again or there[id].last_evidence < observed_on - self._cap / 2:
                see(session, meeting.id, one, observed_on)
        if roster.complete:
            missing = [row for id, row in there.items() if id not in listed]
            again = [row.connection_id for row in missing if row.missed_on is not None]
            first = [row.connection_id for row in missing if row.missed_on is None]
            _update(session, meeting.id, again, observed_on, absent_on=c.missed_on, missed_on=None)
            note_change(session, meeting.id, *map(of_connection, again))
            _update(session, meeting.id, first, observed_on, missed_on=observed_on)


def _update(
    session: Session, meeting_id: int, connection_ids: Collection[str], observed_on: datetime, **values: Any
) -> None:
    """Change these connections, but those of which a webhook has told meanwhile."""
    if connection_ids:
        theirs = and_(c.meeting_id == meeting_id, c.connection_id.in_(connection_ids), c.last_evidence < observed_on)
        session.execute(update(_ROWS).where(theirs).values(values))
