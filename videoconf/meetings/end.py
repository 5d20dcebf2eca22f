"""End a meeting, or delete it: here first, then at the provider.

Every change of state is one conditional UPDATE whose result decides, so of any number of callers one succeeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from videoconf.attendance.queries import open_connections
from videoconf.audit import plain, record
from videoconf.db.conditional import changes_row, update_rows
from videoconf.db.functions import utc_now
from videoconf.db.transactions import read, write
from videoconf.errors import MeetingEnded, MeetingNotFound
from videoconf.events.changes import EVERYTHING, MEETING, note_change
from videoconf.hooks import Providers
from videoconf.jobs.kinds import END_SESSION
from videoconf.jobs.queue import Jobs, enqueue_claimed
from videoconf.jobs.work import ClaimedJob
from videoconf.meetings.models import Meeting
from videoconf.meetings.queries import get_meeting
from videoconf.providers import SessionRef, provider_deadline
from videoconf.tenancy import Caller

END_ATTEMPT_SECONDS = 2.0
"""How long the request that ends a meeting waits for the provider. A job does the rest."""


class Ending:
    """Ends and deletes meetings. One instance serves all threads."""

    def __init__(self, providers: Providers, jobs: Jobs) -> None:
        self._providers = providers
        self._jobs = jobs

    def end(self, caller: Caller, link: str) -> None:
        """End a meeting, for everybody and at the provider too.

        It is committed here first. The provider gets one short attempt, and what is left is a job, so that a provider
        that is down neither loses nor delays the end.

        :raises MeetingEnded: it has ended before, or was deleted; of several callers at once one does not get this.
        """
        with write() as session:
            meeting = get_meeting(session, caller, link)
            if not self._mark_ended(session, caller, meeting):
                raise MeetingEnded.at(meeting.end_time)
            job = enqueue_claimed(session, END_SESSION, {"meeting_id": meeting.id})
        self._attempt(job)

    def delete(self, caller: Caller, link: str) -> None:
        """Delete a meeting softly; one that runs is ended first.

        :raises MeetingNotFound: the meeting does not exist, or is deleted already.
        """
        job = None
        with write() as session:
            meeting = get_meeting(session, caller, link)
            if self._mark_ended(session, caller, meeting):
                job = enqueue_claimed(session, END_SESSION, {"meeting_id": meeting.id})
            undeleted = update_rows(Meeting).where(Meeting.id == meeting.id, Meeting.deleted.is_(False))
            deleted = undeleted.values(deleted=True, deleted_on=utc_now(), deleted_by=caller.subject)
            if not changes_row(session, deleted):
                raise MeetingNotFound
            note_change(session, meeting.id, MEETING)
            record(session, caller, "meeting.deleted", meeting_link=link)
        if job is not None:
            self._attempt(job)

    def _mark_ended(self, session: Session, caller: Caller, meeting: Meeting) -> bool:
        ended = session.execute(
            update_rows(Meeting)
            .where(Meeting.id == meeting.id, Meeting.end_time.is_(None))
            .values(end_time=utc_now(), modified_on=utc_now(), modified_by=caller.subject)
            .returning(Meeting.end_time)
        ).one_or_none()
        if ended is None:
            return False
        note_change(session, meeting.id, EVERYTHING)  # open attendance ends with it
        record(session, caller, "meeting.ended", meeting_link=meeting.meeting_link, after=plain({"end_time": ended[0]}))
        return True

    def _attempt(self, job: ClaimedJob) -> None:
        with provider_deadline(END_ATTEMPT_SECONDS):
            self._jobs.run(job)

    def end_at_provider(self, payload: Mapping[str, Any]) -> None:
        """Disconnect all participants at the provider. The job of an ended meeting; idempotent."""
        with read() as session:
            meeting = session.execute(select(Meeting).where(Meeting.id == payload["meeting_id"])).scalar_one_or_none()
            if meeting is None or meeting.session_id is None:
                return
            connections = open_connections(session, meeting.id)
        provider = self._providers.get(meeting.provider)
        provider.end_session(SessionRef(meeting.account, meeting.session_id), connections)
