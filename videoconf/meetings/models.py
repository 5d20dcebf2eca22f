"""The rows of meetings, and of those who are banned from one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, query_expression

from videoconf.db.functions import utc_now
from videoconf.db.types import BigId, Model, only
from videoconf.errors import MeetingEnded


class MeetingStatus(StrEnum):
    """What a caller sees; derived from the row's times, never stored."""

    SCHEDULED = "scheduled"
    OPEN = "open"
    ENDED = "ended"
    DELETED = "deleted"


LISTED = "is_ready AND NOT deleted"
"""Which meetings a list has, unless it is filtered by status. A string, because indexes use the same condition."""
_UNENDED = f"{LISTED} AND end_time IS NULL"
HAS_STATUS = {
    MeetingStatus.SCHEDULED: f"{_UNENDED} AND is_scheduled AND start_time IS NULL",
    MeetingStatus.OPEN: f"{_UNENDED} AND (NOT is_scheduled OR start_time IS NOT NULL)",
    MeetingStatus.ENDED: f"{LISTED} AND end_time IS NOT NULL",
    MeetingStatus.DELETED: "is_ready AND deleted",
}
""":attr:`Meeting.status` as conditions."""


def _listing_index(name: str, columns: tuple[str, ...], condition: str, **options: Any) -> Index:
    """Make an index of a list: the filter's columns, then those of the order."""
    return Index(f"ix_meeting_{name}", "tenant", *columns, **only(condition), **options)


def _listing_indexes() -> Iterator[Index]:
    """Make one index for each filter and order that :data:`videoconf.meetings.queries.OFFERED` names.

    Each holds only the meetings that its list can have, so the indexes of all states together are as large as one, and
    PostgreSQL needs no statistics of a status that most meetings have.
    """
    for order, column in (("created", "created_on"), ("scheduled", "schedule_time")):
        has_time = "" if order == "created" else " AND schedule_time IS NOT NULL"
        yield _listing_index(order, (column, "id"), LISTED + has_time)
        yield _listing_index(f"provider_{order}", ("provider", column, "id"), LISTED + has_time)
        # By bytes, so that meetings can be found by the beginning of their ids, too.
        by_bytes = {"postgresql_ops": {"ext_id": "varchar_pattern_ops"}}
        has_id = f"{LISTED}{has_time} AND ext_id IS NOT NULL"
        yield _listing_index(f"ext_id_{order}", ("ext_id", column, "id"), has_id, **by_bytes)
        for status, condition in HAS_STATUS.items():
            yield _listing_index(f"{status}_{order}", (column, "id"), condition + has_time)


class Meeting(Model):
    """A meeting. Its public id is ``meeting_link``; ``session_id`` is the provider's and may come later, or not yet."""

    __tablename__ = "meeting"
    __table_args__ = (
        UniqueConstraint("meeting_link"),
        UniqueConstraint("provider", "account", "session_id"),
        Index(None, "tenant", "id"),
        Index(None, "start_time"),
        Index("ix_meeting_session", "tenant", "session_id", **only("session_id IS NOT NULL")),
        *_listing_indexes(),
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
    """The one that went with the session to the provider; None if the provider received none."""
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
        return status_of(self)


def status_of(meeting: Any) -> MeetingStatus:
    """Return the status of a meeting, or of a row that has the columns which it follows from."""
    if meeting.deleted:
        return MeetingStatus.DELETED
    if meeting.end_time is not None:
        return MeetingStatus.ENDED
    if meeting.is_scheduled and meeting.start_time is None:
        return MeetingStatus.SCHEDULED
    return MeetingStatus.OPEN


def refuse_ended(meeting: Any) -> None:
    """Raise MeetingEnded for a meeting that has ended or is deleted."""
    if meeting.end_time is not None or meeting.deleted:
        raise MeetingEnded.at(meeting.end_time)


class Ban(Model):
    """An attendee who may not be at a meeting. Lifting it deletes the row."""

    __tablename__ = "ban"
    __table_args__ = (
        UniqueConstraint("public_id"),
        UniqueConstraint("meeting_id", "attendee_key"),
        Index(None, "meeting_id", "id"),
        Index(None, "attendee_key"),
    )

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    public_id: Mapped[str]
    meeting_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("meeting.id", ondelete="CASCADE"))
    attendee: Mapped[str] = mapped_column(String(1000))
    attendee_key: Mapped[str] = mapped_column(String(64))
    """:func:`key_of` the attendee, whose id may be longer than an index takes."""
    reason: Mapped[str | None]
    created_on: Mapped[datetime] = mapped_column(default=utc_now())
    created_by: Mapped[str]


def key_of(attendee: str) -> str:
    """Return what stands for an attendee in indexes."""
    return hashlib.sha256(attendee.encode()).hexdigest()
