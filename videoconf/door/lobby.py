"""The lobby: people who asked to join, and moderators who admit or refuse them."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import ColumnElement, func, insert, or_, select

from videoconf.audit import record
from videoconf.db.conditional import update_rows
from videoconf.db.functions import utc_in, utc_now
from videoconf.db.keyset import Listed, Order, Part
from videoconf.db.pages import listed
from videoconf.db.transactions import Transaction, lock, read, statements, write
from videoconf.door import codes
from videoconf.door.models import Invitation, LobbyEntry, LobbyState
from videoconf.errors import LobbyAnswered, LobbyEntryNotFound, LobbyFull
from videoconf.events.changes import announce
from videoconf.events.types import EventType
from videoconf.formats import json_values
from videoconf.meetings.models import refuse_ended
from videoconf.meetings.queries import get_meeting
from videoconf.tenancy import Caller

MOST_WAITING = 50
"""People who wait at one invitation."""
MOST_UNANSWERED = 300
"""People who asked at one invitation within :data:`RECENT_SECONDS` and were not answered, those who are gone included:
each is a row and an event, and whoever has the link can make :data:`MOST_WAITING` a minute."""
RECENT_SECONDS = 3600.0
GONE_SECONDS = 60.0
"""How long a person who waits may be silent."""

OLDEST_FIRST = Order((LobbyEntry.id,), descending=False)

_ENTRY: Any = LobbyEntry.__table__


def is_there() -> ColumnElement[bool]:
    """Return the condition that an entry was answered, or that its person still waits."""
    return or_(_ENTRY.c.state != LobbyState.WAITING.value, _ENTRY.c.polled_on > utc_in(-GONE_SECONDS))


def entry_values(entry: Any, invitation_id: str, role: str) -> dict[str, Any]:
    """Return what moderators see of a person who waits, in answers and in events.

    :param entry: the row, with the columns of :class:`LobbyEntry`.
    """
    return {
        "id": entry.public_id,
        "name": entry.name,
        "attendee": entry.attendee,
        "role": role,
        "invitationId": invitation_id,
        "waitingSince": entry.waiting_since,
    }


def ask(found: Any, attendee: str, name: str | None) -> str:
    """Let a person wait; return their ticket.

    :param found: the invitation's columns, as the door looked them up.
    :raises LobbyFull: too many wait at the invitation.
    """
    ticket = codes.new_secret()
    unanswered = (_ENTRY.c.invitation_id == found.invitation_id, _ENTRY.c.state == LobbyState.WAITING.value)
    with statements(atomic=True) as transaction:
        lock(transaction, f"lobby:{found.invitation_id}")  # nodes that count at once would exceed the bound together
        if _count(transaction, *unanswered, is_there()) >= MOST_WAITING:
            raise LobbyFull(retry_after_seconds=5)
        if _count(transaction, *unanswered, _ENTRY.c.waiting_since > utc_in(-RECENT_SECONDS)) >= MOST_UNANSWERED:
            raise LobbyFull(retry_after_seconds=60)
        row = {
            "public_id": secrets.token_urlsafe(12),
            "meeting_id": found.meeting_id,
            "invitation_id": found.invitation_id,
            "ticket_digest": codes.digest(ticket),
            "attendee": attendee,
            "name": name,
            "state": LobbyState.WAITING.value,
        }
        entry = transaction.execute(insert(_ENTRY).returning(_ENTRY), row).one()
        waits = json_values(entry_values(entry, found.public_id, found.role))
        announce(transaction, found.meeting_id, EventType.LOBBY_WAITING, waits)
    return ticket


def _count(transaction: Transaction, *conditions: ColumnElement[bool]) -> int:
    return transaction.execute(select(func.count()).select_from(_ENTRY).where(*conditions)).scalar_one()


_ANSWERED = {LobbyState.ADMITTED: EventType.LOBBY_ADMITTED, LobbyState.REFUSED: EventType.LOBBY_REFUSED}


class Lobby:
    """What moderators do. One instance serves all threads."""

    def list_waiting(self, caller: Caller, link: str, part: Part) -> Listed[Any]:
        """Return a part of those who wait, each with their invitation, who came first at first."""
        with read() as session:
            meeting = get_meeting(session, caller, link)
        waiting: Any = (
            select(LobbyEntry, Invitation.public_id, Invitation.role)
            .join(Invitation, Invitation.id == LobbyEntry.invitation_id)
            .where(
                LobbyEntry.meeting_id == meeting.id,
                LobbyEntry.state == LobbyState.WAITING,
                is_there(),
                Invitation.revoked_on.is_(None),
            )
        )
        return listed(waiting, OLDEST_FIRST, part)

    def answer(self, caller: Caller, link: str, entry_id: str, *, admit: bool) -> None:
        """Admit or refuse a person. Repeating an answer changes nothing.

        :raises LobbyEntryNotFound: the person does not wait any more, and was not answered.
        :raises LobbyAnswered: another answer was given before.
        :raises MeetingEnded: also for a deleted meeting.
        """
        state = LobbyState.ADMITTED if admit else LobbyState.REFUSED
        with write() as session:
            meeting = get_meeting(session, caller, link)
            refuse_ended(meeting)
            of_person = (LobbyEntry.meeting_id == meeting.id, LobbyEntry.public_id == entry_id)
            answered = session.execute(
                update_rows(LobbyEntry)
                .where(*of_person, LobbyEntry.state == LobbyState.WAITING, is_there())
                .values(state=state, answered_on=utc_now(), answered_by=caller.subject)
                .returning(LobbyEntry)
            ).scalar_one_or_none()
            if answered is None:
                known = session.execute(select(LobbyEntry.state).where(*of_person)).scalar_one_or_none()
                if known is None or known == LobbyState.WAITING:
                    raise LobbyEntryNotFound
                if known != state:
                    raise LobbyAnswered
                return
            record(session, caller, f"lobby.{state.value}", meeting_link=link, target=entry_id)
            invitation = session.get_one(Invitation, answered.invitation_id)
            values = entry_values(answered, invitation.public_id, invitation.role)
            announce(session, meeting.id, _ANSWERED[state], json_values(values))
