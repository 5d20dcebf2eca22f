"""What can be done with a meeting: create, read, edit, end, delete. Joining has a module of its own.

Each operation is row first, then the provider with no transaction open and no connection held, then the row again.
Every change of state is one conditional UPDATE whose result decides, so of any number of callers one wins.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, exc, func, insert, select, update
from sqlalchemy.orm import Session, undefer
from sqlalchemy.sql.base import ExecutableOption

from videoconf.attendance.listing import open_connections
from videoconf.audit import record
from videoconf.database import read, utc_now, write
from videoconf.errors import (
    CapabilityUnsupported,
    MeetingEnded,
    MeetingNotFound,
    ProviderBadResponse,
    ProviderError,
    ValidationFailed,
)
from videoconf.hooks import Providers, contained
from videoconf.inbox.receive import bind_session
from videoconf.jobs import ClaimedJob, Jobs
from videoconf.meetings.models import Meeting
from videoconf.meetings.sessions import ensure_session
from videoconf.providers import (
    Capability,
    Clock,
    Provider,
    SessionCreation,
    SessionRef,
    SessionRequest,
    provider_deadline,
)
from videoconf.tenancy import Caller, visible_to

END_ATTEMPT_SECONDS = 2.0
"""How long the request that ends a meeting waits for the provider; what is left is a job's."""
END_SESSION = "end_session"
ENCRYPTION_EXCLUDES_ARCHIVING = "An end-to-end encrypted meeting cannot be archived."


@dataclass(frozen=True)
class NewMeeting:
    """A meeting to be created, as the caller asked for it."""

    is_scheduled: bool = False
    schedule_time: datetime | None = None
    enable_archiving: bool = False
    end_to_end_encryption: bool = False
    provider: str | None = None
    provider_options: Mapping[str, Any] = field(default_factory=dict)
    ext_id: str | None = None
    ext_metadata: dict[str, Any] | None = None


