"""Queries about a meeting's attendance: the list of attendees, whole or a page, and the report.

:mod:`videoconf.attendance.presence` derives presence from the evidence. Whole lists are streams, so that memory use
does not grow with the meeting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, and_, bindparam, case, func, literal, literal_column, or_, select
from sqlalchemy.orm import Session

from videoconf.attendance.explain import Closing, Explanation, explain_attendee
from videoconf.attendance.models import AttendeeConnection
from videoconf.attendance.presence import (
    ANONYMOUS,
    JOINED,
    NO_LEAVE_STANDS,
    PERSON,
    Attendee,
    Bounds,
    Evidence,
    c,
    gather_attendees,
    has_left,
    reduce_attendees,
)
from videoconf.attendance.report import MeetingTotals, PresenceRule, Row, reduce_row, reduce_totals
from videoconf.attendance.streams import streams_of, with_streams
from videoconf.audit import person_digest, record
from videoconf.db import keyset
from videoconf.db.functions import by_code_point
from videoconf.db.keyset import Order, Part, Position
from videoconf.db.transactions import read, statements
from videoconf.db.types import UTCDateTime
from videoconf.errors import ConnectionNotFound, MeetingNotFound
from videoconf.meetings.models import Meeting
from videoconf.precedence import giving_way
from videoconf.tenancy import Caller, visible_to_bound

if TYPE_CHECKING:
    from videoconf.providers import Clock
    from videoconf.settings import Settings

FETCHED_AT_ONCE = 200
"""Rows of a stream. The driver keeps the GIL while it reads them, and quick requests wait for it meanwhile."""
LOADED_AT_ONCE = 1000
"""Connections of a meeting up to which its list is simply loaded; beyond, rows come as they are asked for."""


@dataclass(frozen=True)
class AttendeeList:
    """Attendees of a meeting, by first join, ties by id. Those of a large one can be gone through once."""

    session_id: str | None
    bounds: Bounds
    attendees: Iterable[Attendee]


@dataclass(frozen=True)
class Report:
    """The attendance of a meeting. The rows can be gone through once."""

    session_id: str | None
    bounds: Bounds
    totals: MeetingTotals
    rows: Iterator[Row]


class Attendance:
    """The questions. One instance serves all threads."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._cap = timedelta(hours=settings.connection_cap_hours)
        self._clock = clock

    def page(
        self, caller: Caller, link: str, *, active: bool | None, streams: bool, part: Part
    ) -> tuple[AttendeeList, int]:
        """Return one page of a meeting's attendees, and how many there are.

        With ``active``, only those who are, or are not, there now. With ``streams``, also what each connection sent.

        :raises MeetingNotFound: no meeting of the tenant has this link.
        """
        with read(snapshot=True) as session:
            meeting, bounds = self._get(session, caller, link)
            attendees, total = page_of_attendees(
                session, meeting.id, bounds, active=active, limit=part.limit, offset=part.offset or 0
            )
            if streams:
                attendees = list(with_streams(session, meeting.id, attendees))
            return AttendeeList(meeting.session_id, bounds, attendees), total

    def part(
        self, caller: Caller, link: str, *, active: bool | None, streams: bool, part: Part
    ) -> tuple[AttendeeList, Position | None]:
        """Return the attendees behind a position, by their ids, and where the list goes on, if it does.

        By their ids, because late evidence can move an attendee in the order of first joins.

        :raises MeetingNotFound: no meeting of the tenant has this link.
        """
        with read(snapshot=True) as session:
            meeting, bounds = self._get(session, caller, link)
            attendees, behind = _walked(session, meeting.id, bounds, active, part)
            if streams:
                attendees = list(with_streams(session, meeting.id, attendees))
            return AttendeeList(meeting.session_id, bounds, attendees), behind

    @contextmanager
    def whole(self, caller: Caller, link: str, *, active: bool | None, streams: bool) -> Iterator[AttendeeList]:
        """Give all of a meeting's attendees, in bounded memory; to be gone through within the block.

        :raises MeetingNotFound: no meeting of the tenant has this link.
        """
        if not streams:
            found = load_connections(caller, link)
            if found is None:
                raise MeetingNotFound
            meeting, connections = found
            if len(connections) <= LOADED_AT_ONCE:
                bounds = self.bounds(meeting)
                few = gather_attendees(connections, bounds)
                yield AttendeeList(meeting.session_id, bounds, _those(few, active))
                return
        with read(snapshot=True) as session:
            meeting, bounds = self._get(session, caller, link)
            many = _those(stream_attendees(session, meeting.id, bounds), active)
            yield AttendeeList(meeting.session_id, bounds, with_streams(session, meeting.id, many) if streams else many)

    @contextmanager
    def report(self, caller: Caller, link: str, rule: PresenceRule) -> Iterator[Report]:
        """Give a meeting's report, in bounded memory; its rows are to be gone through within the block.

        :raises MeetingNotFound: no meeting of the tenant has this link.
        """
        with read(snapshot=True) as session:  # gone through twice, for the totals and for the rows, which must agree
            meeting, bounds = self._get(session, caller, link)
            totals = reduce_totals(stream_attendees(session, meeting.id, bounds), bounds.now)
            rows = (
                reduce_row(attendee, rule, totals, bounds.now)
                for attendee in stream_attendees(session, meeting.id, bounds)
            )
            yield Report(meeting.session_id, bounds, totals, rows)

    def explain(self, caller: Caller, link: str, attendee: str) -> Explanation:
        """Explain in words why an attendee shows as present or absent.

        :param attendee: a stable id, or the id of an anonymous connection.
        :raises MeetingNotFound: no meeting of the tenant has this link.
        :raises ConnectionNotFound: no evidence mentions this attendee.
        """
        with read(snapshot=True) as session:
            meeting, bounds = self._get(session, caller, link)
            rows = connections_of(session, meeting.id, attendee)
            streams = streams_of(session, meeting.id, [row.connection_id for row in rows])
        if not rows:
            raise ConnectionNotFound("No webhook and no roster of this meeting mentioned this attendee.")
        return explain_attendee(link, rows, streams, bounds, Closing(meeting.closed_at, meeting.end_time))

    def _get(self, session: Session, caller: Caller, link: str) -> tuple[Any, Bounds]:
        meeting = find_meeting(session, caller, link)
        if meeting is None:
            raise MeetingNotFound
        return meeting, self.bounds(meeting)

    def bounds(self, meeting: Any) -> Bounds:
        """Return what bounds the connections of a meeting, by its ``closed_at`` and ``end_time``."""
        ends = [time for time in (meeting.closed_at, meeting.end_time) if time is not None]
        return Bounds(self._clock(), self._cap, max(ends, default=None))


