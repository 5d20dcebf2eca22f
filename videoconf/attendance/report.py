"""The attendance report: who was there for how long, and whether that counts as having been present."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from videoconf.attendance.presence import Attendee, Span, length

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class PresenceRule:
    """How long an attendee must have been present to count; without either, any presence counts."""

    minimum_share: float | None = None
    """Share of the meeting's length, 0 to 1."""
    minimum_seconds: int | None = None

    def is_met(self, total: timedelta, meeting_length: timedelta) -> bool:
        if self.minimum_seconds is not None:
            return total >= timedelta(seconds=self.minimum_seconds)
        return share(total, meeting_length) >= (self.minimum_share or 0)


@dataclass(frozen=True)
class MeetingTotals:
    """What all attendees come to together."""

    started_on: datetime | None
    """The first join of all."""
    ended_on: datetime | None
    """The last leave of all; None while an attendee is present, or when none ever was."""
    length: timedelta
    """The time during which at least one attendee was present; an empty room does not count."""
    attendees: int
    connections: int
    peak: int
    """The most people who were there at once."""
    peak_on: datetime | None
    """When that was so first."""


@dataclass(frozen=True)
class Row:
    """One attendee of the report."""

    attendee: Attendee
    spans: list[Span]
    total: timedelta
    share: float
    """Share of the meeting's length, 0 to 1."""
    present: bool


def share(total: timedelta, meeting_length: timedelta) -> float:
    """Return which part of the meeting a time is; 0 where the meeting has no length."""
    return total / meeting_length if meeting_length else 0.0


def reduce_totals(attendees: Iterable[Attendee], now: datetime) -> MeetingTotals:
    """Add up a meeting. Stores only the two ends of each presence, so memory stays small."""
    joins, leaves = array("q"), array("q")  # microseconds
    people = connections = 0
    first_join: datetime | None = None
    last_leave: datetime | None = None
    somebody_is_there = False
    for attendee in attendees:
        people += 1
        connections += len(attendee.connections)
        somebody_is_there |= attendee.active
        first_join = min(filter(None, (first_join, attendee.created_on)), default=None)
        last_leave = max(filter(None, (last_leave, attendee.last_leave)), default=None)
        for span in attendee.spans(now):
            joins.append((span.joined - EPOCH) // MICROSECOND)
            leaves.append((span.left - EPOCH) // MICROSECOND)
    together, peak, peak_on = _sweep(sorted(joins), sorted(leaves))
    return MeetingTotals(
        started_on=first_join,
        ended_on=None if somebody_is_there else last_leave,
        length=together * MICROSECOND,
        attendees=people,
        connections=connections,
        peak=peak,
        peak_on=None if peak_on is None else EPOCH + peak_on * MICROSECOND,
    )


def _sweep(joins: list[int], leaves: list[int]) -> tuple[int, int, int | None]:
    """Return how long anybody was there, the most who were there at one moment, and that moment, the first such.

    Both ends of a presence belong to it, so one without a length counts too.
    """
    together = there = peak = gone = since = 0
    peak_on = None
    for joined in joins:
        while leaves[gone] < joined:
            there -= 1
            if there == 0:
                together += leaves[gone] - since
            gone += 1
        if there == 0:
            since = joined
        there += 1
        if there > peak:
            peak, peak_on = there, joined
    return together + (leaves[-1] - since if leaves else 0), peak, peak_on


def reduce_row(attendee: Attendee, rule: PresenceRule, totals: MeetingTotals, now: datetime) -> Row:
    """Compute how long one attendee was present."""
    spans = attendee.spans(now)
    total = length(spans)
    return Row(attendee, spans, total, share(total, totals.length), rule.is_met(total, totals.length))
