"""The meeting's row."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, query_expression

from videoconf.db.functions import utc_now
from videoconf.db.types import Model

END_SESSION = "end_session"
"""The kind of job that disconnects everybody of an ended meeting, by its ``meeting_id``."""


class MeetingStatus(StrEnum):
    """What a caller sees; derived from the row's times, never stored."""

    SCHEDULED = "scheduled"
    OPEN = "open"
    ENDED = "ended"
    DELETED = "deleted"


class Meeting(Model):
    """A meeting. Its public id is ``meeting_link``; ``session_id`` is the provider's and may come later, or not yet."""

    __tablename__ = "meeting"
    __table_args__ = (
        UniqueConstraint("meeting_link"),
        UniqueConstraint("provider", "account", "session_id"),
        Index(None, "tenant", "id"),
        Index(None, "start_time"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    meeting_link: Mapped[str]
    tenant: Mapped[str]
    is_ready: Mapped[bool] = mapped_column(default=False)
    """False between our row and the provider's answer: such a meeting does not exist for callers yet."""
    provider: Mapped[str]
    account: Mapped[str]
    session_id: Mapped[str | None]
    is_scheduled: Mapped[bool]
    schedule_time: Mapped[datetime | None]
    is_archived: Mapped[bool]
    end_to_end_encryption: Mapped[bool]
    provider_options: Mapped[dict[str, Any]]
    upload_target: Mapped[str | None]
    """The storage target in force when the meeting was made, by its kind's wire name."""
    storage_target_id: Mapped[int | None] = mapped_column(ForeignKey("storage_target.id"))
    """The one that went with the session to the provider; None where the provider received none."""
    ext_id: Mapped[str | None]
    ext_metadata: Mapped[dict[str, Any] | None]
    start_time: Mapped[datetime | None]
    """When the first token was given. Set once."""
    end_time: Mapped[datetime | None]
    """When the meeting was ended. Set once."""
    closed_at: Mapped[datetime | None]
    """The provider's latest word that the room closed and everybody is gone. Only grows."""
    roster_on: Mapped[datetime | None]
    """When the provider was last asked who is connected."""
    created_on: Mapped[datetime] = mapped_column(default=utc_now())
    created_by: Mapped[str]
    modified_on: Mapped[datetime] = mapped_column(default=utc_now())
    modified_by: Mapped[str]
    deleted: Mapped[bool] = mapped_column(default=False)
    deleted_on: Mapped[datetime | None]
    deleted_by: Mapped[str | None]
    archive_id: Mapped[str | None] = query_expression()
    """The newest archive, where the query asked for it (:func:`videoconf.archives.queries.newest_archive`)."""

    @property
    def status(self) -> MeetingStatus:
        if self.deleted:
            return MeetingStatus.DELETED
        if self.end_time is not None:
            return MeetingStatus.ENDED
        if self.is_scheduled and self.start_time is None:
            return MeetingStatus.SCHEDULED
        return MeetingStatus.OPEN
