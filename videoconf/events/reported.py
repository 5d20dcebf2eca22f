"""The difference of one meeting: what changed since the log said something of it, as events and as rows to keep."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from videoconf.events import comparison
from videoconf.events.answers import Answers, AttendeeAnswer, MeetingAnswer
from videoconf.events.changes import MEETING, of_archive, of_connection
from videoconf.events.models import ReportedPart
from videoconf.events.types import EventType

_PARTS: Any = ReportedPart.__table__
_READ_AT_ONCE = 1000


class Row(NamedTuple):
    """A row of :class:`ReportedPart` to be stored."""

    part: str
    data: dict[str, Any] | None = None
    attendee_part: str | None = None
    silent_since: Any = None


@dataclass
class Step:
    """One part's events, and the rows that say that they were reported. Stored together or not at all."""

    events: list[tuple[EventType, dict[str, Any]]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    """Parts whose rows are deleted."""


class Reported:
    """What the log said last of a meeting: the rows of the parts that are looked at."""

    def __init__(self, session: Session, meeting_id: int) -> None:
        self._session = session
        self._meeting_id = meeting_id
        self._rows: dict[str, Any] = {}
        self._loaded: set[str] = set()

    def load(self, parts: Iterable[str]) -> None:
        """Read the rows of these parts that were not read yet."""
        missing = list(set(parts) - self._loaded)
        self._loaded |= set(missing)
        for first in range(0, len(missing), _READ_AT_ONCE):
            some = missing[first : first + _READ_AT_ONCE]
            self._read(_PARTS.c.part.in_(some))

    def load_all(self) -> None:
        """Read every row of the meeting."""
        self._read()
        self._loaded |= self._rows.keys()

    def _read(self, *conditions: Any) -> None:
        statement = select(_PARTS).where(_PARTS.c.meeting_id == self._meeting_id, *conditions)
        self._rows |= {row.part: row for row in self._session.execute(statement)}

    def row(self, part: str) -> Any:
        """Return a part's row, or None."""
        return self._rows.get(part)

    def data(self, part: str) -> dict[str, Any] | None:
        """Return what was reported of a part last; None if nothing was."""
        row = self._rows.get(part)
        return None if row is None else row.data

    def attendee_part(self, connection_id: str) -> str | None:
        """Return under which attendee a connection was reported."""
        row = self._rows.get(of_connection(connection_id))
        return None if row is None else row.attendee_part

    def parts(self, prefix: str) -> list[str]:
        """List the parts that were reported and begin with this."""
        return [part for part in self._rows if part.startswith(prefix)]


def attendee_steps(
    session: Session,
    answers: Answers,
    meeting: MeetingAnswer,
    reported: Reported,
    connections: Collection[str] | None,
    erased: Collection[str],
) -> list[Step]:
    """Compare the attendees of these connections, or with None all; those that are gone come first.

    A connection that moved from one attendee to another changes both, so both are compared.
    """
    if connections is None:
        reported.load_all()
        items = {comparison.attendee_part(one.data): one for one in answers.all_attendees(session, meeting)}
        former = set(reported.parts("attendee:"))
    else:
        items, former = _touched(session, answers, meeting, reported, set(connections))
    known: set[str] = set()
    were_open: set[str] = set()
    for part in former | items.keys():
        if (data := reported.data(part)) is not None:
            known |= set(comparison.connection_ids(data))
            were_open |= set(comparison.open_connections(data))
    steps = []
    for part in sorted(former - items.keys()):
        if (data := reported.data(part)) is not None:
            is_erased = comparison.names_person(data, erased, None)
            last = comparison.without_person(data) if is_erased else data
            steps.append(Step([(EventType.ATTENDEE_REMOVED, last)], gone=[part]))
    for part, item in items.items():
        if (step := _attendee_step(reported, part, item, known, were_open, erased)) is not None:
            steps.append(step)
    return steps


def _touched(
    session: Session, answers: Answers, meeting: MeetingAnswer, reported: Reported, connections: set[str]
) -> tuple[dict[str, AttendeeAnswer], set[str]]:
    """Return the attendees to compare by their parts, and the parts under which their connections were reported."""
    names: set[str] = set()
    while True:
        reported.load(map(of_connection, connections))
        former = {part for one in connections if (part := reported.attendee_part(one)) is not None}
        reported.load(former)
        for last in filter(None, map(reported.data, former)):
            if last["attendee"] is not None:
                names.add(last["attendee"])
            else:  # an erasure removed the id of an attendee, some of whose connections may be others'
                connections |= set(comparison.connection_ids(last))
        found = answers.attendees(session, meeting, connections, names)
        items = {comparison.attendee_part(one.data): one for one in found}
        reported.load(items)
        theirs = {one for item in found for one in comparison.connection_ids(item.data)}
        # A connection that was reported under its attendee as it is now leads to no other attendee.
        settled = {one for part in items if (data := reported.data(part)) for one in comparison.connection_ids(data)}
        further = theirs - connections - settled
        if not further:
            return items, former
        connections = connections | further


def _attendee_step(
    reported: Reported,
    part: str,
    item: AttendeeAnswer,
    known: set[str],
    were_open: set[str],
    erased: Collection[str],
) -> Step | None:
    before = reported.data(part)
    types = comparison.attendee_events(before, item.data, known, were_open)
    if not types and before is not None and comparison.names_person(before, erased, None):
        types = [EventType.ATTENDEE_UPDATED]  # the erasure removed the name from what was reported, not from readers
    row = Row(part, item.data, silent_since=item.silent_since)
    if not types:
        return None if reported.row(part).silent_since == item.silent_since else Step(rows=[row])
    listed = set() if before is None else set(comparison.connection_ids(before))
    added = [one for one in comparison.connection_ids(item.data) if one not in listed]
    moved = [Row(of_connection(one), attendee_part=part) for one in added]
    return Step([(type, item.data) for type in types], [row, *moved])


def archive_steps(
    session: Session, answers: Answers, meeting: MeetingAnswer, reported: Reported, archive_ids: set[str] | None
) -> list[Step]:
    """Compare these archives, or with None all."""
    found = answers.archives(session, meeting, archive_ids)
    parts = {of_archive(one) for one in found if archive_ids is None} | set(map(of_archive, archive_ids or ()))
    reported.load(parts)
    if archive_ids is None:
        parts |= set(reported.parts(of_archive("")))
    now = {of_archive(one): data for one, data in found.items()}
    steps = []
    for part in sorted(parts, key=lambda one: (now.get(one, {}).get("createdOn", ""), one)):
        before, data = reported.data(part), now.get(part)
        types = comparison.archive_events(before, data)
        if not types:
            continue
        if data is not None:
            steps.append(Step([(type, data) for type in types], [Row(part, data)]))
        elif before is not None:
            steps.append(Step([(types[0], comparison.deleted_archive(before))], gone=[part]))
    return steps


def meeting_steps(reported: Reported, meeting: MeetingAnswer) -> tuple[Step, Step]:
    """Compare the meeting itself; return what comes before its attendees and archives, and what comes after."""
    types = comparison.meeting_events(reported.data(MEETING), meeting.data)
    row = [Row(MEETING, meeting.data)] if types else []
    first, last = Step(), Step(rows=row)
    for type in types:
        (first if type is EventType.MEETING_CREATED else last).events.append((type, meeting.data))
    return first, last
