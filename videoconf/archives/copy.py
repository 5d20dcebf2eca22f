"""Copy archives to the tenant's storage target when the provider does not upload them itself.

One job copies one archive, as a stream in bounded memory. If a process dies, its lease ends and the job starts again
from the beginning. It writes the same bytes under the same key, so repeated runs leave one object.

The archive's row names the destination before the first byte is sent. So a deletion finds the copy even if the process
has died or another target is in force.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from sqlalchemy import and_, exists, select, text
from sqlalchemy.orm import joinedload

from videoconf.archives.copies import delete_unfinished
from videoconf.archives.merge import archive_payload
from videoconf.archives.models import UNCOPIED, Archive
from videoconf.archives.trail import record_archive
from videoconf.db.conditional import changes_row, update_rows
from videoconf.db.functions import utc_now
from videoconf.db.transactions import read, write
from videoconf.errors import ProviderBadResponse, ProviderResourceNotFound, StorageError
from videoconf.events.changes import note_change, of_archive
from videoconf.hooks import Providers
from videoconf.jobs.kinds import DELETE_PULLED, PULL_ARCHIVE
from videoconf.jobs.models import Job, JobState
from videoconf.jobs.queue import enqueue
from videoconf.providers import ArchiveStatus, Capability, ProviderPort
from videoconf.settings import Settings
from videoconf.storage import StoredObject
from videoconf.storage_targets.in_force import StorageTargets, TargetState
from videoconf.storage_targets.models import StorageTargetRow
from videoconf.tenancy import ActorType, Caller

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

logger = logging.getLogger(__name__)

RESUMED_AT_ONCE = 100
CONTENT_TYPE = "video/mp4"
BUFFER_BYTES = 1 << 20
MOST_BYTES = 256 << 30
"""The limit for an archive whose provider reports no size. Vendors end a recording after some hours."""
LONGEST_NAME = 180
ACTOR = "delivery"

_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_.-]")
_WANTED = (Archive.deleted_on.is_(None), Archive.deleting_since.is_(None))


def object_key_of(meeting_link: str, archive_id: str) -> str:
    """Return the key of an archive's copy: the meeting's link and the archive's id, so that people find it.

    An id that is too long for the name of a file, or has characters that not every target takes, is cut and replaced;
    its digest keeps two such ids apart.
    """
    name = _NOT_IN_KEYS.sub("_", archive_id)[:LONGEST_NAME]
    if name != archive_id:
        name += f"-{hashlib.sha256(archive_id.encode()).hexdigest()[:16]}"
    return f"{meeting_link}/{name}.mp4"


@dataclass(frozen=True)
class _Pull:
    archive: Archive
    provider: ProviderPort
    target: StorageTargetRow

    @property
    def object_key(self) -> str:
        return object_key_of(self.archive.meeting.meeting_link, self.archive.archive_id)


class Pulling:
    """Copies archives. One instance serves all threads."""

    def __init__(self, providers: Providers, targets: StorageTargets, settings: Settings) -> None:
        self._providers = providers
        self._targets = targets
        self._deletes_original = settings.delete_pulled_archives

    def pull(self, payload: Mapping[str, Any]) -> None:
        """Copy one archive, if there is reason to. The job; idempotent.

        :raises ProviderError: or :class:`StorageError`: it is not copied, and nothing is left in the target.
        """
        pull = self._find(payload["id"])
        if pull is None:
            delete_unfinished(self._targets, payload["id"])
            return
        target = self._targets.open(pull.target.id)
        if not self._note(pull):
            return
        with closing(pull.provider.open_archive(pull.archive.archive_id)) as stream:
            size_bytes = pull.archive.size_bytes
            counted = _Counted(stream, MOST_BYTES if size_bytes is None else size_bytes)
            buffered = io.BufferedReader(counted, BUFFER_BYTES)
            stored = target.put(pull.object_key, buffered, content_type=CONTENT_TYPE)
        try:
            self._check(pull.archive, counted, stored)
            kept = self._finish(pull, counted)
        except (ProviderBadResponse, StorageError):
            target.delete(pull.object_key)
            raise
        if not kept:  # it was deleted meanwhile, and that deletion saw no copy
            target.delete(pull.object_key)
        delete_unfinished(self._targets, pull.archive.id)

    def resume(self) -> None:
        """See to it that what should be copied will be: its job may be dead, or have found no target in force.

        The recurring job; takes a batch, and leaves the rest to the next run.
        """
        for provider in self._providers.with_capability(Capability.ARCHIVE_DOWNLOADS):
            for kind in self._targets.kinds:
                if not provider.pushes_to(kind):
                    self._resume(provider.key, provider.account, kind)

    def _resume(self, provider: str, account: str, kind: str) -> None:
        """Enqueue what of a provider's account should be in targets of a kind, and is in no job."""
        in_force = (StorageTargetRow.tenant == Archive.tenant, StorageTargetRow.state == TargetState.ACTIVE)
        queued = (Job.kind == PULL_ARCHIVE, Job.state == JobState.PENDING)
        statement = (
            select(Archive.id, Archive.tenant)
            .join(StorageTargetRow, and_(*in_force, StorageTargetRow.kind == kind))
            .where(
                text(UNCOPIED),
                Archive.provider == provider,
                Archive.account == account,
                ~exists().where(*queued, Job.payload["id"].as_integer() == Archive.id),
            )
            .order_by(Archive.created_on)  # the provider deletes the oldest first
            .limit(RESUMED_AT_ONCE)
        )
        with write() as session:
            for id, tenant in session.execute(statement).all():
                enqueue(session, PULL_ARCHIVE, archive_payload(id, tenant))

    def _find(self, id: int) -> _Pull | None:
        with read() as session:
            archive = session.execute(
                select(Archive)
                .where(
                    Archive.id == id,
                    Archive.status == ArchiveStatus.AVAILABLE,
                    Archive.object_key.is_(None),
                    *_WANTED,
                )
                .options(joinedload(Archive.meeting))
            ).scalar_one_or_none()
            target = None if archive is None else self._targets.find_in_force(session, archive.tenant)
        if archive is None or target is None:
            return None
        provider = self._providers.find(archive.provider)
        if provider is None or provider.account != archive.account or provider.pushes_to(target.kind):
            return None
        return _Pull(archive, provider, target) if provider.can(Capability.ARCHIVE_DOWNLOADS) else None

    def _note(self, pull: _Pull) -> bool:
        """Note where the copy is to be; return whether the archive is still wanted."""
        with write() as session:
            statement = select(Archive).where(Archive.id == pull.archive.id, *_WANTED).with_for_update()
            archive = session.execute(statement).scalar_one_or_none()
            if archive is not None:
                archive.begun_copies = {**(archive.begun_copies or {}), str(pull.target.id): pull.object_key}
        return archive is not None

    def _check(self, archive: Archive, counted: _Counted, stored: StoredObject) -> None:
        if archive.size_bytes is not None and counted.size_bytes != archive.size_bytes:
            raise ProviderBadResponse("The provider gave another number of bytes than the archive has.")
        if stored.size_bytes != counted.size_bytes:
            raise StorageError("The storage target holds another number of bytes than were written.")

    def _finish(self, pull: _Pull, counted: _Counted) -> bool:
        """Note where the copy is; return whether the archive is still wanted."""
        archive = pull.archive
        with write() as session:
            delivered = (
                update_rows(Archive)
                .where(Archive.id == archive.id, *_WANTED)
                .values(
                    status=ArchiveStatus.UPLOADED,
                    storage_target_id=pull.target.id,
                    object_key=pull.object_key,
                    size_bytes=counted.size_bytes,
                    modified_on=utc_now(),
                )
            )
            if not changes_row(session, delivered):
                return False
            note_change(session, archive.meeting_id, of_archive(archive.archive_id))
            if self._deletes_original:
                enqueue(session, DELETE_PULLED, archive_payload(archive.id, archive.tenant))
            actor = Caller(ACTOR, archive.tenant, type=ActorType.SYSTEM)
            after = {"sizeBytes": counted.size_bytes, "sha256": counted.sha256}
            record_archive(session, actor, "archive.delivered", archive, after=after)
        return True

    def delete_original(self, payload: Mapping[str, Any]) -> None:
        with read() as session:
            archive = session.execute(select(Archive).where(Archive.id == payload["id"])).scalar_one_or_none()
        if archive is None or archive.object_key is None:
            return
        try:
            self._providers.get_archiving(archive.provider, archive.account).delete_archive(archive.archive_id)
        except ProviderResourceNotFound:
            logger.info("the provider's copy of the archive %s is gone already", archive.archive_id)


class _Counted(io.RawIOBase):
    """Passes a stream on, and counts and digests what goes through."""

    def __init__(self, stream: BinaryIO, most_bytes: int) -> None:
        self._stream = stream
        self._most_bytes = most_bytes
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        chunk = self._stream.read(len(view))
        self._digest.update(chunk)
        self.size_bytes += len(chunk)
        if self.size_bytes > self._most_bytes:  # it may have no end
            raise ProviderBadResponse("The provider gives more bytes than the archive has.")
        view[: len(chunk)] = chunk
        return len(chunk)
