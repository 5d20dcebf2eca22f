"""Read meetings: one by its link, or a page of a tenant's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, with_expression

from videoconf.archives.queries import newest_archive
from videoconf.db.transactions import read
from videoconf.errors import MeetingNotFound
from videoconf.meetings.models import Meeting
from videoconf.tenancy import Caller, visible_to


def read_meeting(caller: Caller, link: str) -> Meeting:
    """Return a meeting of the caller's tenant with its newest archive, also a deleted one.

    :raises MeetingNotFound: no meeting of the tenant has this link.
    """
    with read() as session:
        found = session.execute(_of_link(caller, link).options(_WITH_ARCHIVE)).scalar_one_or_none()
    if found is None:
        raise MeetingNotFound
    meeting: Meeting = found
    return meeting


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
    meeting: Meeting = found
    return meeting


def list_meetings(caller: Caller, *, page: int, page_size: int) -> tuple[list[Meeting], int]:
    """Return one page of the tenant's meetings, newest first, without deleted ones; and their total."""
    mine = (visible_to(caller, Meeting.tenant), Meeting.is_ready, Meeting.deleted.is_(False))
    with read() as session:
        total = session.execute(select(func.count()).select_from(Meeting).where(*mine)).scalar_one()
        # Chosen first: otherwise the newest archive is looked up for the meetings of all earlier pages, too.
        newest = select(Meeting.id).where(*mine).order_by(Meeting.id.desc())
        ids = newest.limit(page_size).offset((page - 1) * page_size)
        statement = select(Meeting).where(Meeting.id.in_(ids)).order_by(Meeting.id.desc())
        return list(session.execute(statement.options(_WITH_ARCHIVE)).scalars()), total


_WITH_ARCHIVE = with_expression(Meeting.archive_id, newest_archive())


def _of_link(caller: Caller, link: str) -> Select[Any]:
    return select(Meeting).where(Meeting.meeting_link == link, Meeting.is_ready, visible_to(caller, Meeting.tenant))
