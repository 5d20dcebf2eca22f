"""What a provider says of an archive, in a webhook or an answer: made safe to store, and merged into its row."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from videoconf.archives.lifecycle import Known, merge, next_check_seconds
from videoconf.archives.models import Archive, StorageTargetRow, user_of
from videoconf.database import dialect_of, utc_in, utc_now
from videoconf.jobs import Jobs
from videoconf.meetings.models import Meeting
from videoconf.providers import ArchiveState, ArchiveStatus, StorageScope
from videoconf.storage.base import KEY
from videoconf.texts import cleaned_text

ERASE_ARCHIVE = "erase_archive"
"""The job that deletes all copies of an archive."""

PULL_ARCHIVE = "pull_archive"
"""The job that copies an archive into the storage target, where the provider does not do that by itself."""

ARCHIVE_ID = re.compile(r"[A-Za-z0-9._~:=+@-]{1,255}")
"""An archive's id is part of our paths."""
LONGEST_TEXT = 255
LARGEST_NUMBER = {"duration_seconds": 2**31 - 1, "size_bytes": 2**63 - 1}
MAX_METADATA_BYTES = 16 * 1024
MAX_METADATA_DEPTH = 8

_PRIVATE_NAME = re.compile(
    r"ur[il]s?$|^ur[il]|href|link|passw|secret|token|credential|signature|authorization|(api|access|private)[-_ ]?key",
    re.IGNORECASE,
)
_URL = re.compile(r"[a-z0-9+.-]:/|^\s*//|\bwww\.|\b(data|mailto):", re.IGNORECASE)


def cleaned(said: ArchiveState) -> ArchiveState:
    """Return the statement as both databases take it, without anything in its metadata that gives access.

    :raises ValueError: its id is none that we could serve, or a time is not aware.
    """
    if not ARCHIVE_ID.fullmatch(said.archive_id):
        raise ValueError("the archive's id is empty, too long or no part of a path")
    return dataclasses.replace(
        said,
        provider_status=_clean(said.provider_status),
        name=None if said.name is None else _clean(said.name) or None,
        reason=None if said.reason is None else _clean(said.reason) or None,
        object_key=said.object_key if said.object_key is not None and KEY.fullmatch(said.object_key) else None,
        created_at=_utc(said.created_at),
        updated_at=_utc(said.updated_at),
        duration_seconds=_bounded(said.duration_seconds, "duration_seconds"),
        size_bytes=_bounded(said.size_bytes, "size_bytes"),
        metadata=_public(said.metadata),
    )


def merge_evidence(session: Session, meeting_id: int, said: ArchiveState) -> Archive:
    """Merge what was said into the row of its archive, which is made if there is none; return the row, locked.

    A row that is deleted stays as it is, whatever arrives. Safe against any other merge, the first one included: the
    insert waits for one that is under way and then does nothing, and the lock lets one merge at a time.

    :param said: as :func:`cleaned` returned it.
    """
    columns = (Meeting.tenant, Meeting.provider, Meeting.account, Meeting.is_archived)
    meeting = session.execute(select(*columns).where(Meeting.id == meeting_id)).one()
    insert_once = postgresql.insert if dialect_of(session) == "postgresql" else sqlite.insert
    row = {"provider": meeting.provider, "account": meeting.account, "archive_id": said.archive_id}
    nothing = Known()
    session.execute(
        insert_once(Archive)
        .values(
            **row,
            tenant=meeting.tenant,
            meeting_id=meeting_id,
            status=nothing.status,
            provider_status=nothing.provider_status,
            meta_data=dict(nothing.meta_data),
            created_on=said.created_at or utc_now(),
        )
        .on_conflict_do_nothing(index_elements=list(row))
    )
    session.flush()
    archive = session.execute(
        # What was read before the lock may be old.
        select(Archive).filter_by(**row).with_for_update().execution_options(populate_existing=True)
    ).scalar_one()
    if archive.deleted_on is None:
        _update(session, archive, said, is_automatic=meeting.is_archived)
    return archive


def bury(session: Session, archive: Archive) -> None:
    """Take an archive that the provider has deleted out of sight, and leave the rest of its deletion to a job."""
    archive.deleted_on = utc_now()
    archive.deleting_since = utc_now()
    Jobs.enqueue(session, ERASE_ARCHIVE, {"id": archive.id})


def _update(session: Session, archive: Archive, said: ArchiveState, *, is_automatic: bool) -> None:
    if archive.object_key is not None and said.status in (ArchiveStatus.EXPIRED, ArchiveStatus.DELETED):
        return  # of its own copy; the one in the storage target outlives it
    # What was uploaded before is where it was put then, and no target that is set later has it.
    if said.object_key is not None and archive.object_key is None and archive.status != ArchiveStatus.UPLOADED:
        archive.storage_target_id = archive.storage_target_id or _find_target(session, archive, said)
        if archive.storage_target_id is not None:  # else it is somewhere that we cannot reach
            archive.object_key = said.object_key
    names = [known.name for known in dataclasses.fields(Known)]
    known = Known(**{name: getattr(archive, name) for name in names})
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
        Jobs.enqueue(session, PULL_ARCHIVE, {"id": archive.id})
    if merged.status == ArchiveStatus.DELETED and archive.deleting_since is None and not archive.legal_hold:
        bury(session, archive)
    session.flush()


def _find_target(session: Session, archive: Archive, said: ArchiveState) -> int | None:
    """Return the storage target that an archive was put in by the provider, None where no target of ours is that.

    The meeting's, else the newest then that the provider was told of: for its whole account, or for this tenant. Never
    another, since its credentials would read, and delete, what is somebody else's.
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


def _clean(text: str) -> str:
    return cleaned_text(text, LONGEST_TEXT)


def _utc(time: datetime | None) -> datetime | None:
    if time is not None and time.tzinfo is None:
        raise ValueError("a provider's time must be aware")
    return None if time is None else time.astimezone(UTC)


def _bounded(number: int | None, name: str) -> int | None:
    return None if number is None else max(0, min(number, LARGEST_NUMBER[name]))


def _public(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the metadata may be stored and shown; nothing of it where it is too much."""
    kept: dict[str, Any] = _kept(metadata, MAX_METADATA_DEPTH) or {}
    return kept if len(json.dumps(kept, ensure_ascii=False).encode()) <= MAX_METADATA_BYTES else {}


def _kept(value: Any, depth: int) -> Any:
    """Return a JSON value without members that give access, or None for one that does so itself."""
    if isinstance(value, Mapping) and depth:
        items = (
            (_clean(str(name)), _kept(item, depth - 1))
            for name, item in value.items()
            if not _PRIVATE_NAME.search(str(name))
        )
        return {name: item for name, item in items if item is not None}
    if isinstance(value, list | tuple) and depth:
        return [kept for item in value if (kept := _kept(item, depth - 1)) is not None]
    if isinstance(value, str):
        return None if _URL.search(value) else _clean(value)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float) and value - value == 0:  # neither infinite nor no number
        return value
    return None
