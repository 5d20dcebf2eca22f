"""Reading archives from our own table: it needs no provider, and the list and the single read agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, joinedload

from videoconf.archives.models import Archive
from videoconf.errors import ArchiveNotFound
from videoconf.meetings.models import Meeting
from videoconf.tenancy import Caller, visible_to


@dataclass(frozen=True)
class ArchiveFilter:
    """Which archives; None: any."""

    meeting_link: str | None = None
    session_id: str | None = None
    status: str | None = None


def get_archive(session: Session, caller: Caller, archive_id: str, *, lock: bool = False) -> Archive:
    """Return an archive of the caller's tenant with its meeting; with ``lock``, for a change in this transaction.

    :raises ArchiveNotFound: there is none, it is another tenant's, or it is deleted.
    """
    # Ids are the providers': that two of them chose the same one is unlikely, and must not be an error.
    statement = select(Archive).where(*_mine(caller), Archive.archive_id == archive_id).order_by(Archive.id).limit(1)
    if lock:
        # SQLite has no such clause and needs none: there is one writer. What was read before the lock may be old.
        statement = statement.with_for_update(of=Archive).execution_options(populate_existing=True)
    archive = session.execute(statement.options(_WITH_MEETING)).scalar_one_or_none()
    if archive is None:
        raise ArchiveNotFound
    return archive


def list_archives(
    session: Session, caller: Caller, wanted: ArchiveFilter, *, page: int, page_size: int
) -> tuple[Sequence[Archive], int]:
    """Return one page of the tenant's archives, newest first, and how many there are in all."""
    conditions = [*_mine(caller)]
    if wanted.meeting_link is not None:
        conditions.append(Meeting.meeting_link == wanted.meeting_link)
    if wanted.session_id is not None:
        conditions.append(Meeting.session_id == wanted.session_id)
    if wanted.status is not None:
        conditions.append(Archive.shown_status == wanted.status)
    matching = select(Archive.id).join(Archive.meeting).where(*conditions)
    total = session.execute(select(func.count()).select_from(matching.subquery())).scalar_one()
    statement = (
        select(Archive)
        .join(Archive.meeting)
        .where(*conditions)
        .order_by(Archive.created_on.desc(), Archive.id.desc())
        .limit(page_size)
        .offset((page - 1) * page_size)
    )
    return session.execute(statement.options(_WITH_MEETING)).scalars().all(), total


_WITH_MEETING = joinedload(Archive.meeting, innerjoin=True)


def _mine(caller: Caller) -> tuple[ColumnElement[bool], ...]:
    return (visible_to(caller, Archive.tenant), Archive.deleted_on.is_(None))
