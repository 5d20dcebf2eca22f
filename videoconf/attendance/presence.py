"""From merged evidence to who was there: the one place that says what evidence means.

Each law stands once in Python, for answers, and once in SQL, for sorting, paging and counting. Tests hold the two
against each other over generated histories.

The laws, for one connection with J = last join, L = last leave, A = first activity and E = last evidence:

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
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, false, func, or_

from videoconf.attendance.models import AttendeeConnection

RECONCILED = "reconciled"
"""The reason of a leave that follows from the provider's roster."""
_SECOND = timedelta(seconds=1)


class Law(StrEnum):
    """The law that decided whether a connection has left."""

    LEFT = "left"
    """Law 1."""
    CLOSED = "closed"
    """Law 2, C."""
    ABSENT = "absent"
    """Law 2, R."""
    SILENT = "silent"
    """Law 2, K."""
    PRESENT = "present"
    """Law 3."""


# Named tuples are created three times as fast as frozen dataclasses, and a list creates three for each attendee.


class Evidence(NamedTuple):
    """What is known of one connection: the columns of its row.

    A named tuple, because reading an attribute of a SQLAlchemy row takes four times as long.
    """

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


class Stream(NamedTuple):
    """What events reported of a media stream.

    It was there from ``published_on`` until its connection left, or until ``gone_on`` where that is not earlier.
    """

    id: str
    published_on: datetime | None
    """The latest report that it was published; None: only its end was reported."""
    gone_on: datetime | None
    """The latest report that it was gone; None: no event reported it."""


class Connection(NamedTuple):
    """One presence. ``left`` None: there now."""

    id: str
    joined: datetime | None
    left: datetime | None
    reason: str | None
    inferred: bool
    """No event reported the leave: it follows from the end of the room or the meeting, the roster, or long silence."""
    join_inferred: bool
    """No event reported the join: this is the first sign of presence."""
    law: Law
    """What decided."""
    streams: tuple[Stream, ...] | None = None
    """What it sent; None where the caller did not ask for streams."""


class Span(NamedTuple):
    """A time without a gap during which an attendee was present."""

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
        for joined, left, one in sorted(known, key=itemgetter(0, 1)):
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
        if len(self.connections) == 1:  # as most people have; spans would take 5 % of the CPU time of a list
            [one] = self.connections
            return max(0, ((one.left or now) - one.joined) // _SECOND) if one.joined else 0
        return length(self.spans(now)) // _SECOND


def length(spans: Iterable[Span]) -> timedelta:
    """Return how long the spans are together."""
    total = timedelta()
    for span in spans:
        total += span.left - span.joined
    return total


# --- the laws -------------------------------------------------------------------------------------------------------

c = AttendeeConnection.__table__.c


def person(row: Evidence) -> tuple[str, str]:
    """Return whose connection it is: all of one attendee are one person's, anonymous ones never merge."""
    return ("", row.connection_id) if row.attendee is None else (row.attendee, "")


ANONYMOUS = case((c.attendee.is_(None), c.connection_id))
PERSON = (c.attendee, ANONYMOUS)
""":func:`person` in SQL."""


def leave_stands(evidence: Evidence) -> bool:
    """Law 1."""
    return evidence.last_leave is not None and not (evidence.last_join and evidence.last_join > evidence.last_leave)


LEAVE_STANDS = and_(c.last_leave.is_not(None), or_(c.last_join.is_(None), c.last_join <= c.last_leave))
""":func:`leave_stands` in SQL."""
NO_LEAVE_STANDS = or_(c.last_leave.is_(None), c.last_join > c.last_leave)
"""Its opposite, as the condition of the index ``open`` has it, by which PostgreSQL finds the few such connections."""


def inferred_ends(evidence: Evidence, bounds: Bounds) -> list[tuple[datetime, str | None, Law]]:
    """Law 2: return C, R and K as far as they hold, each with its reason."""
    ends: list[tuple[datetime, str | None, Law]] = []
    present = evidence.last_join or evidence.first_activity
    if bounds.closed_at is not None and present is not None and present <= bounds.closed_at:
        ends.append((bounds.closed_at, None, Law.CLOSED))
    if evidence.absent_on is not None and evidence.absent_on >= evidence.last_evidence:
        ends.append((evidence.absent_on, RECONCILED, Law.ABSENT))
    if evidence.last_evidence <= bounds.now - bounds.cap:
        ends.append((evidence.last_evidence + bounds.cap, None, Law.SILENT))
    return ends


def has_left(closed_at: ColumnElement[Any], silent_since: datetime) -> ColumnElement[bool]:
    """Laws 1 to 3 in SQL: a leave stands, or C, R or K holds.

    :param closed_at: C; may be NULL.
    :param silent_since: now − cap.
    """
    closed = func.coalesce(c.last_join, c.first_activity) <= closed_at
    absent, silent = c.absent_on >= c.last_evidence, c.last_evidence <= silent_since
    return func.coalesce(or_(LEAVE_STANDS, closed, absent, silent), false())  # NULL where a time is not known


def is_join_inferred(evidence: Evidence, left: datetime | None) -> bool:
    """Law 4: the connection joined at its first activity, unless it had left by then."""
    activity = evidence.first_activity
    return evidence.first_join is None and activity is not None and (left is None or activity <= left)


JOINED = func.coalesce(
    c.first_join, case((or_(c.last_leave.is_(None), c.first_activity <= c.last_leave), c.first_activity))
)
"""Law 4 in SQL. An inferred leave is never before the first activity, so the leave that was reported decides."""


def reduce_connection(evidence: Evidence, bounds: Bounds) -> Connection:
    """Derive the presence of one connection from its evidence, by the laws above."""
    left, reason, inferred, law = None, None, False, Law.PRESENT
    if leave_stands(evidence):
        left, reason, law = evidence.last_leave, evidence.leave_reason, Law.LEFT
    elif ends := inferred_ends(evidence, bounds):
        (left, reason, law), inferred = min(ends, key=lambda end: (end[0], end[1] or "")), True
    join_inferred = is_join_inferred(evidence, left)
    joined = evidence.first_activity if join_inferred else evidence.first_join
    return Connection(evidence.connection_id, joined, left, reason, inferred, join_inferred, law)


# --- attendees ------------------------------------------------------------------------------------------------------


def gather_attendees(rows: Iterable[Evidence], bounds: Bounds) -> list[Attendee]:
    """Gather connections, in any order, into attendees by first join, ties by id."""
    people: defaultdict[tuple[str, str], list[Evidence]] = defaultdict(list)
    for row in rows:
        people[person(row)].append(row)
    attendees: list[tuple[datetime, tuple[str, str], Attendee]] = []
    for who, theirs in people.items():
        one = _attendee(theirs, bounds)
        attendees.append((one.created_on or one.modified_on, who, one))
    attendees.sort()
    return [one for _, _, one in attendees]


def reduce_attendees(rows: Iterable[Evidence], bounds: Bounds) -> Iterator[Attendee]:
    """Gather connections into attendees, in the order of the rows, which holds the rows of one person together."""
    for _, rows_of_one in groupby(rows, key=person):
        yield _attendee(list(rows_of_one), bounds)


def _attendee(rows: list[Evidence], bounds: Bounds) -> Attendee:
    connections: list[tuple[datetime, str, Connection]] = []
    name, named_at, created_on = None, None, None
    modified_on = rows[0].last_evidence
    for row in rows:
        one = reduce_connection(row, bounds)
        connections.append((one.joined or row.last_evidence, one.id, one))
        if (
            row.name is not None
            and row.name_at is not None
            and (named_at is None or (row.name_at, row.name) < (named_at, name))
        ):
            name, named_at = row.name, row.name_at
        if one.joined is not None and (created_on is None or one.joined < created_on):
            created_on = one.joined
        if row.last_evidence > modified_on:
            modified_on = row.last_evidence
    connections.sort()
    return Attendee(rows[0].attendee, name, created_on, modified_on, tuple([one for _, _, one in connections]))
