"""Ban attendees of a meeting: refuse them tokens, and disconnect them when they connect with an older token.

A ban may meet a join whose webhook has not arrived, and a webhook may be lost. So the ban disconnects who is known to
be there, each join that a webhook reports is checked, and a recurring job looks for what both have missed.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    delete,
    exists,
    not_,
    or_,
    select,
)
from sqlalchemy.orm import Session

from videoconf.attendance.models import AttendeeConnection
from videoconf.attendance.presence import NO_LEAVE_STANDS, has_left
from videoconf.audit import person_digest, record
from videoconf.db.keyset import Listed, Part
from videoconf.db.pages import by_id, list_objects
from videoconf.db.transactions import Transaction, dialect_of, read, write
from videoconf.db.upsert import inserts_once
from videoconf.errors import (
    AttendeeBanned,
    BanNotFound,
    ConnectionNotFound,
    ProviderError,
    ValidationFailed,
)
from videoconf.events.changes import announce
from videoconf.events.types import EventType
from videoconf.formats import json_values
from videoconf.hooks import Providers
from videoconf.jobs.kinds import HOLD_BANS
from videoconf.jobs.queue import Jobs, enqueue_claimed, enqueue_once
from videoconf.meetings.models import Ban, Meeting, key_of, refuse_ended
from videoconf.meetings.queries import get_meeting
from videoconf.providers import Capability, Clock, SessionRef, provider_deadline
from videoconf.settings import Settings
from videoconf.tenancy import ActorType, Caller

SUSPECTS_PER_RUN = 1000
BAN_ATTEMPT_SECONDS = 2.0
"""How long the request that bans waits for the provider. A job does the rest."""


_BANS: Any = Ban.__table__
_ROWS: Any = AttendeeConnection.__table__
_MEETINGS: Any = Meeting.__table__
BY_ID = by_id(Ban.id)


def is_banned(meeting_id: Any, attendee_key: Any) -> ColumnElement[bool]:
    """Return the condition that a meeting has banned an attendee."""
    return exists().where(_BANS.c.meeting_id == meeting_id, _BANS.c.attendee_key == attendee_key)


def ban_values(ban: Ban) -> dict[str, Any]:
    """Return what moderators see of a ban."""
    return {
        "id": ban.public_id,
        "attendee": ban.attendee,
        "reason": ban.reason,
        "createdOn": ban.created_on,
        "createdBy": ban.created_by,
    }


@dataclass(frozen=True)
class NewBan:
    """Whom to ban: an attendee, or who has this connection."""

    attendee: str | None = None
    connection_id: str | None = None
    reason: str | None = None


class Bans:
    """The operations. One instance serves all threads."""

    def __init__(self, providers: Providers, jobs: Jobs, settings: Settings, clock: Clock) -> None:
        self._providers = providers
        self._jobs = jobs
        self._cap = timedelta(hours=settings.connection_cap_hours)
        self._clock = clock

    def ban(self, caller: Caller, link: str, new: NewBan) -> Ban:
        """Ban an attendee, and disconnect them. An attendee who is banned already keeps their first ban.

        It is committed here first. The provider gets one short attempt, and what is left is a job.

        :raises MeetingNotFound: no meeting of the tenant has this link; :class:`MeetingEnded`: also for a deleted one.
        :raises CapabilityUnsupported: the provider cannot disconnect.
        :raises ConnectionNotFound: the meeting never had this connection.
        :raises ValidationFailed: the connection is anonymous.
        """
        with write() as session:
            meeting = get_meeting(session, caller, link)
            refuse_ended(meeting)
            self._providers.get(meeting.provider).require(Capability.MODERATION)
            attendee = new.attendee or _attendee_of(session, meeting.id, new.connection_id or "")
            row = {
                "public_id": secrets.token_urlsafe(12),
                "meeting_id": meeting.id,
                "attendee": attendee,
                "attendee_key": key_of(attendee),
                "reason": new.reason,
                "created_by": caller.subject,
            }
            is_new = session.execute(_BAN_ONCE[dialect_of(session)], row).one_or_none() is not None
            ban: Ban = session.execute(
                select(Ban).where(Ban.meeting_id == meeting.id, Ban.attendee_key == row["attendee_key"])
            ).scalar_one()
            if is_new:
                target = person_digest(caller, attendee)
                record(
                    session, caller, "attendee.banned", meeting_link=link, target=target, after={"ban": ban.public_id}
                )
                # Without the reason: it is for moderators, and may say anything about the person.
                told = {name: value for name, value in json_values(ban_values(ban)).items() if name != "reason"}
                if caller.type is ActorType.ATTENDEE:  # a second person, whom an erasure would not find here
                    told["createdBy"] = None
                announce(session, meeting.id, EventType.ATTENDEE_BANNED, told)
            job = enqueue_claimed(session, HOLD_BANS, {"meeting_id": meeting.id})
        with provider_deadline(BAN_ATTEMPT_SECONDS):
            self._jobs.run(job)
        return ban

    def list_bans(self, caller: Caller, link: str, part: Part) -> Listed[Any]:
        """Return a part of a meeting's bans, newest first."""
        with read() as session:
            meeting = get_meeting(session, caller, link)
        return list_objects(select(Ban).where(Ban.meeting_id == meeting.id), BY_ID, part)

    def lift(self, caller: Caller, link: str, ban_id: str) -> None:
        """Let an attendee in again.

        :raises BanNotFound: the meeting has no such ban, or it was lifted.
        """
        with write() as session:
            meeting = get_meeting(session, caller, link)
            lifted = session.execute(
                delete(_BANS)
                .where(_BANS.c.meeting_id == meeting.id, _BANS.c.public_id == ban_id)
                .returning(_BANS.c.attendee)
            ).one_or_none()
            if lifted is None:
                raise BanNotFound
            target = person_digest(caller, lifted.attendee)
            record(session, caller, "ban.lifted", meeting_link=link, target=target, before={"ban": ban_id})

    # --- holding them -------------------------------------------------------------------------------------------

    def hold(self, payload: Mapping[str, Any]) -> None:
        """Disconnect the banned attendees of a meeting. The job; idempotent."""
        meeting_id = payload["meeting_id"]
        with read() as session:
            meeting = session.get(Meeting, meeting_id)
            if meeting is None or meeting.session_id is None or meeting.end_time is not None:
                return  # the end of the meeting disconnects all participants
            suspects = session.execute(self._suspects().where(_MEETINGS.c.id == meeting_id)).all()
        provider = self._providers.get(meeting.provider)
        failure = None
        for connection, attendee in suspects:
            if attendee is None and not provider.hides_attendee(connection):
                continue
            try:
                provider.disconnect(SessionRef(meeting.account, meeting.session_id), connection)
            except ProviderError as error:  # one must not keep the others connected
                failure = error
        if failure is not None:
            raise failure

    def sweep(self) -> None:
        """Find banned attendees who are connected, and have them disconnected. The recurring job."""
        columns = (_MEETINGS.c.id, _MEETINGS.c.provider, _ROWS.c.connection_id, _ROWS.c.attendee)
        with read() as session:
            suspects = session.execute(self._suspects().with_only_columns(*columns).limit(SUSPECTS_PER_RUN)).all()
        meetings = {
            meeting_id
            for meeting_id, provider, connection, attendee in suspects
            if attendee is not None or self._hides_attendee(provider, connection)
        }
        with write() as session:
            for meeting_id in sorted(meetings):
                enqueue_once(session, HOLD_BANS, "meeting_id", meeting_id, delay_seconds=0)

    def _hides_attendee(self, key: str, connection_id: str) -> bool:
        provider = self._providers.find(key)
        return provider is not None and provider.can(Capability.MODERATION) and provider.hides_attendee(connection_id)

    def _suspects(self) -> Select[Any]:
        """Select connections that are there and that a ban may mean: those of a banned attendee, and anonymous ones."""
        theirs = or_(_ROWS.c.attendee == _BANS.c.attendee, _ROWS.c.attendee.is_(None))
        is_there = (NO_LEAVE_STANDS, not_(has_left(_MEETINGS.c.closed_at, self._clock() - self._cap)))
        return (
            select(_ROWS.c.connection_id, _ROWS.c.attendee)
            .distinct()
            .join_from(_BANS, _MEETINGS, _MEETINGS.c.id == _BANS.c.meeting_id)
            .join(_ROWS, and_(_ROWS.c.meeting_id == _BANS.c.meeting_id, theirs))
            .where(_MEETINGS.c.end_time.is_(None), *is_there)
            .order_by(_ROWS.c.attendee.nulls_last())  # a limit cuts off anonymous ones
        )


