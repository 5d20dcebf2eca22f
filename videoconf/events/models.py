"""The rows of the log: what changed, what was reported last, and the events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from videoconf.db.functions import utc_now
from videoconf.db.types import BigId, Model, only
from videoconf.db.upsert import upserts

PART = String(300)
"""The longest part is that of a connection's id, with its prefix."""


class Change(Model):
    """A part of a meeting that changed and that the projector has not looked at yet.

    It has no foreign key and no index but its own id, because every webhook writes one.
    """

    __tablename__ = "change"

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    meeting_id: Mapped[int] = mapped_column(BigInteger)
    part: Mapped[str] = mapped_column(PART)
    """See :mod:`videoconf.events.changes`; the type of the event, where ``data`` is set."""
    data: Mapped[dict[str, Any] | None]
    """A fact that becomes an event as it stands."""
    noted_on: Mapped[datetime | None] = mapped_column(default=utc_now())


class EventLog(Model):
    """The one row of the log. Its lock makes commit order position order."""

    __tablename__ = "event_log"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Always 1."""
    position: Mapped[int] = mapped_column(BigInteger)
    """The newest event's."""
    pruned: Mapped[int] = mapped_column(BigInteger)
    """Events up to this position are deleted."""
    projector: Mapped[str | None]
    """Which process projects, until ``projector_until``."""
    projector_until: Mapped[datetime | None]


class ReportedPart(Model):
    """What the log last said of one part of a meeting, to compare with what GET answers now."""

    __tablename__ = "event_part"
    __table_args__ = (Index("ix_event_part_silent_since", "silent_since", **only("silent_since IS NOT NULL")),)

    meeting_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    part: Mapped[str] = mapped_column(PART, primary_key=True)
    """``meeting``, ``archive:…``, ``attendee:…`` with a digest, or ``connection:…``."""
    data: Mapped[dict[str, Any] | None]
    """As the last event had it; None for a connection."""
    attendee_part: Mapped[str | None] = mapped_column(String(80))
    """The part of the attendee whose a connection was, in a connection's row."""
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    """The meeting's newest ``sequence``, in the row of the meeting."""
    has_started: Mapped[bool | None]
    """Whether the log said that the meeting started, in the row of the meeting."""
    silent_since: Mapped[datetime | None]
    """The oldest last evidence of an open connection, in an attendee's row: the cap counts from it."""


class Event(Model):
    """One event. Never changed, except that an erased person is removed from it."""

    __tablename__ = "event"
    __table_args__ = (
        Index(None, "tenant", "position"),
        Index(None, "tenant", "type", "position"),
        Index(None, "tenant", "meeting_link", "position"),
        Index(None, "at"),
    )

    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    type: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    tenant: Mapped[str]
    meeting_link: Mapped[str]
    ext_id: Mapped[str | None]
    sequence: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[dict[str, Any]]


PLANT = upserts(
    EventLog.__table__,
    lambda statement: statement.values(id=1, position=0, pruned=0).on_conflict_do_nothing(index_elements=["id"]),
)
"""Inserts the row of the log, unless it is there."""
