"""The rows of a subscription and of what was sent to it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from videoconf.db.functions import utc_now
from videoconf.db.types import BigId, Json, Model, only


class DeliveryStatus(StrEnum):
    """What became of one event at one subscription."""

    PENDING = "pending"
    """It waits for its next attempt."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Its attempts are used up. It is sent again when a caller asks for it."""


class EventSubscription(Model):
    """A URL of a tenant's that receives events.

    There is something to send where ``newest`` is beyond ``position``, or once ``retry_at`` has passed. Only the
    projector moves ``newest`` and only the holder of the lease moves ``position``, so neither overlooks the other.
    """

    __tablename__ = "event_subscription"
    __table_args__ = (
        Index(None, "tenant", "id"),
        Index("ix_event_subscription_behind", "served_on", **only("newest > position AND is_enabled")),
        Index("ix_event_subscription_retry_at", "retry_at", **only("retry_at IS NOT NULL AND is_enabled")),
    )

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    public_id: Mapped[str] = mapped_column(String(64), unique=True)
    tenant: Mapped[str]
    url: Mapped[str] = mapped_column(Text)
    types: Mapped[list[str] | None] = mapped_column(Json)
    """None: every type."""
    meeting_link: Mapped[str | None]
    """None: every meeting of the tenant."""
    description: Mapped[str | None]
    is_enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None]
    """Why the service disabled it; None if a caller did."""
    secret: Mapped[bytes]
    """The current secret, and the one before until its time has passed, encrypted."""
    position: Mapped[int] = mapped_column(BigInteger)
    """Every event up to here was sent once, successfully or not."""
    newest: Mapped[int] = mapped_column(BigInteger)
    """The position of an event of the tenant that may be wanted."""
    failing_since: Mapped[datetime | None]
    """Since when no attempt succeeded; None while it works."""
    failures: Mapped[int] = mapped_column(BigInteger, default=0)
    """Attempts in a row that failed."""
    retry_at: Mapped[datetime | None]
    """When the next retry or probe is due."""
    served_on: Mapped[datetime | None]
    """When a worker last took it: the longest unserved is first."""
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    created_on: Mapped[datetime] = mapped_column(default=utc_now())
    created_by: Mapped[str]
    modified_on: Mapped[datetime] = mapped_column(default=utc_now())
    modified_by: Mapped[str]


class EventDelivery(Model):
    """One event at one subscription, with its attempts."""

    __tablename__ = "event_delivery"
    __table_args__ = (
        UniqueConstraint("subscription_id", "event_id"),
        Index(None, "subscription_id", "id"),
        Index(None, "subscription_id", "status", "id"),
        Index("ix_event_delivery_due", "subscription_id", "next_attempt_at", **only("status = 'pending'")),
        Index(None, "created_on"),
        Index(None, "position"),
    )

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    subscription_id: Mapped[int] = mapped_column(ForeignKey("event_subscription.id", ondelete="CASCADE"))
    event_id: Mapped[str] = mapped_column(String(64))
    type: Mapped[str] = mapped_column(String(64))
    position: Mapped[int | None] = mapped_column(BigInteger)
    """The event's; None for a ping."""
    status: Mapped[str] = mapped_column(String(16))
    attempt_count: Mapped[int] = mapped_column(BigInteger, default=0)
    attempts: Mapped[list[Any]] = mapped_column(Json)
    """The latest attempts, oldest first: ``at``, ``status``, ``durationMs``, ``body``, ``error``."""
    next_attempt_at: Mapped[datetime | None]
    created_on: Mapped[datetime] = mapped_column(default=utc_now())