def _those(attendees: Iterable[Attendee], active: bool | None) -> Iterable[Attendee]:
    if active is None:
        return attendees
    return (attendee for attendee in attendees if attendee.active is active)


# --- statements -----------------------------------------------------------------------------------------------------

# Anonymous ones first among equals: NULLs sort differently in the two databases, an empty text does not.
_BY_ID = (by_code_point(func.coalesce(c.attendee, "")), by_code_point(func.coalesce(ANONYMOUS, "")))
_FIRST_JOIN, _LAST_EVIDENCE = func.min(JOINED), func.max(c.last_evidence)

_EVIDENCE = tuple(c[name] for name in Evidence._fields)
_BY_FIRST_JOIN = (
    func.coalesce(_FIRST_JOIN.over(partition_by=PERSON), _LAST_EVIDENCE.over(partition_by=PERSON)),
    *_BY_ID,
)
_IN_ORDER: Select[Any] = select(*_EVIDENCE).where(c.meeting_id == bindparam("meeting_id")).order_by(*_BY_FIRST_JOIN)
"""Connections by the first join of their person, those of one person together."""

_MEETING = Meeting.__table__.c
_OF_MEETING = (
    _MEETING.meeting_link == bindparam("link"),
    _MEETING.is_ready,
    visible_to_bound(_MEETING.tenant),
)
_FIND = select(_MEETING.id, _MEETING.session_id, _MEETING.closed_at, _MEETING.end_time).where(*_OF_MEETING)
_FIND_WITH_CONNECTIONS = (
    select(*_EVIDENCE, _MEETING.session_id, _MEETING.closed_at, _MEETING.end_time)
    .join_from(Meeting.__table__, AttendeeConnection.__table__, c.meeting_id == _MEETING.id, isouter=True)
    .where(*_OF_MEETING)
    # Inlined: with a bound LIMIT PostgreSQL assumes 10 % and scans the table.
    .limit(literal_column(str(LOADED_AT_ONCE + 1)))
)


def find_meeting(session: Session, caller: Caller, link: str) -> Any:
    """Return what attendance needs to know of a meeting of the caller's tenant, or None."""
    return session.execute(_FIND, {"link": link, **caller.scope}).one_or_none()


def load_connections(caller: Caller, link: str) -> tuple[Any, list[Evidence]] | None:
    """Return what :func:`find_meeting` does, and the meeting's connections in no order, in one query.

    At most one more than :data:`LOADED_AT_ONCE`, so that the caller sees that there are more.
    """
    with statements() as connection:
        rows = connection.execute(_FIND_WITH_CONNECTIONS, {"link": link, **caller.scope}).all()
    if not rows:
        return None
    is_empty = rows[0].connection_id is None
    return rows[0], [] if is_empty else [Evidence._make(row[: len(_EVIDENCE)]) for row in rows]


