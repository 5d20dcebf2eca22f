"""Reading archives from our own table: it needs no provider, and the list and the single read agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Text, bindparam, case, cast, literal_column, select, text
from sqlalchemy.orm import Session, joinedload

from videoconf.archives.models import DELETING, LISTED, SHOWS_DELETING, SHOWS_STATUS, Archive
from videoconf.db import keyset
from videoconf.db.keyset import Listed, Order, Part
from videoconf.db.offered import Offered
from videoconf.db.types import UTCDateTime
from videoconf.errors import ArchiveNotFound
from videoconf.meetings.models import Meeting
from videoconf.tenancy import Caller, visible_to, visible_to_bound


@dataclass(frozen=True)
class ArchiveFilter:
    """Which archives, in which order; None: any. The first bound is inclusive, the second exclusive."""

    meeting_link: str | None = None
    session_id: str | None = None
    status: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    sort: str = "-created"
    """A name of :data:`ORDERS`."""


class ListedArchive(NamedTuple):
    """An archive in a list: what callers see, named as the attributes of an archive and its meeting.

    A named tuple, because reading an attribute of a SQLAlchemy row takes four times as long.
    """

    archive_id: str
    name: str | None
    session_id: str | None
    meeting_link: str
    status: str
    shown_status: str
    provider_status: str
    created_on: datetime
    duration_seconds: int | None
    size_bytes: int | None
    reason: str | None
    upload_target: str | None
    legal_hold: bool
    meta_data: str
    """The JSON as the database has it: it is only to be written again."""


def newest_archive() -> ColumnElement[str | None]:
    """Return the id of a meeting's newest archive, as an expression for ``Meeting.archive_id``."""
    return (
        select(Archive.archive_id)
        .where(Archive.meeting_id == Meeting.id, Archive.deleted_on.is_(None))
        .order_by(Archive.created_on.desc(), Archive.id.desc())
        .limit(1)
        .correlate(Meeting)
        .scalar_subquery()
    )


def get_archive(session: Session, caller: Caller, archive_id: str, *, lock: bool = False) -> Archive:
    """Return an archive of the caller's tenant with its meeting; with ``lock``, for a change in this transaction.

    :raises ArchiveNotFound: the archive does not exist, belongs to another tenant, or is deleted.
    """
    # Ids are the providers': that two of them chose the same one is unlikely, and must not be an error.
    wanted = (visible_to(caller, Archive.tenant), Archive.deleted_on.is_(None), Archive.archive_id == archive_id)
    statement = select(Archive).where(*wanted).order_by(Archive.id).limit(1)
    if lock:
        # SQLite has no such clause and needs none: there is one writer. What was read before the lock may be old.
        statement = statement.with_for_update(of=Archive).execution_options(populate_existing=True)
    archive = session.execute(statement.options(joinedload(Archive.meeting, innerjoin=True))).scalar_one_or_none()
    if archive is None:
        raise ArchiveNotFound
    return archive


def list_archives(connection: Connection, caller: Caller, wanted: ArchiveFilter, part: Part) -> Listed[ListedArchive]:
    """Return a part of the tenant's archives.

    :raises FilterCombination: no index serves these filters.
    """
    given = {name: value for name, value in vars(wanted).items() if value is not None and name != "sort"}
    OFFERED.check(given, wanted.sort.lstrip("-"))
    is_deleting = given.get("status") == DELETING
    statement, count = _listing(frozenset(given), is_deleting, wanted.sort, part.shape)
    values = {**given, **caller.scope}
    rows = connection.execute(statement, {**values, **part.values}).all()
    counted = rows[0].total if rows else 0
    if not rows and part.offset:
        counted = connection.execute(count, values).scalar_one()
    archives = [ListedArchive._make(row[: len(ListedArchive._fields)]) for row in rows]
    positions = [(row.created_on, row.key) for row in rows]
    return keyset.part_of(part, archives, positions, counted if part.offset is not None else None)


_ARCHIVE, _MEETING = Archive.__table__.c, Meeting.__table__.c
_BY_CREATED = (_ARCHIVE.created_on, _ARCHIVE.id)
ORDERS = {"-created": Order(_BY_CREATED, descending=True), "created": Order(_BY_CREATED, descending=False)}
OFFERED = Offered(
    filters={
        frozenset(): ("created",),
        frozenset({"status"}): ("created",),
        # A meeting has few archives, whatever their status is.
        frozenset({"meeting_link"}): ("created",),
        frozenset({"meeting_link", "status"}): ("created",),
        frozenset({"session_id"}): ("created",),
        frozenset({"session_id", "status"}): ("created",),
    },
    ranges={"created": ("created_from", "created_to")},
)
_FILTERS = {
    "meeting_link": _ARCHIVE.meeting_id
    == select(_MEETING.id)
    .where(_MEETING.meeting_link == bindparam("meeting_link"), visible_to_bound(_MEETING.tenant))
    .scalar_subquery(),
    "session_id": _ARCHIVE.meeting_id.in_(
        select(_MEETING.id).where(_MEETING.session_id == bindparam("session_id"), visible_to_bound(_MEETING.tenant))
    ),
    "created_from": _ARCHIVE.created_on >= bindparam("created_from", type_=UTCDateTime()),
    "created_to": _ARCHIVE.created_on < bindparam("created_to", type_=UTCDateTime()),
}


@cache
def _listing(given: frozenset[str], is_deleting: bool, sort: str, shape: str) -> tuple[Select[Any], Select[Any]]:
    """Build the statement of a part and the one that counts, once for each choice of filters.

    Building them costs more than running them. The part is cut from the archives alone: joined to their meetings first,
    a million of them takes longer than a statement may.
    """
    order = ORDERS[sort]
    behind = OFFERED.behind(given, "created", descending=order.descending) if shape == "after" else given
    page = keyset.cut(select(Archive.__table__).where(*_conditions(behind, is_deleting)), order, shape).subquery("page")
    total = keyset.total(select(_ARCHIVE.id).where(*_conditions(given, is_deleting)), order)
    derived: dict[str, ColumnElement[Any]] = {
        "session_id": _MEETING.session_id,
        "meeting_link": _MEETING.meeting_link,
        "shown_status": case((page.c.deleting_since.is_(None), page.c.status), else_=DELETING).label("shown_status"),
        "upload_target": _MEETING.upload_target,
        "meta_data": cast(page.c.meta_data, Text).label("meta_data"),
    }
    listed = (derived[name] if name in derived else page.c[name] for name in ListedArchive._fields)
    counted = total if shape == "page" else literal_column("NULL")
    statement = (
        select(*listed, page.c.id.label("key"), counted.label("total"))
        .join_from(page, Meeting.__table__, page.c.meeting_id == _MEETING.id)
        .order_by(*order.by((page.c.created_on, page.c.id)))
    )
    return statement, select(total)


def _conditions(given: frozenset[str], is_deleting: bool) -> list[Any]:
    wanted: list[Any] = [visible_to_bound(_ARCHIVE.tenant), *(_FILTERS[name] for name in sorted(given - {"status"}))]
    if "status" not in given:
        return [*wanted, text(LISTED)]
    if is_deleting:
        return [*wanted, text(SHOWS_DELETING)]
    return [*wanted, text(SHOWS_STATUS), _ARCHIVE.status == bindparam("status")]
