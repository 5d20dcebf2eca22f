"""Giving connections their meeting's tenant and age where a node of the release before stored them without.

A database is migrated before its nodes are replaced, so such rows come for as long as that takes. The filter of
meetings by attendee finds them from the next run on.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, tuple_, update

from videoconf.attendance.models import AttendeeConnection
from videoconf.db.batches import ROWS_PER_BATCH, in_batches, run_until
from videoconf.meetings.models import Meeting

_ROWS: Any = AttendeeConnection.__table__
_MEETING: Any = Meeting.__table__.c


def place_connections() -> None:
    """Fill what is missing, in small transactions; the recurring job. Idempotent."""
    missing = select(_ROWS.c.meeting_id, _ROWS.c.connection_id).where(_ROWS.c.tenant.is_(None)).limit(ROWS_PER_BATCH)
    of_meeting = select(_MEETING.tenant, _MEETING.created_on).where(_MEETING.id == _ROWS.c.meeting_id)
    statement = (
        update(_ROWS)
        .where(tuple_(_ROWS.c.meeting_id, _ROWS.c.connection_id).in_(missing))
        .values(
            tenant=of_meeting.with_only_columns(_MEETING.tenant).scalar_subquery(),
            meeting_created_on=of_meeting.with_only_columns(_MEETING.created_on).scalar_subquery(),
        )
    )
    in_batches(statement, _ROWS.c.meeting_id, run_until())
