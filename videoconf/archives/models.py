"""The rows of archives and of storage targets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from videoconf.database import Model, utc_now


class StorageTargetRow(Model):
    """A storage target that a tenant configured. Never updated in what it says: a new one is a new row."""

    __tablename__ = "storage_target"
    __table_args__ = (Index(None, "tenant", "state"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str]
    configuration: Mapped[bytes]
    """All of it, encrypted."""
    description: Mapped[dict[str, Any]]
    """What may be shown of it."""
    created_on: Mapped[datetime] = mapped_column(default=utc_now())
    created_by: Mapped[str]


class Archive(Model):
    """A recording. The provider is the source of truth; this row is what it said last, and what we mean to do."""

    __tablename__ = "archive"
    __table_args__ = (
        UniqueConstraint("provider", "account", "archive_id"),
        Index(None, "meeting_id", "created_on", "id"),
        Index(None, "tenant", "created_on", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    meeting_id: Mapped[int] = mapped_column(ForeignKey("meeting.id", ondelete="CASCADE"))
    provider: Mapped[str]
    account: Mapped[str]
    archive_id: Mapped[str]
    name: Mapped[str | None]
    status: Mapped[str]
    provider_status: Mapped[str]
    provider_updated_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
    duration_seconds: Mapped[int | None]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    storage_target_id: Mapped[int | None] = mapped_column(ForeignKey("storage_target.id"))
    object_key: Mapped[str | None] = mapped_column(Text)
    legal_hold: Mapped[bool] = mapped_column(default=False)
    meta_data: Mapped[dict[str, Any]]
    created_on: Mapped[datetime] = mapped_column(default=utc_now())
    modified_on: Mapped[datetime] = mapped_column(default=utc_now())
    deleted_on: Mapped[datetime | None]
    deleted_by: Mapped[str | None]
