"""Find open connections that have been silent for so long that they count as left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from videoconf.db.transactions import write
from videoconf.events.changes import note_change, of_connection
from videoconf.events.comparison import open_connections
from videoconf.events.models import ReportedPart
from videoconf.providers import Clock

BATCH = 500

_PARTS: Any = ReportedPart.__table__


class Silence:
    """The recurring job. Idempotent.

    :param cap: how long a connection without evidence counts as there.
    """

    def __init__(self, cap: timedelta, clock: Clock) -> None:
        self._cap = cap
        self._clock = clock

    def run(self) -> None:
        """Record a change of each attendee whose connection passed the cap; the projector does the rest."""
        silent = (
            select(_PARTS.c.meeting_id, _PARTS.c.data)
            .where(_PARTS.c.silent_since <= self._clock() - self._cap)
            .order_by(_PARTS.c.silent_since)
            .limit(BATCH)
        )
        with write() as session:
            for row in session.execute(silent).all():
                note_change(session, row.meeting_id, *map(of_connection, open_connections(row.data)))
