"""Reading archives from our own table: it needs no provider, and the list and the single read agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Text, bindparam, case, cast, func, select
from sqlalchemy.orm import Session, joinedload

from videoconf.archives.lifecycle import DELETING
from videoconf.archives.models import Archive
from videoconf.errors import ArchiveNotFound
from videoconf.meetings.models import Meeting
from videoconf.tenancy import Caller, visible_to, visible_to_bound


@dataclass(frozen=True)
class ArchiveFilter:
    """Which archives; None: any."""

    meeting_link: str | None = None
    session_id: str | None = None
    status: str | None = None


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


def list_archives(
    connection: Connection, caller: Caller, wanted: ArchiveFilter, *, page: int, page_size: int
) -> tuple[list[ListedArchive], int]:
    """Return one page of the tenant's archives, newest first, and how many there are in all."""
    filters = {name: value for name, value in vars(wanted).items() if value is not None}
    statement = _listing(frozenset(filters))
    paged = {"page_size": page_size, "skipped": (page - 1) * page_size}
    rows = connection.execute(statement, {**filters, **caller.scope, **paged}).all()
    if rows:
        return [ListedArchive._make(row[:-1]) for row in rows], rows[0].total
    if page == 1:
        return [], 0
    first = connection.execute(statement, {**filters, **caller.scope, "page_size": 1, "skipped": 0}).first()
    return [], first.total if first is not None else 0


_ARCHIVE, _MEETING = Archive.__table__.c, Meeting.__table__.c
_FILTERS = {
    "meeting_link": _ARCHIVE.meeting_id.in_(
        select(_MEETING.id).where(_MEETING.meeting_link == bindparam("meeting_link"))
    ),
    "session_id": _ARCHIVE.meeting_id.in_(select(_MEETING.id).where(_MEETING.session_id == bindparam("session_id"))),
    "status": case((_ARCHIVE.deleting_since.is_(None), _ARCHIVE.status), else_=DELETING) == bindparam("status"),
}


@cache
def _listing(filters: frozenset[str]) -> Select[Any]:
    """Build a page's statement, once for each choice of filters: building it costs more than running it.

    The page is cut, and all are counted, from the archives alone: joined to their meetings first, a million of them
    takes longer than a statement may.
    """
    wanted = (visible_to_bound(_ARCHIVE.tenant), _ARCHIVE.deleted_on.is_(None), *(_FILTERS[name] for name in filters))
    newest = select(Archive.__table__).where(*wanted).order_by(_ARCHIVE.created_on.desc(), _ARCHIVE.id.desc())
    page = newest.limit(bindparam("page_size")).offset(bindparam("skipped")).subquery("page")
    total = select(func.count()).select_from(Archive.__table__).where(*wanted)
    derived: dict[str, ColumnElement[Any]] = {
        "session_id": _MEETING.session_id,
        "meeting_link": _MEETING.meeting_link,
        "shown_status": case((page.c.deleting_since.is_(None), page.c.status), else_=DELETING).label("shown_status"),
        "upload_target": _MEETING.upload_target,
        "meta_data": cast(page.c.meta_data, Text).label("meta_data"),
    }
    listed = (derived[name] if name in derived else page.c[name] for name in ListedArchive._fields)
    return (
        select(*listed, total.scalar_subquery().label("total"))
        .join_from(page, Meeting.__table__, page.c.meeting_id == _MEETING.id)
        .order_by(page.c.created_on.desc(), page.c.id.desc())
    )
