"""Controls: tokens with which an invited moderator can moderate one meeting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, exists, not_, select

from videoconf.db.transactions import statements
from videoconf.door import codes
from videoconf.door.models import Invitation, Seat
from videoconf.meetings.models import Ban, Meeting

_BAN: Any = Ban.__table__
_SEAT: Any = Seat.__table__
_INVITATION: Any = Invitation.__table__
_MEETING: Any = Meeting.__table__


@dataclass(frozen=True)
class Control:
    """Who moderates which meeting."""

    attendee: str
    tenant: str
    meeting_link: str


def find_control(presented: str) -> Control | None:
    """Return whose control this is, or None if it does not exist, its seat has ended or its moderator is banned."""
    with statements() as connection:
        found = connection.execute(_BY_CONTROL, {"control": codes.digest(presented)}).one_or_none()
    return None if found is None else Control(found.attendee, found.tenant, found.meeting_link)


_BY_CONTROL = (
    select(_SEAT.c.attendee, _MEETING.c.tenant, _MEETING.c.meeting_link)
    .join_from(_SEAT, _INVITATION, _INVITATION.c.id == _SEAT.c.invitation_id)
    .join(_MEETING, _MEETING.c.id == _INVITATION.c.meeting_id)
    .where(
        _SEAT.c.control_digest == bindparam("control"),
        _INVITATION.c.revoked_on.is_(None),
        not_(exists().where(_BAN.c.meeting_id == _INVITATION.c.meeting_id, _BAN.c.attendee == _SEAT.c.attendee)),
    )
)
