"""Export or erase what the door stores about one person."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, select, update
from sqlalchemy.orm import Session

from videoconf.db.functions import utc_now
from videoconf.door.models import Invitation, LobbyEntry, Seat
from videoconf.events.erasure import forget_waiting_facts
from videoconf.formats import camel_case, json_values
from videoconf.meetings.models import Ban, Meeting, key_of
from videoconf.tenancy import Caller, visible_to

_INVITATION: Any = Invitation.__table__
_SEAT: Any = Seat.__table__
_ENTRY: Any = LobbyEntry.__table__
_BAN: Any = Ban.__table__

ERASED = ""
"""In place of the id of a moderator who was erased."""

_GIVEN: dict[str, tuple[Any, ...]] = {
    "invitations": tuple(
        _INVITATION.c["public_id", "role", "name", "admission", "expires_on", "max_uses", "uses", "created_on"]
    ),
    "seats": tuple(_SEAT.c["name", "created_on"]),
    "lobby_entries": tuple(_ENTRY.c["public_id", "name", "state", "waiting_since", "answered_on"]),
    "bans": tuple(_BAN.c["public_id", "reason", "created_on"]),
}
"""What an export holds of each kind of row: never a digest."""


def export(session: Session, caller: Caller, attendee: str) -> dict[str, Any]:
    """Return a person's invitations, seats, lobby entries and bans in JSON's types."""
    return {
        kind: [
            json_values({camel_case(name).replace("publicId", "id"): value for name, value in row.items()})
            for row in session.execute(
                rows.with_only_columns(Meeting.meeting_link, *_GIVEN[kind]).order_by(rows.selected_columns.id)
            ).mappings()
        ]
        for kind, rows in _theirs(caller, attendee).items()
    }


def erase(session: Session, caller: Caller, attendee: str) -> dict[str, int]:
    """Delete a person's seats, lobby entries and bans, and take them off invitations, which are revoked.

    Without its person, an invitation would admit guests. Returns how many rows of each kind there were.
    """
    theirs = _theirs(caller, attendee)
    counts, meetings = {}, set()
    for kind, rows in theirs.items():
        found = session.execute(rows.with_only_columns(rows.selected_columns.id, Meeting.id)).all()
        counts[kind] = len(found)
        meetings |= {meeting_id for _, meeting_id in found}
    session.execute(
        update(_INVITATION)
        .where(_INVITATION.c.id.in_(theirs["invitations"]))
        .values(
            attendee=None,
            name=None,
            revoked_on=func.coalesce(_INVITATION.c.revoked_on, utc_now()),
            revoked_by=func.coalesce(_INVITATION.c.revoked_by, caller.subject),
        )
    )
    for named in (_BAN.c.created_by, _ENTRY.c.answered_by):  # as a moderator, by their control
        in_tenant = named.table.c.meeting_id.in_(select(Meeting.id).where(visible_to(caller, Meeting.tenant)))
        session.execute(update(named.table).where(named == attendee, in_tenant).values({named: ERASED}))
    for kind, table in (("lobby_entries", _ENTRY), ("seats", _SEAT), ("bans", _BAN)):
        session.execute(delete(table).where(table.c.id.in_(theirs[kind])))
    forget_waiting_facts(session, meetings, attendee)
    return counts


def _theirs(caller: Caller, attendee: str) -> dict[str, Select[Any]]:
    """Select the ids of a person's rows in the meetings of a tenant, by kind."""
    mine = visible_to(caller, Meeting.tenant)
    return {
        "invitations": _joined(_INVITATION, _INVITATION).where(_INVITATION.c.attendee == attendee, mine),
        "seats": _joined(_SEAT, _INVITATION, _INVITATION.c.id == _SEAT.c.invitation_id).where(
            _SEAT.c.attendee == attendee, mine
        ),
        "lobby_entries": _joined(_ENTRY, _ENTRY).where(_ENTRY.c.attendee == attendee, mine),
        "bans": _joined(_BAN, _BAN).where(_BAN.c.attendee_key == key_of(attendee), mine),
    }


def _joined(table: Any, with_meeting: Any, *on: ColumnElement[bool]) -> Select[Any]:
    source = table if not on else table.join(with_meeting, *on)
    return select(table.c.id).select_from(source.join(Meeting, Meeting.id == with_meeting.c.meeting_id))
