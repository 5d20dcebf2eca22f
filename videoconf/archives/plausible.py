"""Decide which times of a provider's statement about an archive can be true.

A vendor's clock may be wrong, or a vendor may send seconds where milliseconds are meant. Such a time must neither
delete a recording nor keep it, nor make one status hold against all later ones.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from videoconf.providers import ArchiveState

BEFORE_MEETING_TOLERANCE = timedelta(hours=24)
"""How long before the creation of its meeting a recording may have begun, by clocks that disagree."""
AHEAD_TOLERANCE = timedelta(minutes=5)
"""How far the provider's clock may be ahead of ours."""


def believed(said: ArchiveState, meeting_created_on: datetime, now: datetime) -> ArchiveState:
    """Return the statement without the times that cannot be true. A recording that begins in a moment has begun."""
    earliest, latest = meeting_created_on - BEFORE_MEETING_TOLERANCE, now + AHEAD_TOLERANCE

    def find(time: datetime | None) -> datetime | None:
        return time if time is not None and earliest <= time <= latest else None

    created_at = find(said.created_at)
    return replace(
        said, created_at=None if created_at is None else min(created_at, now), updated_at=find(said.updated_at)
    )
