"""What can be done with a meeting: read, edit, end, delete. Creating and joining have modules of their own.

Each operation is row first, then the provider with no transaction open and no connection held, then the row again.
Every change of state is one conditional UPDATE whose result decides, so of any number of callers one wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, undefer
from sqlalchemy.sql.base import ExecutableOption

from videoconf.attendance.listing import open_connections
from videoconf.audit import plain, record
from videoconf.database import read, utc_now, write
from videoconf.errors import MeetingEnded, MeetingNotFound, ValidationFailed
from videoconf.hooks import Providers, contained
from videoconf.jobs import ClaimedJob, Jobs
from videoconf.meetings.models import END_SESSION, Meeting
from videoconf.meetings.schedule import check_schedule_time
from videoconf.providers import Clock, SessionRef, provider_deadline
from videoconf.tenancy import Caller, visible_to

END_ATTEMPT_SECONDS = 2.0
"""How long the request that ends a meeting waits for the provider; what is left is a job's."""


class Meetings:
    """The operations. One instance serves all threads."""

    def __init__(self, providers: Providers, jobs: Jobs, clock: Clock) -> None:
        self._providers = providers
        self._jobs = jobs
        self._clock = clock
        jobs.register(END_SESSION, self._end_at_provider)

    # --- read ---------------------------------------------------------------------------------------------------

    def get(self, caller: Caller, link: str) -> Meeting:
        """Return a meeting of the caller's tenant, a deleted one included.

        :raises MeetingNotFound: there is none of this link, or it is another tenant's.
        """
        with read() as session:
            return self._get(session, caller, link, undefer(Meeting.archive_id))

    def _get(
        self, session: Session, caller: Caller, link: str, *options: ExecutableOption, lock: bool = False
    ) -> Meeting:
        statement = select(Meeting).where(
            Meeting.meeting_link == link, Meeting.is_ready, visible_to(caller, Meeting.tenant)
        )
        if lock:  # SQLite has no such clause and needs none: there is one writer
            statement = statement.with_for_update()
        meeting = session.execute(statement.options(*options)).scalar_one_or_none()
        if meeting is None:
            raise MeetingNotFound
        return meeting

    def list_page(self, caller: Caller, *, page: int, page_size: int) -> tuple[list[Meeting], int]:
        """Return one page of the tenant's meetings, newest first, without deleted ones; and how many there are."""
        mine = (visible_to(caller, Meeting.tenant), Meeting.is_ready, Meeting.deleted.is_(False))
        with read() as session:
            total = session.execute(select(func.count()).select_from(Meeting).where(*mine)).scalar_one()
            # Chosen first: the newest archive would be looked up for the meetings of all pages before, too.
            newest = select(Meeting.id).where(*mine).order_by(Meeting.id.desc())
            ids = newest.limit(page_size).offset((page - 1) * page_size)
            statement = select(Meeting).where(Meeting.id.in_(ids)).order_by(Meeting.id.desc())
            return list(session.execute(statement.options(undefer(Meeting.archive_id))).scalars()), total

    # --- edit ---------------------------------------------------------------------------------------------------

    def edit(self, caller: Caller, link: str, changes: Mapping[str, Any]) -> None:
        """Change what is given of ``is_scheduled``, ``schedule_time``, ``ext_id`` and ``ext_metadata``.

        :raises MeetingEnded: it has ended, or was deleted.
        :raises ValidationFailed: the schedule would be contradictory, or a new time is past.
        """
        with write() as session:
            # Locked: of two edits at once, each would otherwise write its half of a schedule upon the other's.
            meeting = self._get(session, caller, link, lock=True)
            if meeting.end_time is not None or meeting.deleted:
                raise MeetingEnded
            values = {**changes, **self._new_schedule(meeting, changes)}
            changed = {name: value for name, value in values.items() if getattr(meeting, name) != value}
            if not changed:
                return
            before = {name: getattr(meeting, name) for name in changed}
            session.execute(
                update(Meeting)
                .where(Meeting.id == meeting.id)
                .values(**changed, modified_on=utc_now(), modified_by=caller.subject)
                .execution_options(synchronize_session=False)
            )
            record(session, caller, "meeting.edited", meeting_link=link, before=plain(before), after=plain(changed))

    def _new_schedule(self, meeting: Meeting, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the schedule after the changes. One that stays as it was is valid whatever the time is now."""
        is_scheduled = changes.get("is_scheduled", meeting.is_scheduled)
        time = changes.get("schedule_time", meeting.schedule_time)
        if not is_scheduled:
            if changes.get("schedule_time") is not None and "is_scheduled" not in changes:
                raise ValidationFailed(errors={"scheduleTime": ["Needs isScheduled to be true."]})
            time = None
        elif (is_scheduled, time) != (meeting.is_scheduled, meeting.schedule_time):
            check_schedule_time(time, self._clock)
        return {"is_scheduled": is_scheduled, "schedule_time": time}

    # --- end and delete -----------------------------------------------------------------------------------------

    def end(self, caller: Caller, link: str) -> None:
        """End a meeting, for everybody and at the provider too.

        It is committed here first. The provider gets one short attempt, and what is left is a job, so that a provider
        that is down neither loses nor delays the end.

        :raises MeetingEnded: it has ended before, or was deleted; of several callers at once one does not get this.
        """
        with write() as session:
            meeting = self._get(session, caller, link)
            if not self._mark_ended(session, caller, meeting):
                raise MeetingEnded
            job = self._jobs.enqueue_claimed(session, END_SESSION, {"meeting_id": meeting.id})
        self._attempt(job)

    def delete(self, caller: Caller, link: str) -> None:
        """Delete a meeting softly; one that runs is ended first.

        :raises MeetingNotFound: there is none, or it is deleted already.
        """
        job = None
        with write() as session:
            meeting = self._get(session, caller, link)
            if self._mark_ended(session, caller, meeting):
                job = self._jobs.enqueue_claimed(session, END_SESSION, {"meeting_id": meeting.id})
            deleted = session.execute(
                update(Meeting)
                .where(Meeting.id == meeting.id, Meeting.deleted.is_(False))
                .values(deleted=True, deleted_on=utc_now(), deleted_by=caller.subject)
                .returning(Meeting.id)
                .execution_options(synchronize_session=False)
            ).one_or_none()
            if deleted is None:
                raise MeetingNotFound
            record(session, caller, "meeting.deleted", meeting_link=link)
        if job is not None:
            self._attempt(job)

    def _mark_ended(self, session: Session, caller: Caller, meeting: Meeting) -> bool:
        ended = session.execute(
            update(Meeting)
            .where(Meeting.id == meeting.id, Meeting.end_time.is_(None))
            .values(end_time=utc_now(), modified_on=utc_now(), modified_by=caller.subject)
            .returning(Meeting.end_time)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        if ended is None:
            return False
        record(session, caller, "meeting.ended", meeting_link=meeting.meeting_link, after=plain({"end_time": ended[0]}))
        return True

    def _attempt(self, job: ClaimedJob) -> None:
        with provider_deadline(END_ATTEMPT_SECONDS):
            self._jobs.run(job)

    def _end_at_provider(self, payload: Mapping[str, Any]) -> None:
        """Disconnect everybody at the provider. The job of an ended meeting; idempotent."""
        with read() as session:
            meeting = session.execute(select(Meeting).where(Meeting.id == payload["meeting_id"])).scalar_one_or_none()
            if meeting is None or meeting.session_id is None:
                return
            connections = open_connections(session, meeting.id)
        provider = self._providers.get(meeting.provider)
        with provider_deadline():
            contained(provider.end_session)(SessionRef(meeting.account, meeting.session_id), connections)
