"""From merged evidence to who was there: pure functions, the one place that says what evidence means.

Laws, for one connection with J = last join, L = last leave, A = first activity and E = last evidence:

1. It has left at L when L is known and no join is later than L. A tie counts as left.
2. Otherwise it has left, *inferred*, at the earliest of these that holds:

   * C, the later of the room's closing and the meeting's end, if it was there (J, else A) at or before C;
   * R, when the provider's roster first lacked it, twice in a row, if no evidence is later than R;
   * K = E + the cap for connections without evidence, once K has passed.

3. Otherwise it is there now. In particular a join after the end shows: truth before tidiness.
4. It joined at the first join; else, *inferred*, at A, if that is not after it left. A leave alone leaves it unknown.

They hold for any order and repetition of the events, because the evidence itself is the same for all of these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple

RECONCILED = "reconciled"
"""The reason of a leave that follows from the provider's roster."""
_SECOND = timedelta(seconds=1)


# Named tuples, which are made in a third of the time of a frozen dataclass: a list makes three for each attendee.


class Evidence(NamedTuple):
    """What is known of one connection: the columns of its row. Not the row itself, which takes four times as long."""

    connection_id: str
    attendee: str | None
    name: str | None
    name_at: datetime | None
    first_join: datetime | None
    last_join: datetime | None
    last_leave: datetime | None
    leave_reason: str | None
    first_activity: datetime | None
    last_evidence: datetime
    absent_on: datetime | None


class Bounds(NamedTuple):
    """What bounds every connection of a meeting."""

    now: datetime
    cap: timedelta
    """How long a connection without a leave counts as there after its last evidence."""
    closed_at: datetime | None = None
    """The later of the room's closing and the meeting's end."""


class Connection(NamedTuple):
    """One presence. ``left`` None: there now."""

    id: str
    joined: datetime | None
    left: datetime | None
    reason: str | None
    inferred: bool
    """The leave was not told: it follows from the room's or meeting's end, the roster, or long silence."""
    join_inferred: bool
    """The join was not told: this is the first sign of presence."""


class Span(NamedTuple):
    """A time without a gap during which somebody was there."""

    joined: datetime
    left: datetime
    """The present, where they are still there."""
    open: bool
    join_inferred: bool
    leave_inferred: bool


class Attendee(NamedTuple):
    """A person with all their connections, or one anonymous connection."""

    attendee: str | None
    name: str | None
    created_on: datetime | None
    """First join."""
    modified_on: datetime
    """Last evidence."""
    connections: tuple[Connection, ...]

    @property
    def active(self) -> bool:
        return None in [connection.left for connection in self.connections]

    @property
    def last_leave(self) -> datetime | None:
        """When they were last gone; None while they are there."""
        return None if self.active else max(one.left for one in self.connections if one.left is not None)

    def spans(self, now: datetime) -> list[Span]:
        """Return when they were there, in order; connections that overlap or touch are one span."""
        spans: list[Span] = []
        known = [(one.joined, one.left or now, one) for one in self.connections if one.joined is not None]
        for joined, left, one in sorted(known, key=lambda item: item[:2]):
            new = Span(joined, left, one.left is None, one.join_inferred, one.inferred)
            if left < joined:  # there now, by a clock ahead of ours
                continue
            if not spans or joined > spans[-1].left:
                spans.append(new)
            else:
                last = spans[-1]
                end = max(last, new, key=lambda span: (span.left, span.open, not span.leave_inferred))
                spans[-1] = Span(last.joined, end.left, end.open, last.join_inferred, end.leave_inferred)
        return spans

    def duration_seconds(self, now: datetime) -> int:
        """Return the time that they were there, overlapping connections counted once, whole seconds rounded down."""
        if len(self.connections) == 1:  # nearly everybody: what the spans would come to, in a fifth of the time
            [one] = self.connections
            if one.joined is None or (left := one.left or now) < one.joined:
                return 0
            return (left - one.joined) // _SECOND
        return length(self.spans(now)) // _SECOND


def length(spans: Iterable[Span]) -> timedelta:
    """Return how long the spans are together."""
    return sum((span.left - span.joined for span in spans), timedelta())


def reduce_connection(evidence: Evidence, bounds: Bounds) -> Connection:
    """Say what the evidence of one connection means, by the laws above."""
    left, reason, inferred = None, None, False
    if evidence.last_leave is not None and not (evidence.last_join and evidence.last_join > evidence.last_leave):
        left, reason = evidence.last_leave, evidence.leave_reason
    elif ends := _inferred_ends(evidence, bounds):
        (left, reason), inferred = min(ends, key=lambda end: (end[0], end[1] or "")), True
    joined = evidence.first_join
    activity = evidence.first_activity
    join_inferred = joined is None and activity is not None and (left is None or activity <= left)
    return Connection(
        evidence.connection_id, activity if join_inferred else joined, left, reason, inferred, join_inferred
    )


def _inferred_ends(evidence: Evidence, bounds: Bounds) -> list[tuple[datetime, str | None]]:
    """Return C, R and K as far as they hold, each with its reason."""
    ends: list[tuple[datetime, str | None]] = []
    present = evidence.last_join or evidence.first_activity
    if bounds.closed_at is not None and present is not None and present <= bounds.closed_at:
        ends.append((bounds.closed_at, None))
    if evidence.absent_on is not None and evidence.absent_on >= evidence.last_evidence:
        ends.append((evidence.absent_on, RECONCILED))
    if evidence.last_evidence <= bounds.now - bounds.cap:
        ends.append((evidence.last_evidence + bounds.cap, None))
    return ends


def person(row: Evidence) -> tuple[str, str]:
    """Return whose connection it is: all of one attendee are one person's, anonymous ones never merge."""
    return ("", row.connection_id) if row.attendee is None else (row.attendee, "")


def gather_attendees(rows: Iterable[Evidence], bounds: Bounds) -> list[Attendee]:
    """Gather connections, in any order, into attendees by first join, ties by id."""
    people: defaultdict[tuple[str, str], list[Evidence]] = defaultdict(list)
    for row in rows:
        people[person(row)].append(row)
    attendees = [(_attendee(theirs, bounds), who) for who, theirs in people.items()]
    attendees.sort(key=lambda pair: (pair[0].created_on or pair[0].modified_on, pair[1]))
    return [attendee for attendee, _ in attendees]


def reduce_attendees(rows: Iterable[Evidence], bounds: Bounds) -> Iterator[Attendee]:
    """Gather connections into attendees, in the order of the rows, which holds the rows of one person together."""
    for _, rows_of_one in groupby(rows, key=person):
        yield _attendee(list(rows_of_one), bounds)


def _attendee(rows: list[Evidence], bounds: Bounds) -> Attendee:
    if len(rows) == 1:  # nearly everybody: nothing is to be sorted or chosen, which takes most of the time
        [row] = rows
        one = reduce_connection(row, bounds)
        name = row.name if row.name_at is not None else None
        return Attendee(row.attendee, name, one.joined, row.last_evidence, (one,))
    connections = sorted(
        ((row, reduce_connection(row, bounds)) for row in rows),
        key=lambda pair: (pair[1].joined or pair[0].last_evidence, pair[1].id),
    )
    names = [(row.name_at, row.name) for row in rows if row.name is not None and row.name_at is not None]
    joins = [connection.joined for _, connection in connections if connection.joined is not None]
    return Attendee(
        attendee=rows[0].attendee,
        name=min(names)[1] if names else None,
        created_on=min(joins, default=None),
        modified_on=max(row.last_evidence for row in rows),
        connections=tuple(connection for _, connection in connections),
    )
