"""Reading the attendees of a meeting: in order, as a page or as a stream, so that memory does not grow with a meeting.

What evidence means is said in :mod:`videoconf.attendance.presence`. SQL has to know three of its laws, because it sorts
and pages: who is one person (:data:`PERSON`), when somebody joined (:data:`JOINED`), and whether they have left
(:func:`has_left`). Tests hold the two against each other over generated histories.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, false, func, literal, literal_column, or_, select
from sqlalchemy.orm import Session

from videoconf.attendance.models import AttendeeConnection
from videoconf.attendance.presence import Attendee, Bounds, Evidence, reduce_attendees
from videoconf.db.functions import by_code_point
from videoconf.db.transactions import autocommit
from videoconf.db.types import UTCDateTime
from videoconf.meetings.models import Meeting
from videoconf.tenancy import Caller, visible_to_bound

c = AttendeeConnection.__table__.c

ANONYMOUS = case((c.attendee.is_(None), c.connection_id))
"""The connection of somebody anonymous, each of whom is a person of their own."""
PERSON = (c.attendee, ANONYMOUS)

JOINED = func.coalesce(
    c.first_join, case((or_(c.last_leave.is_(None), c.first_activity <= c.last_leave), c.first_activity))
)

LOADED_AT_ONCE = 1000
"""Connections of a meeting up to which its list is simply loaded; beyond, rows come as they are asked for."""


def has_left(closed_at: ColumnElement[Any], silent_since: datetime) -> ColumnElement[bool]:
    """Return the condition of a connection that has left, by the laws.

    :param closed_at: C; may be NULL.
    :param silent_since: now − cap.
    """
    told = and_(c.last_leave.is_not(None), or_(c.last_join.is_(None), c.last_join <= c.last_leave))
    closed = func.coalesce(c.last_join, c.first_activity) <= closed_at
    absent, silent = c.absent_on >= c.last_evidence, c.last_evidence <= silent_since
    return func.coalesce(or_(told, closed, absent, silent), false())  # NULL where a time is not known


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
    # In the statement's text: of a parameter PostgreSQL supposes that it cuts off nine tenths, and goes through a whole
    # table in the hope of finding the first ones soon.
    .limit(literal_column(str(LOADED_AT_ONCE + 1)))
)


def find_meeting(session: Session, caller: Caller, link: str) -> Any:
    """Return what attendance needs to know of a meeting of the caller's tenant, or None."""
    return session.execute(_FIND, {"link": link, **caller.scope}).one_or_none()


def load_connections(caller: Caller, link: str) -> tuple[Any, list[Evidence]] | None:
    """Return what :func:`find_meeting` does, and the meeting's connections in no order, in one query.

    Of a meeting that has more than :data:`LOADED_AT_ONCE`, one more than these.
    """
    with autocommit() as connection:
        rows = connection.execute(_FIND_WITH_CONNECTIONS, {"link": link, **caller.scope}).all()
    if not rows:
        return None
    nobody = rows[0].connection_id is None
    return rows[0], [] if nobody else [Evidence._make(row[: len(_EVIDENCE)]) for row in rows]


def stream_attendees(session: Session, meeting_id: int, bounds: Bounds) -> Iterator[Attendee]:
    """Give a meeting's attendees by first join, ties by id, as the rows come. Within a :func:`snapshot`."""
    found = session.execute(_IN_ORDER.execution_options(yield_per=LOADED_AT_ONCE), {"meeting_id": meeting_id})
    return reduce_attendees(map(Evidence._make, found), bounds)


def page_of_attendees(
    session: Session, meeting_id: int, bounds: Bounds, *, active: bool | None, limit: int, offset: int
) -> tuple[list[Attendee], int]:
    """Return some of a meeting's attendees by first join, ties by id, and how many there are.

    Within a :func:`snapshot`. Only the connections of these attendees are loaded. With ``active``, only those who are,
    or are not, there now.
    """
    people = select(*PERSON, func.count().over().label("total")).where(c.meeting_id == meeting_id).group_by(*PERSON)
    if active is not None:
        gone = func.min(case((has_left(literal(bounds.closed_at, UTCDateTime()), bounds.now - bounds.cap), 1), else_=0))
        people = people.having(gone == (0 if active else 1))
    first = people.order_by(func.coalesce(_FIRST_JOIN, _LAST_EVIDENCE), *_BY_ID)
    found = session.execute(first.limit(limit).offset(offset)).all()
    if not found:
        beyond = session.execute(select(func.count()).select_from(people.subquery())).scalar_one() if offset else 0
        return [], beyond
    attendees = [attendee for attendee, _, _ in found if attendee is not None]
    anonymous = [connection_id for _, connection_id, _ in found if connection_id is not None]
    theirs = _IN_ORDER.where(or_(c.attendee.in_(attendees), and_(c.attendee.is_(None), c.connection_id.in_(anonymous))))
    connections = session.execute(theirs, {"meeting_id": meeting_id})
    return list(reduce_attendees(map(Evidence._make, connections), bounds)), found[0].total


def open_connections(session: Session, meeting_id: int) -> list[str]:
    """Return the ids of connections that joined and did not leave, whatever the meeting's own end says."""
    gone = c.last_leave.is_not(None) & (c.last_join.is_(None) | (c.last_leave >= c.last_join))
    statement = select(c.connection_id).where(c.meeting_id == meeting_id, ~gone)
    return list(session.execute(statement).scalars())
