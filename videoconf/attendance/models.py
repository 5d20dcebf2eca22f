"""The rows of a connection and of what it sends: merged evidence, each column of which only ever moves one way."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from videoconf.db.functions import digest
from videoconf.db.types import Model, only


class AttendeeConnection(Model):
    """One continuous presence at a meeting. All times are the provider's but where it says otherwise.

    ``first_…`` columns only shrink and ``last_…`` columns only grow, whatever arrives in whatever order.
    """

    __tablename__ = "attendee_connection"
    __table_args__ = (
        Index("ix_attendee_connection_unplaced", "meeting_id", **only("tenant IS NULL")),
        # Only the roster's job looks for open connections, and they are few beside all that ever were.
        Index("ix_attendee_connection_open", "last_evidence", **only("last_leave IS NULL OR last_join > last_leave")),
    )

    meeting_id: Mapped[int] = mapped_column(ForeignKey("meeting.id", ondelete="CASCADE"), primary_key=True)
    connection_id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str | None]
    """The meeting's, as is the next: a person's meetings are found and sorted without reading the meetings. NULL in
    rows of the release before, until :mod:`videoconf.attendance.place` has filled it."""
    meeting_created_on: Mapped[datetime | None]
    attendee: Mapped[str | None] = mapped_column(String(1000))
    """The stable id of the person, by the earliest evidence that gives one; None: anonymous."""
    attendee_at: Mapped[datetime | None]
    name: Mapped[str | None]
    name_at: Mapped[datetime | None]
    first_join: Mapped[datetime | None]
    last_join: Mapped[datetime | None]
    last_leave: Mapped[datetime | None]
    leave_reason: Mapped[str | None]
    first_activity: Mapped[datetime | None]
    last_evidence: Mapped[datetime]
    missed_on: Mapped[datetime | None]
    """By our clock: when the latest roster did not have it, after one that may have had it."""
    absent_on: Mapped[datetime | None]
    """By our clock: the first of two rosters in a row that did not have it."""
    erased_on: Mapped[datetime | None]
    """When the person's id and name were erased; evidence that comes later does not bring them back."""


# Each of a person's connections has its own place in this index; a hash index would put all of them into one bucket,
# which every further one would go through.
Index(
    "ix_attendee_connection_person",
    digest(AttendeeConnection.attendee),
    AttendeeConnection.tenant,
    AttendeeConnection.meeting_created_on,
    AttendeeConnection.meeting_id,
    **only("attendee IS NOT NULL"),
)


class AttendeeStream(Model):
    """A media stream of a connection. Times are the provider's, and only grow."""

    __tablename__ = "attendee_stream"
    __table_args__ = (
        ForeignKeyConstraint(
            ["meeting_id", "connection_id"],
            ["attendee_connection.meeting_id", "attendee_connection.connection_id"],
            ondelete="CASCADE",
        ),
    )

    meeting_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    connection_id: Mapped[str] = mapped_column(primary_key=True)
    stream_id: Mapped[str] = mapped_column(primary_key=True)
    last_published: Mapped[datetime | None]
    """The latest sign that it was there."""
    last_gone: Mapped[datetime | None]
