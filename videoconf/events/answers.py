"""What GET answers for the parts of a meeting, as the projector asks for it.

The layer of the API implements this with the functions that make its answers, so an event and a GET cannot differ.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from sqlalchemy.orm import Session


class MeetingAnswer(NamedTuple):
    """A meeting that exists for callers."""

    id: int
    link: str
    tenant: str
    ext_id: str | None
    data: dict[str, Any]
    """As ``GET /session/{id}`` answers it, in JSON's types."""
    row: Any
    """For the other methods of :class:`Answers`."""


class AttendeeAnswer(NamedTuple):
    """An item of ``GET …/attendees``."""

    data: dict[str, Any]
    silent_since: datetime | None
    """The oldest last evidence of an open connection; None if all have left."""


class Answers(Protocol):
    """Reads within a transaction. Thread-safe."""

    def meeting(self, session: Session, meeting_id: int) -> MeetingAnswer | None:
        """Return a meeting; None if it does not exist for callers."""

    def attendees(
        self, session: Session, meeting: MeetingAnswer, connections: Collection[str], attendees: Collection[str]
    ) -> list[AttendeeAnswer]:
        """Return the attendees of these connections, and those with these ids. Must not read the others."""

    def all_attendees(self, session: Session, meeting: MeetingAnswer) -> list[AttendeeAnswer]:
        """Return every attendee."""

    def archives(
        self, session: Session, meeting: MeetingAnswer, archive_ids: Collection[str] | None
    ) -> dict[str, dict[str, Any]]:
        """Return these archives, or with None all, by their ids. Deleted ones are left out."""