class Meetings:
    """The operations. One instance serves all threads."""

    def __init__(self, providers: Providers, jobs: Jobs, clock: Clock) -> None:
        self._providers = providers
        self._jobs = jobs
        self._clock = clock
        jobs.register(END_SESSION, self._end_at_provider)

    # --- create -------------------------------------------------------------------------------------------------

    def create(self, caller: Caller, new: NewMeeting) -> str:
        """Create a meeting and, for providers whose rooms last, its session; return the meeting link id.

        :raises ValidationFailed: what was asked for is contradictory, or the provider cannot do it; nothing was done.
        :raises ProviderError: no meeting was made. With ``outcome_unknown`` an unused session may be left there.
        """
        provider = self._providers.choose(new.provider)
        self._check_new(provider, new)
        eager = provider.capabilities.session_creation is SessionCreation.EAGER
        link = secrets.token_urlsafe(16)
        with write() as session:
            meeting_id = session.execute(
                insert(Meeting)
                .values(
                    meeting_link=link,
                    tenant=caller.tenant,
                    is_ready=not eager,
                    provider=provider.key,
                    account=provider.account,
                    is_scheduled=new.is_scheduled,
                    schedule_time=new.schedule_time,
                    is_archived=new.enable_archiving,
                    end_to_end_encryption=new.end_to_end_encryption,
                    provider_options=dict(new.provider_options),
                    ext_id=new.ext_id,
                    ext_metadata=new.ext_metadata,
                    created_by=caller.subject,
                    modified_by=caller.subject,
                )
                .returning(Meeting.id)
            ).scalar_one()
            if not eager:
                record(session, caller, "meeting.created", meeting_link=link, after=_created(provider, new))
        if eager:
            self._open_session(caller, provider, meeting_id, link, new)
        return link

    def _check_new(self, provider: Provider, new: NewMeeting) -> None:
        if new.is_scheduled:
            self._check_schedule_time(new.schedule_time)
        elif new.schedule_time is not None:
            raise ValidationFailed(errors={"scheduleTime": ["Needs isScheduled to be true."]})
        if new.enable_archiving and new.end_to_end_encryption:
            raise ValidationFailed(
                ENCRYPTION_EXCLUDES_ARCHIVING, errors={"enableArchiving": [ENCRYPTION_EXCLUDES_ARCHIVING]}
            )
        if new.enable_archiving:
            _need(provider, Capability.AUTOMATIC_ARCHIVING, "enableArchiving")
        if new.end_to_end_encryption:
            _need(provider, Capability.END_TO_END_ENCRYPTION, "endToEndEncryption")
        _check_options(provider, new.provider_options)

    def _check_schedule_time(self, time: datetime | None) -> None:
        if time is None:
            raise ValidationFailed(errors={"scheduleTime": ["A scheduled meeting needs a time."]})
        if time < self._clock():
            raise ValidationFailed(errors={"scheduleTime": ["Must be in the future."]})

    def _open_session(self, caller: Caller, provider: Provider, meeting_id: int, link: str, new: NewMeeting) -> None:
        """Ask the provider for the session of a new meeting's row; take the row back when there is none."""
        request = SessionRequest(link, new.enable_archiving, new.end_to_end_encryption, new.provider_options)
        try:
            ref = ensure_session(provider, request)
            with write() as session:
                if not bind_session(session, meeting_id, provider.key, ref):
                    raise MeetingNotFound  # somebody took the row away meanwhile
                record(session, caller, "meeting.created", meeting_link=link, after=_created(provider, new))
        except exc.IntegrityError as error:
            self._forget(meeting_id)
            raise ProviderBadResponse("The provider gave one session to two meetings.") from error
        except ProviderError:
            self._forget(meeting_id)
            raise

    def _forget(self, meeting_id: int) -> None:
        with write() as session:
            session.execute(delete(Meeting).where(Meeting.id == meeting_id, Meeting.is_ready.is_(False)))

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
            statement = select(Meeting).where(*mine).order_by(Meeting.id.desc()).options(undefer(Meeting.archive_id))
            return list(session.execute(statement.limit(page_size).offset((page - 1) * page_size)).scalars()), total

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
            record(session, caller, "meeting.edited", meeting_link=link, before=_plain(before), after=_plain(changed))

    def _new_schedule(self, meeting: Meeting, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the schedule after the changes. One that stays as it was is valid whatever the time is now."""
        is_scheduled = changes.get("is_scheduled", meeting.is_scheduled)
        time = changes.get("schedule_time", meeting.schedule_time)
        if not is_scheduled:
            if changes.get("schedule_time") is not None and "is_scheduled" not in changes:
                raise ValidationFailed(errors={"scheduleTime": ["Needs isScheduled to be true."]})
            time = None
        elif (is_scheduled, time) != (meeting.is_scheduled, meeting.schedule_time):
            self._check_schedule_time(time)
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
        record(
            session, caller, "meeting.ended", meeting_link=meeting.meeting_link, after=_plain({"end_time": ended[0]})
        )
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


def _need(provider: Provider, capability: Capability, field: str) -> None:
    if capability not in provider.capabilities:
        raise CapabilityUnsupported(
            f"The provider {provider.key!r} lacks the capability {capability.value!r}.",
            errors={field: ["Not supported by the provider."]},
        )


def _check_options(provider: Provider, options: Mapping[str, Any]) -> None:
    if not options:
        return
    if provider.options_schema is None:
        raise ValidationFailed(errors={"providerOptions": ["The provider takes no options."]})
    wrong: Any = provider.options_schema().validate(dict(options))
    if wrong:
        raise ValidationFailed(errors={f"providerOptions.{name}": messages for name, messages in wrong.items()})


def _created(provider: Provider, new: NewMeeting) -> dict[str, Any]:
    asked = {name: value for name, value in vars(new).items() if value not in (None, False, {})}
    return _plain({**asked, "provider": provider.key})


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as JSON has them."""
    return {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }
