"""From merged evidence to who was there: pure functions, the only place that says what evidence means.

Laws, for one connection with J = last join, L = last leave, A = first activity, and C = the later of the room's closing
and the meeting's end:

1. It has left at L when L is known and no join is later than L. A tie counts as left.
2. Otherwise it has left at C, *inferred*, when it was there (J, else A) at or before C.
3. Otherwise it is there now. In particular a join after the end shows: truth before tidiness.
4. It joined at the first join, else the first activity; a leave alone leaves that unknown.

They hold for any order and repetition of the events, because the evidence itself is the same for all of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Evidence(Protocol):
    """What is known of one connection: the columns of its row."""

    @property
    def connection_id(self) -> str: ...
    @property
    def attendee(self) -> str | None: ...
    @property
    def name(self) -> str | None: ...
    @property
    def name_at(self) -> datetime | None: ...
    @property
    def first_join(self) -> datetime | None: ...
    @property
    def last_join(self) -> datetime | None: ...
    @property
    def last_leave(self) -> datetime | None: ...
    @property
    def leave_reason(self) -> str | None: ...
    @property
    def first_activity(self) -> datetime | None: ...
    @property
    def last_evidence(self) -> datetime: ...


@dataclass(frozen=True)
class Connection:
    """One presence. ``left`` None: there now. ``inferred``: the leave follows from the room's or meeting's end."""

    id: str
    joined: datetime | None
    left: datetime | None
    reason: str | None
    inferred: bool


@dataclass(frozen=True)
class Attendee:
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
        return any(connection.left is None for connection in self.connections)

    def duration_seconds(self, now: datetime) -> int:
        """Return the time that they were there, overlapping connections counted once, whole seconds rounded down."""
        total, end = 0.0, None
        spans = sorted((c.joined, c.left or now) for c in self.connections if c.joined is not None)
        for joined, left in spans:
            begin = joined if end is None else max(joined, end)
            if left > begin:
                total += (left - begin).total_seconds()
            end = left if end is None else max(end, left)
        return int(total)


def reduce_connection(evidence: Evidence, closed_at: datetime | None) -> Connection:
    """Say what the evidence of one connection means, by the laws above.

    :param closed_at: the later of the room's closing and the meeting's end, or None.
    """
    joined = evidence.first_join or evidence.first_activity
    left, reason, inferred = None, None, False
    present = evidence.last_join or evidence.first_activity
    if evidence.last_leave is not None and not (evidence.last_join and evidence.last_join > evidence.last_leave):
        left, reason = evidence.last_leave, evidence.leave_reason
    elif closed_at is not None and present is not None and closed_at >= present:
        left, inferred = closed_at, True
    return Connection(evidence.connection_id, joined, left, reason, inferred)


def reduce_attendees(rows: Iterable[Evidence], closed_at: datetime | None) -> list[Attendee]:
    """Gather connections into attendees, by first join, ties by attendee and connection. Anonymous ones never merge."""
    by_person: dict[tuple[str, str], list[Evidence]] = {}
    for row in rows:
        key = ("", row.connection_id) if row.attendee is None else (row.attendee, "")
        by_person.setdefault(key, []).append(row)
    attendees = [(key, _attendee(rows_of_one, closed_at)) for key, rows_of_one in by_person.items()]
    attendees.sort(key=lambda pair: (pair[1].created_on or pair[1].modified_on, pair[0]))
    return [attendee for _, attendee in attendees]


def _attendee(rows: list[Evidence], closed_at: datetime | None) -> Attendee:
    connections = sorted(
        ((row, reduce_connection(row, closed_at)) for row in rows),
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
