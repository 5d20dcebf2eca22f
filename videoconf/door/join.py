"""The door: exchange a code, a seat or a ticket for a token.

One statement finds the invitation, its meeting and the seat, and what it finds decides. So a code that does not exist,
used-up codes and revoked codes take the same time and get the same answer.

The token is made before its use is counted, and handed out after: a provider that fails leaves nothing to give back,
and of any number of clients at once no more get a token than there are uses.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, or_, select, update

from videoconf import shares
from videoconf.db.functions import utc_now
from videoconf.db.transactions import dialect_of, statements
from videoconf.db.types import UTCDateTime
from videoconf.db.upsert import inserts_once
from videoconf.door import codes
from videoconf.door.lobby import ask, is_there
from videoconf.door.models import MOST_USES, Admission, Invitation, InvitationCode, LobbyEntry, LobbyState, Seat
from videoconf.errors import AdmissionRefused, InvitationNotFound, TicketNotFound
from videoconf.meetings.bans import refuse_banned
from videoconf.meetings.join import IssuedToken, Joining, TokenWish
from videoconf.meetings.models import Meeting, status_of
from videoconf.providers import Clock, Role
from videoconf.tenancy import Caller

_INVITATION: Any = Invitation.__table__
_SEAT: Any = Seat.__table__
_CODE: Any = InvitationCode.__table__
_MEETING: Any = Meeting.__table__
_ENTRY: Any = LobbyEntry.__table__


@dataclass(frozen=True)
class Presented:
    """What a person brings to the door."""

    code: str = field(repr=False)
    name: str | None = None
    seat: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    """Names the request: a repetition is the same person, and no further use. Random, since it makes the seat."""


@dataclass(frozen=True)
class Admitted:
    """A token, and the secrets of the seat that it belongs to."""

    issued: IssuedToken
    meeting_link: str
    attendee: str
    name: str | None
    seat: str = field(repr=False)
    control: str | None = field(repr=False)
    """What a moderator moderates with; None for other roles."""


@dataclass(frozen=True)
class Waiting:
    """A place in the lobby."""

    ticket: str = field(repr=False)


@dataclass(frozen=True)
class Preview:
    """What a person may know of a meeting before they join: for the holder of its code alone."""

    title: str | None
    status: str
    schedule_time: datetime | None
    opens_on: datetime | None
    role: str
    name: str | None
    admission: str
    provider: str


class Door:
    """The exchange. One instance serves all threads."""

    def __init__(self, joining: Joining, clock: Clock) -> None:
        self._joining = joining
        self._clock = clock

    def look(self, presented: Presented) -> Preview:
        """Return what a code is for. Uses nothing.

        :raises InvitationNotFound: as :meth:`join`.
        """
        found = self._find(presented, presented.seat)
        title = (found.ext_metadata or {}).get("title")
        return Preview(
            title=title if isinstance(title, str) else None,
            status=status_of(found),
            schedule_time=found.schedule_time,
            opens_on=self._joining.opens_on(found),
            role=found.role,
            name=found.seat_name or found.name,
            admission=Admission.OPEN if found.seat_id is not None else found.admission,
            provider=found.provider,
        )

    def join(self, visitor: Caller, presented: Presented) -> Admitted | Waiting:
        """Exchange a code for a token or, where a moderator admits people, for a ticket.

        With a seat of the invitation, the person is who they were before, and no use is spent; so with the key of an
        earlier exchange.

        :param visitor: whose request it is; the exchange finds out the tenant and who they are.
        :raises InvitationNotFound: the code or the seat does not exist, or was revoked; without a seat, the code is
            used up or expired, too.
        :raises MeetingEnded: also for a deleted meeting; :class:`MeetingNotOpen`: it is too early.
        :raises AttendeeBanned: the person may not be at this meeting; :class:`LobbyFull`: too many wait.
        """
        if presented.seat is None and presented.key is not None:
            made = codes.seat_of(presented.code, presented.key)
            found = self._find(presented, made)
        else:
            made = codes.new_secret()
            found = self._find(presented, presented.seat)
        self._joining.check_open(found)
        if found.seat_id is not None:
            return self._return(visitor, found, presented.seat or made, presented.name)
        attendee = found.attendee or _new_guest()
        if found.admission == Admission.ASK:
            with statements() as connection:
                refuse_banned(connection, found.meeting_id, attendee)
            return Waiting(ask(found, attendee, found.name or presented.name))
        name = found.name or presented.name
        return self._seat(visitor, found, attendee, name, made) or self.join(visitor, presented)

    def join_by_ticket(self, visitor: Caller, ticket: str) -> Admitted | Waiting:
        """Exchange a ticket for a token, once a moderator has admitted the person. To be called every 2 s until then.

        The ticket becomes the secret of the seat, so a repetition whose answer was lost returns the same one.

        :param visitor: as in :meth:`join`.
        :raises TicketNotFound: the ticket does not exist, its invitation was revoked or used up, or it was not polled
            for too long.
        :raises AdmissionRefused: a moderator refused.
        :raises MeetingEnded: also for a deleted meeting; :class:`AttendeeBanned`: the person was banned meanwhile.
        """
        digest = codes.digest(ticket)
        with statements() as connection:
            found = connection.execute(_BY_TICKET, {"ticket": digest}).one_or_none()
        if found is None or found.revoked_on is not None:
            raise TicketNotFound
        shares.tenant.set(found.tenant)
        if found.state == LobbyState.WAITING:
            with statements() as connection:
                connection.execute(_POLLED, {"of_ticket": digest})
        self._joining.check_open(found)
        if found.state == LobbyState.REFUSED:
            raise AdmissionRefused
        with statements() as connection:
            refuse_banned(connection, found.meeting_id, found.asked_attendee)
        if found.state == LobbyState.WAITING:
            return Waiting(ticket)
        if found.seat_id is not None:
            return self._return(visitor, found, ticket, None)
        try:
            seated = self._seat(visitor, found, found.asked_attendee, found.asked_name, ticket)
        except InvitationNotFound as error:
            raise TicketNotFound from error
        return seated or self.join_by_ticket(visitor, ticket)

    # --- steps --------------------------------------------------------------------------------------------------

    def _find(self, presented: Presented, seat: str | None) -> Any:
        """Return the invitation, with the seat of this secret where there is one.

        :raises InvitationNotFound: as :meth:`join`. A seat that the person says to have must exist.
        """
        values = {
            "code": codes.digest(presented.code),
            "seat": codes.digest(seat or ""),
            "now": self._clock(),
        }
        with statements() as connection:
            found = connection.execute(_BY_CODE, values).one_or_none()
        if found is None:
            raise InvitationNotFound
        shares.tenant.set(found.tenant)  # from here on: until it was found, no tenant was known
        has_seat = found.seat_id is not None
        if found.revoked_on is not None or (not has_seat and (found.is_spent or presented.seat is not None)):
            raise InvitationNotFound(is_known=presented.seat is None)
        return found

    def _return(self, visitor: Caller, found: Any, seat: str, new_name: str | None) -> Admitted:
        """Give the holder of a seat a new token."""
        name = found.name or new_name or found.seat_name
        issued = self._issue(visitor, found, found.seat_attendee, name)
        if name != found.seat_name:
            with statements(atomic=True) as transaction:
                transaction.execute(update(_SEAT).where(_SEAT.c.id == found.seat_id).values(name=name))
        return _admitted(found, issued, found.seat_attendee, name, seat)

    def _seat(self, visitor: Caller, found: Any, attendee: str, name: str | None, secret: str) -> Admitted | None:
        """Give a token and a seat for one use; None where the same request, sent twice, made the seat meanwhile."""
        issued = self._issue(visitor, found, attendee, name)
        row = {
            "invitation_id": found.invitation_id,
            "secret_digest": codes.digest(secret),
            "control_digest": codes.digest(codes.control_of(secret)) if found.role == Role.MODERATOR else None,
            "attendee": attendee,
            "name": name,
        }
        with statements(atomic=True) as transaction:
            is_new = transaction.execute(_SEAT_ONCE[dialect_of(transaction)], row).one_or_none() is not None
            use = {"of_invitation": found.invitation_id, "now": self._clock()}
            # What comes twice at once is one person, and one use. Another client may have been faster.
            if is_new and transaction.execute(_USE, use).one_or_none() is None:
                raise InvitationNotFound(is_known=True)
        return None if not is_new else _admitted(found, issued, attendee, name, secret)

    def _issue(self, visitor: Caller, found: Any, attendee: str, name: str | None) -> IssuedToken:
        caller = replace(visitor, subject=attendee, tenant=found.tenant)
        role = self._joining.token_role(found.provider, Role(found.role))
        wish = TokenWish(role=role, attendee=attendee, name=name)
        return self._joining.issue_token(caller, found.meeting_link, wish)


def _admitted(found: Any, issued: IssuedToken, attendee: str, name: str | None, seat: str) -> Admitted:
    control = codes.control_of(seat) if found.role == Role.MODERATOR else None
    return Admitted(issued, found.meeting_link, attendee, name, seat, control)


def _new_guest() -> str:
    return f"guest-{secrets.token_hex(8)}"


# --- statements -----------------------------------------------------------------------------------------------------

_OF_INVITATION = (
    _INVITATION.c.id.label("invitation_id"),
    *_INVITATION.c["public_id", "role", "admission", "attendee", "name", "revoked_on", "meeting_id"],
    *_MEETING.c["tenant", "meeting_link", "provider", "is_scheduled", "schedule_time"],
    *_MEETING.c["start_time", "end_time", "deleted", "ext_metadata"],
)
_OF_SEAT = (_SEAT.c.id.label("seat_id"), _SEAT.c.attendee.label("seat_attendee"), _SEAT.c.name.label("seat_name"))


def _of_code() -> Select[Any]:
    seat = and_(_SEAT.c.invitation_id == _INVITATION.c.id, _SEAT.c.secret_digest == bindparam("seat"))
    return (
        select(*_OF_INVITATION, *_OF_SEAT, (~_has_uses()).label("is_spent"))
        .join_from(_CODE, _INVITATION, _INVITATION.c.id == _CODE.c.invitation_id)
        .join(_MEETING, _MEETING.c.id == _INVITATION.c.meeting_id)
        .outerjoin(_SEAT, seat)
        .where(_CODE.c.digest == bindparam("code"))
    )


def _of_ticket() -> Select[Any]:
    asked = (_ENTRY.c.attendee.label("asked_attendee"), _ENTRY.c.name.label("asked_name"), _ENTRY.c.state)
    return (
        select(*_OF_INVITATION, *_OF_SEAT, *asked)
        .join_from(_ENTRY, _INVITATION, _INVITATION.c.id == _ENTRY.c.invitation_id)
        .join(_MEETING, _MEETING.c.id == _INVITATION.c.meeting_id)
        .outerjoin(_SEAT, _SEAT.c.secret_digest == _ENTRY.c.ticket_digest)
        .where(_ENTRY.c.ticket_digest == bindparam("ticket"), is_there())
    )


def _has_uses() -> Any:
    c = _INVITATION.c
    return and_(
        c.uses < func.coalesce(c.max_uses, MOST_USES),
        or_(c.expires_on.is_(None), c.expires_on > bindparam("now", type_=UTCDateTime())),
    )


_BY_CODE = _of_code()
_BY_TICKET = _of_ticket()
_POLLED = update(_ENTRY).where(_ENTRY.c.ticket_digest == bindparam("of_ticket"), is_there()).values(polled_on=utc_now())
_USE = (
    update(_INVITATION)
    .where(_INVITATION.c.id == bindparam("of_invitation"), _INVITATION.c.revoked_on.is_(None), _has_uses())
    .values(uses=_INVITATION.c.uses + 1)
    .returning(_INVITATION.c.id)
)
_SEAT_ONCE = inserts_once(_SEAT, "secret_digest", returning=_SEAT.c.id)