def connections_of(session: Session, meeting_id: int, attendee: str) -> list[Evidence]:
    """Return the evidence of one attendee: by their stable id, or of an anonymous participant by the connection's id.

    A stable id wins where an anonymous connection has the same.
    """
    of_meeting = select(*_EVIDENCE).where(c.meeting_id == meeting_id)
    rows = session.execute(of_meeting.where(c.attendee == attendee)).all()
    if not rows:
        rows = session.execute(of_meeting.where(c.attendee.is_(None), c.connection_id == attendee)).all()
    return [Evidence._make(row) for row in rows]


def stream_attendees(session: Session, meeting_id: int, bounds: Bounds) -> Iterator[Attendee]:
    """Give a meeting's attendees by first join, ties by id, as the rows come. Within a ``read(snapshot=True)``."""
    found = session.execute(_IN_ORDER.execution_options(yield_per=FETCHED_AT_ONCE), {"meeting_id": meeting_id})
    return reduce_attendees(map(Evidence._make, giving_way(found)), bounds)


def page_of_attendees(
    session: Session, meeting_id: int, bounds: Bounds, *, active: bool | None, limit: int, offset: int
) -> tuple[list[Attendee], int]:
    """Return some of a meeting's attendees by first join, ties by id, and how many there are.

    Within a ``read(snapshot=True)``. Only the connections of these attendees are loaded. With ``active``, only those
    who are, or are not, there now.
    """
    people = _people(meeting_id, bounds, active).add_columns(func.count().over().label("total"))
    first = people.order_by(func.coalesce(_FIRST_JOIN, _LAST_EVIDENCE), *_BY_ID)
    found = session.execute(first.limit(limit).offset(offset)).all()
    if not found:
        beyond = session.execute(select(func.count()).select_from(people.subquery())).scalar_one() if offset else 0
        return [], beyond
    return _load(session, meeting_id, bounds, found), found[0].total


def _people(meeting_id: int, bounds: Bounds, active: bool | None) -> Select[Any]:
    people = select(*PERSON).where(c.meeting_id == meeting_id).group_by(*PERSON)
    if active is None:
        return people
    gone = func.min(case((has_left(literal(bounds.closed_at, UTCDateTime()), bounds.now - bounds.cap), 1), else_=0))
    return people.having(gone == (0 if active else 1))


def _load(session: Session, meeting_id: int, bounds: Bounds, people: Sequence[Any]) -> list[Attendee]:
    """Return these people with all their connections, by first join."""
    attendees = [attendee for attendee, *_ in people if attendee is not None]
    anonymous = [connection_id for _, connection_id, *_ in people if connection_id is not None]
    theirs = _IN_ORDER.where(or_(c.attendee.in_(attendees), and_(c.attendee.is_(None), c.connection_id.in_(anonymous))))
    connections = session.execute(theirs, {"meeting_id": meeting_id})
    return list(reduce_attendees(map(Evidence._make, connections), bounds))


BY_ID = Order(_BY_ID, descending=False)


def _walked(
    session: Session, meeting_id: int, bounds: Bounds, active: bool | None, part: Part
) -> tuple[list[Attendee], Position | None]:
    source = keyset.cut(_people(meeting_id, bounds, active), BY_ID, part.shape)
    found = session.execute(source, part.values).all()
    keys = [(attendee or "", connection_id or "") for attendee, connection_id in found]
    some = keyset.part_of(part, found, keys, None)
    attendees = _load(session, meeting_id, bounds, some.items) if some.items else []
    attendees.sort(key=lambda one: ("", one.connections[0].id) if one.attendee is None else (one.attendee, ""))
    return attendees, some.next


def open_connections(session: Session, meeting_id: int) -> list[str]:
    """Return the ids of connections that joined and did not leave, whatever the meeting's own end says."""
    statement = select(c.connection_id).where(c.meeting_id == meeting_id, NO_LEAVE_STANDS)
    return list(session.execute(statement).scalars())


def note_export(caller: Caller, link: str | None, *, of_person: str | None = None) -> None:
    """Write into the audit trail that a caller exported the attendance of a meeting, or across meetings.

    :param link: the meeting's; None: of many.
    :param of_person: whose attendance it is, where it is one person's.
    """
    target = None if of_person is None else person_digest(caller, of_person)
    with statements(atomic=True) as transaction:
        record(transaction, caller, "attendance.exported", meeting_link=link, target=target)
