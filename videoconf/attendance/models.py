"""The row of one connection: merged evidence, each column of which only ever moves one way."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from videoconf.database import Model


class AttendeeConnection(Model):
    """One continuous presence at a meeting. All times are the provider's.

    ``first_…`` columns only shrink and ``last_…`` columns only grow, whatever arrives in whatever order.
    """

    __tablename__ = "attendee_connection"
    # A person's rows across meetings are found by equality alone, and ids may be longer than a B-tree takes.
    __table_args__ = (Index(None, "attendee", postgresql_using="hash"),)

    meeting_id: Mapped[int] = mapped_column(ForeignKey("meeting.id", ondelete="CASCADE"), primary_key=True)
    connection_id: Mapped[str] = mapped_column(primary_key=True)
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
