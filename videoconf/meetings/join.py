"""Joining a meeting: a token for one person. The busiest operation of the service: one query, and no provider call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select

from videoconf.audit import record
from videoconf.db.conditional import changes_row, update_rows
from videoconf.db.functions import utc_now
from videoconf.db.transactions import statements, write
from videoconf.errors import (
    AttendeeBanned,
    CapabilityUnsupported,
    MeetingEnded,
    MeetingNotFound,
    MeetingNotOpen,
    RoleForbidden,
    ValidationFailed,
)
from videoconf.events.changes import MEETING, note_change
from videoconf.formats import utc_text
from videoconf.hooks import Providers
from videoconf.meetings.bans import is_banned
from videoconf.meetings.models import Meeting, key_of, refuse_ended
from videoconf.meetings.session import Sessions
from videoconf.providers import (
    Capability,
    Clock,
    JoinToken,
    ProviderPort,
    Role,
    SessionRef,
    SessionRequest,
    TokenRequest,
)
from videoconf.settings import Settings
from videoconf.storage_targets.in_force import StorageTargets
from videoconf.tenancy import Caller, visible_to_bound

_MEETING = Meeting.__table__.c
# Built once, and of the columns that are needed: an entity of all of them takes twice the time.
_TO_JOIN = select(
    _MEETING.id,
    _MEETING.meeting_link,
    _MEETING.provider,
    _MEETING.account,
    _MEETING.session_id,
    _MEETING.is_scheduled,
    _MEETING.schedule_time,
    _MEETING.is_archived,
    _MEETING.end_to_end_encryption,
    _MEETING.provider_options,
    _MEETING.start_time,
    _MEETING.end_time,
    _MEETING.deleted,
    is_banned(_MEETING.id, bindparam("attendee_key")).label("is_banned"),
).where(_MEETING.meeting_link == bindparam("link"), _MEETING.is_ready, visible_to_bound(_MEETING.tenant))


@dataclass(frozen=True)
class TokenWish:
    """A token that a caller asks for, for one person."""

    role: Role = Role.PUBLISHER
    expires_at: datetime | None = None
    attendee: str | None = None
    name: str | None = None
    data: str | None = None

    @property
    def person(self) -> str | None:
        """The attendee. With data alone the data names the person, as integrators of this API expect."""
        return self.attendee or self.data


@dataclass(frozen=True)
class IssuedToken:
    """A token that was given, and for what."""

    session_id: str
    provider: str
    role: Role
    join: JoinToken


def check_role_given(caller: Caller, role: Role) -> None:
    """Check that a caller may give a role.

    :raises RoleForbidden: the caller's token names its roles, and this one is not among them.
    """
    if caller.meeting_roles is not None and role not in caller.meeting_roles:
        raise RoleForbidden(f"The token may give these roles: {', '.join(sorted(caller.meeting_roles)) or 'none'}.")


def check_role(provider: ProviderPort, role: Role) -> None:
    """Check that a provider knows a role.

    :raises CapabilityUnsupported: its tokens cannot carry the role.
    """
    roles = provider.capabilities.roles
    if role not in roles:
        raise CapabilityUnsupported(errors={"role": [f"The provider knows: {', '.join(sorted(roles))}."]})


def token_role(provider: ProviderPort, invited: Role) -> Role:
    """Return the role of the token for a person who is invited in a role.

    An invited moderator acts through the service, by a control. Where the provider can remove and mute people but has
    no moderators of its own, a publisher's token does.
    """
    can = provider.capabilities
    if invited is Role.MODERATOR and invited not in can.roles and Capability.MODERATION in can.features:
        return Role.PUBLISHER
    return invited


class Joining:
    """Gives tokens. One instance serves all threads."""

    def __init__(
        self, providers: Providers, sessions: Sessions, targets: StorageTargets, settings: Settings, clock: Clock
    ) -> None:
        self._providers = providers
        self._sessions = sessions
        self._targets = targets
        self._settings = settings
        self._clock = clock

    def token_role(self, provider: str, invited: Role) -> Role:
        """Return the role of the token for a person who is invited in a role: see :func:`token_role`."""
        return token_role(self._providers.get(provider), invited)

    def issue_token(self, caller: Caller, link: str, wish: TokenWish) -> IssuedToken:
        """Give one person a token to join.

        :raises RoleForbidden: the caller may not give this role; :class:`AttendeeBanned`: the person is banned.
        :raises MeetingEnded: also for a deleted meeting; :class:`MeetingNotOpen`: it is too early.
        :raises ValidationFailed: the expiry, the role or the data is not one that the provider takes.
        """
        check_role_given(caller, wish.role)
        # No digest is empty. A NULL would do as well, but for it PostgreSQL would plan the statement each time.
        key = key_of(wish.person) if wish.person is not None else ""
        with statements() as connection:
            meeting = connection.execute(_TO_JOIN, {"link": link, "attendee_key": key, **caller.scope}).one_or_none()
        if meeting is None:
            raise MeetingNotFound
        self.check_open(meeting)
        if meeting.is_banned:
            raise AttendeeBanned
        provider = self._providers.get(meeting.provider)
        request = self._token_request(provider, wish, meeting)
        ref = self._session_of(caller, provider, meeting)
        join = provider.issue_token(ref, request)
        if meeting.start_time is None:
            self._start(meeting.id)
        if wish.role is Role.MODERATOR:  # it can mute, remove and record others
            with statements(atomic=True) as transaction:
                record(transaction, caller, "token.issued", meeting_link=link, after={"role": wish.role.value})
        return IssuedToken(ref.session_id, provider.key, wish.role, join)

    def check_open(self, meeting: Any) -> None:
        """Check that a meeting takes people now. A row with the columns that decide will do.

        :raises MeetingEnded: also for a deleted meeting; :class:`MeetingNotOpen`: it is too early.
        """
        refuse_ended(meeting)
        if (opens := self.opens_on(meeting)) is not None:
            raise MeetingNotOpen(f"The meeting opens at {utc_text(opens)}.", extra={"opensOn": utc_text(opens)})

    def opens_on(self, meeting: Any) -> datetime | None:
        """Return when a meeting will take people, or None if that time has come."""
        if not meeting.is_scheduled or meeting.schedule_time is None:
            return None
        opens: datetime = meeting.schedule_time - timedelta(minutes=self._settings.join_early_minutes)
        return opens if self._clock() < opens else None

    def _token_request(self, provider: ProviderPort, wish: TokenWish, meeting: Any) -> TokenRequest:
        can = provider.capabilities
        check_role(provider, wish.role)
        now = self._clock()
        latest = now + can.max_token_ttl
        expires_at = wish.expires_at or min(latest, now + timedelta(seconds=self._settings.token_ttl_seconds))
        if expires_at <= now:
            raise ValidationFailed(errors={"expireTime": ["Must be in the future."]})
        if expires_at > latest:
            raise ValidationFailed(
                errors={"expireTime": [f"Must be within {can.max_token_ttl.total_seconds():.0f} seconds."]}
            )
        if len(wish.data or "") > can.max_data_characters:
            raise ValidationFailed(errors={"data": [f"Must not be longer than {can.max_data_characters} characters."]})
        encrypted, options = meeting.end_to_end_encryption, meeting.provider_options
        return TokenRequest(wish.role, expires_at, wish.person, wish.name, wish.data, encrypted, options)

    def _session_of(self, caller: Caller, provider: ProviderPort, meeting: Any) -> SessionRef:
        """Return the meeting's session; make it now where the provider's rooms exist just in time."""
        if meeting.session_id is not None:
            return SessionRef(meeting.account, meeting.session_id)
        found = self._targets.find_destination(caller.tenant, provider) if meeting.is_archived else None
        target_id, storage = found or (None, None)
        request = SessionRequest(
            meeting.meeting_link, meeting.is_archived, meeting.end_to_end_encryption, meeting.provider_options, storage
        )
        ref = provider.ensure_session(request)
        with statements(atomic=True) as transaction:
            if self._sessions.bind(transaction, meeting.id, provider.key, ref, target_id):
                return ref
            of_winner = select(_MEETING.account, _MEETING.session_id).where(_MEETING.id == meeting.id)
            winner = transaction.execute(of_winner).one()
        return SessionRef(winner.account, winner.session_id)

    def _start(self, meeting_id: int) -> None:
        """Set the start, once. A meeting that ended in this moment gives no token."""
        with write() as session:
            unended = update_rows(Meeting).where(Meeting.id == meeting_id, Meeting.end_time.is_(None))
            if not changes_row(session, unended.values(start_time=func.coalesce(Meeting.start_time, utc_now()))):
                raise MeetingEnded
            note_change(session, meeting_id, MEETING)
