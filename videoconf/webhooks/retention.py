"""Forgetting webhooks by their age. What they told has been merged, and merging is idempotent: no answer changes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from videoconf.db.batches import ROWS_PER_BATCH, in_batches, run_until
from videoconf.meetings.models import Meeting
from videoconf.providers import Clock
from videoconf.settings import Settings
from videoconf.webhooks.models import WebhookEvent

INBOX: Any = WebhookEvent.__table__


class InboxRetention:
    """The recurring job. Idempotent."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._row_age = timedelta(days=settings.webhook_retention_days)
        self._body_age = timedelta(hours=settings.webhook_body_hours)
        self._clock = clock

    def run(self) -> None:
        """Delete old rows, and younger rows' raw bodies, in small transactions. What is left is for the next run."""
        now, until = self._clock(), run_until()
        # Rows are numbered as they come, so the oldest are found without an index by age.
        oldest = select(INBOX.c.id, INBOX.c.received_at).order_by(INBOX.c.id).limit(ROWS_PER_BATCH).subquery()
        expired = select(oldest.c.id).where(oldest.c.received_at < now - self._row_age)
        in_batches(delete(INBOX).where(INBOX.c.id.in_(expired)), INBOX.c.id, until)
        has_body = (INBOX.c.body.is_not(None), INBOX.c.received_at < now - self._body_age)
        stale = select(INBOX.c.id).where(*has_body).order_by(INBOX.c.received_at).limit(ROWS_PER_BATCH)
        in_batches(update(INBOX).where(INBOX.c.id.in_(stale)).values(body=None), INBOX.c.id, until)


def forget_bodies(session: Session, meeting_ids: Collection[int]) -> None:
    """Delete the raw bodies of these meetings' webhooks within a transaction that is under way."""
    sessions = select(Meeting.session_id).where(Meeting.id.in_(meeting_ids))
    session.execute(update(INBOX).where(INBOX.c.body.is_not(None), INBOX.c.session_id.in_(sessions)).values(body=None))
