"""The inbox's row, one event of one webhook; and the row of a refused webhook."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from videoconf.db.functions import utc_now
from videoconf.db.types import BigId, Model, only


class EventStatus(StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    ORPHAN = "orphan"
    """Its session is not known (yet); it is applied when a meeting binds the session."""
    IGNORED = "ignored"
    """Of no consequence to us."""
    QUARANTINED = "quarantined"
    """Authentic, and its body cannot be read or its time cannot be true."""


REJECTED = "rejected"
"""A webhook whose origin was not proven. Its row is a :class:`WebhookRefusal`, and not an event."""


class WebhookEvent(Model):
    """One event that a provider told us of. The unique constraint is what makes a second delivery harmless."""

    __tablename__ = "webhook_event"
    __table_args__ = (
        UniqueConstraint("provider", "account", "dedupe_key"),
        # Orphans are few, and only they are looked up by session: a full index would slow every webhook down.
        Index("ix_webhook_event_orphan", "provider", "account", "session_id", **only("status = 'orphan'")),
        Index("ix_webhook_event_body", "received_at", **only("body IS NOT NULL")),
        # A meeting's events are found by equality alone; a hash costs a webhook less than a B-tree of long ids.
        Index(None, "session_id", postgresql_using="hash"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    provider: Mapped[str]
    account: Mapped[str]
    channel: Mapped[str]
    dedupe_key: Mapped[str]
    kind: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str | None]
    """Why it is quarantined."""
    session_id: Mapped[str | None]
    received_at: Mapped[datetime] = mapped_column(default=utc_now())
    event: Mapped[dict[str, Any] | None]
    """An orphan's evidence in our own words, until it is applied."""
    body: Mapped[bytes | None]
    """The webhook's bytes, as its provider lets them be stored."""


class WebhookRefusal(Model):
    """One refused webhook: reason and time, never a body. :mod:`videoconf.webhooks.refusals` bounds the table."""

    __tablename__ = "webhook_refusal"
    __table_args__ = (Index(None, "provider", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    provider: Mapped[str]
    channel: Mapped[str]
    reason: Mapped[str]
    received_at: Mapped[datetime]
