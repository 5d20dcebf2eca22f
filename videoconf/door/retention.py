"""Delete old rows: invitations, seats and bans of ended meetings, and people who left the lobby."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select

from videoconf.db.batches import ROWS_PER_BATCH, in_batches, run_until
from videoconf.db.functions import utc_in
from videoconf.door.models import Invitation, LobbyEntry
from videoconf.meetings.models import Ban, Meeting
from videoconf.settings import Settings

LOBBY_SECONDS = 86_400.0
"""How long after its last poll an entry of the lobby is kept. A ticket that was exchanged is a seat by then."""

_INVITATION: Any = Invitation.__table__
_ENTRY: Any = LobbyEntry.__table__
_BAN: Any = Ban.__table__
_MEETING: Any = Meeting.__table__


class DoorRetention:
    """The recurring job. Idempotent."""

    def __init__(self, settings: Settings) -> None:
        self._seconds = timedelta(days=settings.invitation_retention_days).total_seconds()

    def run(self) -> None:
        """Delete old rows in small transactions. What is left is for the next run. Seats go with their invitation."""
        until = run_until()
        # By an index of a time that stays: one of the time that each poll changes would cost each poll.
        began = _ENTRY.c.waiting_since < utc_in(-LOBBY_SECONDS)
        silent = select(_ENTRY.c.id).where(began, _ENTRY.c.polled_on < utc_in(-LOBBY_SECONDS)).limit(ROWS_PER_BATCH)
        in_batches(delete(_ENTRY).where(_ENTRY.c.id.in_(silent)), _ENTRY.c.id, until)
        over = utc_in(-self._seconds)
        ended: ColumnElement[bool] = or_(_MEETING.c.end_time < over, _MEETING.c.deleted_on < over)
        revoked = select(_INVITATION.c.id).where(_INVITATION.c.revoked_on < over).limit(ROWS_PER_BATCH)
        in_batches(delete(_INVITATION).where(_INVITATION.c.id.in_(revoked)), _INVITATION.c.id, until)
        for table in (_INVITATION, _BAN):
            of_ended = (
                select(table.c.id)
                .join(_MEETING, _MEETING.c.id == table.c.meeting_id)
                .where(ended)
                .limit(ROWS_PER_BATCH)
            )
            in_batches(delete(table).where(table.c.id.in_(of_ended)), table.c.id, until)