def refuse_banned(transaction: Transaction, meeting_id: int, attendee: str) -> None:
    """Check that a meeting has not banned an attendee.

    :raises AttendeeBanned: it has.
    """
    if transaction.execute(select(is_banned(meeting_id, key_of(attendee)))).scalar_one():
        raise AttendeeBanned


def hold_on_join(transaction: Transaction, meeting_id: int, attendee: str | None) -> None:
    """Have a connection that joined disconnected, if its attendee is banned. For each join of a meeting with bans.

    A client may hide its attendee from some providers, so of an anonymous connection the job decides.
    """
    if attendee is None or transaction.execute(select(is_banned(meeting_id, key_of(attendee)))).scalar_one():
        enqueue_once(transaction, HOLD_BANS, "meeting_id", meeting_id, delay_seconds=0)


def has_bans(meeting_id: Any) -> ColumnElement[bool]:
    """Return the condition that a meeting has bans."""
    return exists().where(_BANS.c.meeting_id == meeting_id)


def _attendee_of(session: Session, meeting_id: int, connection_id: str) -> str:
    found = session.get(AttendeeConnection, (meeting_id, connection_id))
    if found is None:
        raise ConnectionNotFound
    if found.attendee is None:
        raise ValidationFailed(
            errors={
                "connectionId": ["This connection is anonymous, and a ban holds an attendee. Disconnect it instead."]
            }
        )
    return found.attendee


_BAN_ONCE = inserts_once(_BANS, "meeting_id", "attendee_key", returning=_BANS.c.id)
