"""Merge what a provider reports about an archive, in a webhook or an answer, into the archive's row."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from videoconf.archives.lifecycle import Known, merge, next_check_seconds
from videoconf.archives.models import Archive
from videoconf.archives.plausible import AHEAD_TOLERANCE, believed
from videoconf.db.functions import utc_in, utc_now
from videoconf.db.transactions import dialect_of
from videoconf.db.upsert import upserts
from videoconf.events.changes import note_change, of_archive
from videoconf.jobs.kinds import ERASE_ARCHIVE, PULL_ARCHIVE
from videoconf.jobs.queue import enqueue
from videoconf.meetings.models import Meeting
from videoconf.providers import ArchiveState, ArchiveStatus, StorageScope
from videoconf.storage_targets.models import StorageTargetRow, user_of


def archive_payload(archive_id: int, tenant: str) -> dict[str, Any]:
    """Return the payload of a job that copies or deletes an archive: a process runs one of a tenant at a time."""
    return {"id": archive_id, "tenant": tenant}


def merge_evidence(session: Session, meeting_id: int, said: ArchiveState) -> Archive:
    """Merge a statement into the row of its archive, which is created if needed; return the row, locked.

    A row that is deleted stays as it is, whatever arrives. Safe against any other merge, the first one included: the
    insert waits for one that is under way and then does nothing, and the lock lets one merge at a time.

    :param said: cleaned (:mod:`videoconf.providers.cleaning`).
    """
    columns = (Meeting.tenant, Meeting.provider, Meeting.account, Meeting.is_archived, Meeting.created_on)
    meeting = session.execute(select(*columns, utc_now().label("now")).where(Meeting.id == meeting_id)).one()
    said = believed(said, meeting.created_on, meeting.now)
    row = {"provider": meeting.provider, "account": meeting.account, "archive_id": said.archive_id}
    nothing = Known()
    session.execute(
        _INSERT_ONCE[dialect_of(session)].values(
            **row,
            tenant=meeting.tenant,
            meeting_id=meeting_id,
            status=nothing.status,
            provider_status=nothing.provider_status,
            meta_data=dict(nothing.meta_data),
            created_on=said.created_at or utc_now(),
        )
    )
    session.flush()
    archive = session.execute(
        # What was read before the lock may be old.
        select(Archive).filter_by(**row).with_for_update().execution_options(populate_existing=True)
    ).scalar_one()
    if archive.deleted_on is None:
        note_change(session, meeting_id, of_archive(archive.archive_id))
        _update(session, archive, said, meeting.now, is_automatic=meeting.is_archived)
    return archive


_KEY = ("provider", "account", "archive_id")
_INSERT_ONCE = upserts(Archive, lambda statement: statement.on_conflict_do_nothing(index_elements=_KEY))


def bury(session: Session, archive: Archive) -> None:
    """Take an archive that the provider has deleted out of sight, and leave the rest of its deletion to a job."""
    archive.deleted_on = utc_now()
    archive.deleting_since = utc_now()
    enqueue(session, ERASE_ARCHIVE, archive_payload(archive.id, archive.tenant))


def _update(session: Session, archive: Archive, said: ArchiveState, now: datetime, *, is_automatic: bool) -> None:
    if archive.object_key is not None and said.status in (ArchiveStatus.EXPIRED, ArchiveStatus.DELETED):
        return  # of its own copy; the one in the storage target outlives it
    # What was uploaded before is where it was put then, and no target that is set later has it.
    if said.object_key is not None and archive.object_key is None and archive.status != ArchiveStatus.UPLOADED:
        archive.storage_target_id = archive.storage_target_id or _find_target(session, archive, said)
        if archive.storage_target_id is not None:  # else it is somewhere that we cannot reach
            archive.object_key = said.object_key
    names = [known.name for known in dataclasses.fields(Known)]
    known = Known(**{name: getattr(archive, name) for name in names})
    if known.provider_updated_at is not None and known.provider_updated_at > now + AHEAD_TOLERANCE:
        known = dataclasses.replace(known, provider_updated_at=None)  # an earlier release believed it
    merged = merge(known, said)
    if merged == known:
        return
    if (merged.status != known.status or known == Known()) and archive.deleting_since is None:
        delay_seconds = next_check_seconds(merged.status, is_automatic=is_automatic)
        archive.check_due_at = None if delay_seconds is None else utc_in(delay_seconds)
    for name in names:
        setattr(archive, name, getattr(merged, name))
    archive.modified_on = utc_now()
    if merged.status == ArchiveStatus.AVAILABLE != known.status:
        enqueue(session, PULL_ARCHIVE, archive_payload(archive.id, archive.tenant))
    if merged.status == ArchiveStatus.DELETED and archive.deleting_since is None and not archive.legal_hold:
        bury(session, archive)
    session.flush()


def _find_target(session: Session, archive: Archive, said: ArchiveState) -> int | None:
    """Return the storage target that an archive was put in by the provider, None if no target of ours is that.

    The meeting's, else the newest then that the provider knew: for its whole account, or for this tenant. Never
    another, since its credentials would read, and delete, another tenant's objects.
    """
    of_meeting = select(Meeting.storage_target_id).where(Meeting.id == archive.meeting_id)
    if (found := session.execute(of_meeting).scalar_one()) is not None:
        return found
    row = StorageTargetRow
    statement = (
        select(row.id, row.tenant, row.used_by)
        .where(row.used_by.is_not(None), row.created_on <= (said.updated_at or utc_now()))
        .order_by(row.id.desc())
    )
    user = user_of(archive.provider, archive.account)
    for id, tenant, used_by in session.execute(statement):
        scope = (used_by or {}).get(user)
        if scope == StorageScope.ACCOUNT or (scope == StorageScope.ARCHIVE and tenant == archive.tenant):
            return int(id)
    return None
