"""Giving events their meeting's tenant where a node of the release before stored or applied them without it.

A database is migrated before its nodes are replaced, so such rows come for as long as that takes. The lists of
tenants have them from the next run on.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, func, select, update

from videoconf.db.batches import ROWS_PER_BATCH, in_batches, run_until
from videoconf.meetings.models import Meeting
from videoconf.webhooks.models import UNKNOWN, EventStatus, WebhookEvent

_INBOX: Any = WebhookEvent.__table__
_MEETING: Any = Meeting.__table__.c
_OF_SESSION = and_(
    _MEETING.provider == _INBOX.c.provider,
    _MEETING.account == _INBOX.c.account,
    _MEETING.session_id == _INBOX.c.session_id,
)


def place_events() -> None:
    """Fill what is missing, in small transactions; the recurring job. Idempotent."""
    until = run_until()
    tenant = select(_MEETING.tenant).where(_OF_SESSION).scalar_subquery()
    stored = select(_INBOX.c.id).where(_INBOX.c.tenant.is_(None)).limit(ROWS_PER_BATCH)
    # An orphan of this release that a node of the release before has applied.
    applied = (
        select(_INBOX.c.id)
        .join(Meeting, _OF_SESSION)
        .where(_INBOX.c.tenant == UNKNOWN, _INBOX.c.status == EventStatus.APPLIED)
        .limit(ROWS_PER_BATCH)
    )
    for ids in (stored, applied):
        placed = update(_INBOX).where(_INBOX.c.id.in_(ids)).values(tenant=func.coalesce(tenant, UNKNOWN))
        in_batches(placed, _INBOX.c.id, until)
