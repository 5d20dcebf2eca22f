"""Record meetings from their start, for vendors that do not start archives automatically.

The webhook of a join asks for the recording at once. A recurring job finds the meetings whose webhook was lost,
and those whose recording ended while people are still there.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, or_, select

from videoconf.archives.lifecycle import RUNNING
from videoconf.archives.models import Archive
from videoconf.archives.record import Archives
from videoconf.attendance.presence import NO_LEAVE_STANDS, c
from videoconf.db.functions import utc_in
from videoconf.db.transactions import Transaction, read
from videoconf.errors import (
    ArchiveAlreadyRunning,
    ArchiveNoConnections,
    ArchiveSessionEncrypted,
    MeetingEnded,
    MeetingNotFound,
    VideoconfError,
)
from videoconf.hooks import Providers
from videoconf.jobs.kinds import RECORD_MEETING
from videoconf.jobs.queue import enqueue
from videoconf.meetings.models import Meeting
from videoconf.providers import ArchiveRequest, Clock, ProviderPort
from videoconf.settings import Settings
from videoconf.tenancy import Caller

logger = logging.getLogger(__name__)

ACTOR = "automatic-archiving"
SWEEP_BATCH = 50
PAUSE_SECONDS = 600.0
"""How long after an archive of a meeting began the recurring job starts another: one that fails must not be repeated
every minute."""

_WANTED = (Meeting.is_archived, Meeting.is_ready, Meeting.end_time.is_(None), Meeting.deleted.is_(False))


def record_on_join(transaction: Transaction, provider: ProviderPort, session_id: str) -> None:
    """Ask for the recording of a session's meeting if that is to be recorded and is not."""
    of_session = (
        Meeting.provider == provider.key,
        Meeting.account == provider.account,
        Meeting.session_id == session_id,
    )
    unrecorded = select(Meeting.id).where(*of_session, *_WANTED, ~_has_archive(Archive.status.in_(RUNNING)))
    if (meeting_id := transaction.execute(unrecorded).scalar_one_or_none()) is not None:
        enqueue(transaction, RECORD_MEETING, {"meeting_id": meeting_id})


def _has_archive(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(Archive.meeting_id == Meeting.id, Archive.deleted_on.is_(None), *conditions)


class AutomaticArchiving:
    """Starts the archives. One instance serves all threads."""

    def __init__(self, providers: Providers, archives: Archives, settings: Settings, clock: Clock) -> None:
        self._providers = providers
        self._archives = archives
        self._cap = timedelta(hours=settings.connection_cap_hours)
        self._clock = clock

    def record(self, payload: Mapping[str, Any]) -> None:
        """Start the recording of a meeting. The job; idempotent.

        :raises ProviderError: it is not being recorded, as far as the provider says.
        """
        with read() as session:
            wanted = select(Meeting.meeting_link, Meeting.tenant).where(Meeting.id == payload["meeting_id"], *_WANTED)
            meeting = session.execute(wanted).one_or_none()
        if meeting is None:
            return
        try:
            self._archives.start(Caller(ACTOR, meeting.tenant), meeting.meeting_link, ArchiveRequest())
        except (ArchiveAlreadyRunning, ArchiveNoConnections, MeetingEnded, MeetingNotFound):
            return  # another job was faster, or all have left: the next join asks again
        except ArchiveSessionEncrypted:
            logger.warning(
                "meeting %s cannot be recorded, because its participants encrypt their media", payload["meeting_id"]
            )

    def sweep(self) -> None:
        """Start what should be recorded and is not. The recurring job."""
        keys = [provider.key for provider in self._providers if provider.records_on_join]
        if not keys:
            return
        there = exists().where(c.meeting_id == Meeting.id, NO_LEAVE_STANDS, c.last_evidence > self._clock() - self._cap)
        recorded = _has_archive(or_(Archive.status.in_(RUNNING), Archive.created_on > utc_in(-PAUSE_SECONDS)))
        unrecorded = select(Meeting.id).where(*_WANTED, Meeting.provider.in_(keys), there, ~recorded)
        with read() as session:
            ids = session.execute(unrecorded.order_by(Meeting.id.desc()).limit(SWEEP_BATCH)).scalars().all()
        for meeting_id in ids:
            try:
                self.record({"meeting_id": meeting_id})
            except VideoconfError as error:
                logger.warning("meeting %s cannot be recorded: %s", meeting_id, error.code)
