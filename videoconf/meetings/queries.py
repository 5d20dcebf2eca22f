"""Read meetings: one by its link, or a part of a tenant's list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import CTE, ColumnElement, ScalarSelect, Select, String, bindparam, literal_column, select, text, tuple_
from sqlalchemy.orm import Session, aliased, with_expression

from videoconf.archives.queries import newest_archive
from videoconf.attendance.models import AttendeeConnection
from videoconf.db import keyset
from videoconf.db.functions import digest
from videoconf.db.keyset import Listed, Order, Part
from videoconf.db.offered import Offered
from videoconf.db.pages import list_counted
from videoconf.db.transactions import read
from videoconf.db.types import UTCDateTime
from videoconf.errors import MeetingNotFound
from videoconf.meetings.models import HAS_STATUS, LISTED, Meeting, MeetingStatus
from videoconf.tenancy import Caller, visible_to, visible_to_bound


def read_meeting(caller: Caller, link: str) -> Meeting:
    """Return a meeting of the caller's tenant with its newest archive, also a deleted one.

    :raises MeetingNotFound: no meeting of the tenant has this link.
    """
    with read() as session:
        found = session.execute(_of_link(caller, link).options(_WITH_ARCHIVE)).scalar_one_or_none()
    if found is None:
        raise MeetingNotFound
    return found


def get_meeting(session: Session, caller: Caller, link: str, *, lock: bool = False) -> Meeting:
    """Return a meeting of the caller's tenant, also a deleted one; with ``lock``, for a change in this transaction.

    With ``lock``, the newest archive comes with it.

    :raises MeetingNotFound: no meeting of the tenant has this link.
    """
    statement = _of_link(caller, link)
    if lock:  # SQLite has no such clause and needs none: there is one writer
        statement = statement.options(_WITH_ARCHIVE).with_for_update(of=Meeting)
    found = session.execute(statement).scalar_one_or_none()
    if found is None:
        raise MeetingNotFound
    return found


def find_ready(session: Session, meeting_id: int) -> Meeting | None:
    """Return a meeting of any tenant, also a deleted one, with its newest archive; None if no caller can see it."""
    statement = select(Meeting).where(Meeting.id == meeting_id, Meeting.is_ready).options(_WITH_ARCHIVE)
    return session.execute(statement.execution_options(populate_existing=True)).scalar_one_or_none()


_WITH_ARCHIVE = with_expression(Meeting.archive_id, newest_archive())


def _of_link(caller: Caller, link: str) -> Select[Meeting]:
    return select(Meeting).where(Meeting.meeting_link == link, Meeting.is_ready, visible_to(caller, Meeting.tenant))


# --- the list -------------------------------------------------------------------------------------------------------

_BY_CREATED = (Meeting.created_on, Meeting.id)
_BY_SCHEDULED = (Meeting.schedule_time, Meeting.id)
ORDERS = {
    "-created": Order(_BY_CREATED, descending=True),
    "created": Order(_BY_CREATED, descending=False),
    "-scheduled": Order(_BY_SCHEDULED, descending=True),
    "scheduled": Order(_BY_SCHEDULED, descending=False),
}
NEWEST_FIRST = "-created"

_BOTH = ("created", "scheduled")
OFFERED = Offered(
    filters={
        frozenset(): _BOTH,
        frozenset({"ext_id"}): _BOTH,
        frozenset({"provider"}): _BOTH,
        frozenset({"status"}): _BOTH,
        frozenset({"attendee"}): ("created",),  # a connection's row knows when its meeting was created, which stays
    },
    ranges={"created": ("created_from", "created_to"), "scheduled": ("scheduled_from", "scheduled_to")},
)


@dataclass(frozen=True)
class MeetingFilter:
    """Which meetings, in which order; None: any. The first of two bounds is inclusive, the second exclusive."""

    ext_id: str | None = None
    attendee: str | None = None
    """A person who was there."""
    provider: str | None = None
    status: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    scheduled_from: datetime | None = None
    scheduled_to: datetime | None = None
    sort: str = NEWEST_FIRST
    """A name of :data:`ORDERS`. Sorted by ``scheduled``, the list has only meetings with a scheduled time."""


def list_meetings(caller: Caller, wanted: MeetingFilter, part: Part) -> Listed[Meeting]:
    """Return a part of the tenant's meetings. Deleted ones are left out, unless the filter asks for their status.

    :raises FilterCombination: no index serves these filters in this order.
    """
    given = {name: value for name, value in vars(wanted).items() if value is not None and name != "sort"}
    OFFERED.check(given, wanted.sort.lstrip("-"))
    status = given.pop("status", None)
    statement, count = _listing(frozenset(given), status, wanted.sort, part.shape)
    return list_counted(statement, count, ORDERS[wanted.sort], part, {**given, **caller.scope})


@cache
def _listing(given: frozenset[str], status: str | None, sort: str, shape: str) -> tuple[Select[Any], Select[Any]]:
    """Build the statement of a part and the one that counts, once for each choice of filters.

    The rows are chosen first: otherwise the newest archive is looked up for the meetings of all earlier pages, too.
    """
    order = ORDERS[sort]
    if "attendee" in given:
        page, total = _of_attendee(given, order, shape)
    else:
        source = select(Meeting.id, order.columns[0])
        whole = source.where(*_conditions(given, status, sort))
        behind = OFFERED.behind(given, sort.lstrip("-"), descending=order.descending)
        cut_from = source.where(*_conditions(behind, status, sort)) if shape == "after" else whole
        page, total = keyset.cut(cut_from, order, shape), keyset.total(whole, order)
    chosen = page.subquery("page")
    counted = total if shape == "page" else literal_column("NULL")
    statement = select(Meeting, counted.label("total")).join(chosen, Meeting.id == chosen.c.id).options(_WITH_ARCHIVE)
    return statement.order_by(*order.by([chosen.c[column.key] for column in order.columns])), select(total)


def _conditions(given: frozenset[str], status: str | None, sort: str) -> list[Any]:
    # As strings, because indexes have the same conditions: PostgreSQL proves by comparing that it may use one.
    conditions: list[Any] = [
        visible_to_bound(Meeting.tenant),
        text(HAS_STATUS[MeetingStatus(status)] if status else LISTED),
    ]
    column = ORDERS[sort].columns[0]
    if sort.endswith("scheduled"):
        conditions.append(column.is_not(None))
    for name in given & {"ext_id", "provider"}:
        conditions.append(getattr(Meeting, name) == bindparam(name))
    return conditions + _bounds(given, sort, column)


def _bounds(given: frozenset[str], sort: str, column: Any) -> list[Any]:
    since, until = OFFERED.ranges[sort.lstrip("-")]
    bounds = []
    if since in given:
        bounds.append(column >= bindparam(since, type_=UTCDateTime()))
    if until in given:
        bounds.append(column < bindparam(until, type_=UTCDateTime()))
    return bounds


def _of_attendee(given: frozenset[str], order: Order, shape: str) -> tuple[Select[Any], ScalarSelect[Any]]:
    """Build the same for the meetings where a person was.

    The connections of a person are found in order by their index. It is stepped through from meeting to meeting, so
    that many connections at one meeting cost as much as one.
    """
    chosen = keyset.rows_of(_stepped("found", given, order, after=shape == "after"), shape)
    return chosen, keyset.count_of(_stepped("all_found", given, order, after=False))


def _stepped(name: str, given: frozenset[str], order: Order, *, after: bool) -> Select[Any]:
    c = AttendeeConnection.__table__.c
    key = (c.meeting_created_on, c.meeting_id)
    attendee = bindparam("attendee", type_=String())
    theirs = [
        c.attendee.is_not(None),
        digest(c.attendee) == digest(attendee),
        c.attendee == attendee,
        visible_to_bound(c.tenant),
    ]

    def next_meeting(behind: Any) -> Any:
        here = tuple_(*key)
        if behind is None:
            bounds = _bounds(given, "created", c.meeting_created_on)
        else:
            needed = OFFERED.behind(given, "created", descending=order.descending)
            within = _bounds(needed, "created", c.meeting_created_on)
            bounds = [here < behind if order.descending else here > behind, *within]
        return select(c.meeting_id).where(*theirs, *bounds).order_by(*order.by(key)).limit(literal_column("1"))

    first, step = aliased(Meeting), aliased(Meeting)
    is_listed: ColumnElement[bool] = literal_column(f"({LISTED})").label("is_listed")
    begin = tuple_(*keyset.position_binds(order)) if after else None
    found: CTE = (
        select(first.created_on, first.id, is_listed)
        .where(first.id == next_meeting(begin).scalar_subquery())
        .cte(name, recursive=True)
    )
    behind = next_meeting(tuple_(found.c.created_on, found.c.id)).correlate(found).scalar_subquery()
    found = found.union_all(select(step.created_on, step.id, is_listed).join_from(found, step, step.id == behind))
    return select(found.c.id, found.c.created_on).where(found.c.is_listed)
