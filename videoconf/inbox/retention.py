"""Forgetting webhooks by their age. What they told has been merged, and merging is idempotent: no answer changes."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from sqlalchemy import Delete, Update, delete, select, update

from videoconf.database import write
from videoconf.inbox.models import WebhookEvent
from videoconf.providers import Clock
from videoconf.settings import Settings

ROWS_PER_BATCH = 1000
"""Few enough that a batch is over in milliseconds, and webhooks do not wait for it."""
RUN_SECONDS = 15.0
"""How long one run may take: less than a server that stops waits for its jobs."""

INBOX: Any = WebhookEvent.__table__


class InboxRetention:
    """The recurring job. Idempotent."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._row_age = timedelta(days=settings.webhook_retention_days)
        self._body_age = timedelta(hours=settings.webhook_body_hours)
        self._clock = clock

    def run(self) -> None:
        """Delete old rows, and younger rows' raw bodies, in small transactions. What is left is for the next run."""
        now, until = self._clock(), time.monotonic() + RUN_SECONDS
        # Rows are numbered as they come, so the oldest are found without an index by age.
        oldest = select(INBOX.c.id, INBOX.c.received_at).order_by(INBOX.c.id).limit(ROWS_PER_BATCH).subquery()
        expired = select(oldest.c.id).where(oldest.c.received_at < now - self._row_age)
        _repeat(delete(INBOX).where(INBOX.c.id.in_(expired)), until)
        has_body = (INBOX.c.body.is_not(None), INBOX.c.received_at < now - self._body_age)
        stale = select(INBOX.c.id).where(*has_body).order_by(INBOX.c.received_at).limit(ROWS_PER_BATCH)
        _repeat(update(INBOX).where(INBOX.c.id.in_(stale)).values(body=None), until)


def _repeat(statement: Delete | Update, until: float) -> None:
    """Repeat one batch, each in a transaction of its own, until none is left or time is up."""
    done = ROWS_PER_BATCH
    while done == ROWS_PER_BATCH and time.monotonic() < until:
        with write() as session:
            done = len(session.execute(statement.returning(INBOX.c.id)).all())
