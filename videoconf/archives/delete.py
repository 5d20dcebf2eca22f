"""Delete archives at the provider and in the storage target, on demand and by age.

The decision is one commit: the row's ``deleting_since`` and the job that carries it out. The job deletes each copy; a
copy that is already gone counts as deleted. When both are gone, the row becomes a tombstone and the audit trail gets
a receipt. A provider or a target that is down only delays the deletion.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from videoconf.archives.copies import delete_copies
from videoconf.archives.lifecycle import UNSETTLED, UNSETTLED_CHECK_SECONDS
from videoconf.archives.merge import archive_payload
from videoconf.archives.models import Archive
from videoconf.archives.queries import get_archive
from videoconf.archives.trail import record_archive
from videoconf.db.batches import run_until
from videoconf.db.conditional import changes_row, update_rows
from videoconf.db.functions import utc_in, utc_now
from videoconf.db.transactions import read, write
from videoconf.errors import (
    ArchiveNotDeletable,
    ArchiveOnHold,
    ProviderConflict,
    ProviderError,
    ProviderResourceNotFound,
    StorageError,
)
from videoconf.events.changes import note_change, of_archive
from videoconf.hooks import Providers
from videoconf.jobs.kinds import ERASE_ARCHIVE
from videoconf.jobs.queue import Jobs, enqueue, enqueue_claimed
from videoconf.jobs.work import ClaimedJob
from videoconf.providers import ArchiveStatus, Capability
from videoconf.providers.deadline import PROVIDER_BUDGET_SECONDS
from videoconf.settings import Settings
from videoconf.storage import storage_deadline
from videoconf.storage_targets.in_force import StorageTargets
from videoconf.tenancy import ActorType, Caller

logger = logging.getLogger(__name__)

RETENTION_BATCH = 100
SPREAD_SECONDS = 1800.0
"""Over how long the deletions that one run begins are spread."""
REQUEST_SECONDS = PROVIDER_BUDGET_SECONDS + 4.0
"""How long a request to delete waits for the provider and the target. A job has more patience with the target."""
RETENTION = Caller("retention", "", type=ActorType.SYSTEM)
"""The actor of what is deleted by its age."""
RESUME_SECONDS = 3600.0
"""After how long without an end a deletion is taken up again, should its job be dead."""


class Deletion:
    """Deletes archives. One instance serves all threads."""

    def __init__(self, providers: Providers, jobs: Jobs, targets: StorageTargets, settings: Settings) -> None:
        self._providers = providers
        self._jobs = jobs
        self._retention_days = settings.archive_retention_days
        self._targets = targets

    def delete(self, caller: Caller, archive_id: str) -> None:
        """Delete an archive everywhere. A call that finds the deletion under way has nothing to do.

        It tries too while the provider may still refuse, since a proxy may have repeated a call whose node is gone.

        :raises ArchiveNotFound: the archive does not exist, or is deleted.
        :raises ArchiveOnHold: it has a legal hold; :class:`ArchiveNotDeletable`: it is still being recorded.
        :raises CapabilityUnsupported: its provider deletes nothing by API.
        :raises ProviderError: or :class:`StorageError`: something may be left. The archive stays ``deleting``, and a
            job goes on.
        """
        with write() as session:
            archive = get_archive(session, caller, archive_id, lock=True)
            if archive.deleting_since is None:
                job = self._begin(session, archive, caller)
            elif archive.status in UNSETTLED:
                job = None
            else:
                return
        with storage_deadline(REQUEST_SECONDS):
            if job is not None:
                self._jobs.attempt(job)
            else:
                with contextlib.suppress(ProviderError, StorageError):  # the job of the first call goes on
                    self.resume(archive.id)
        with read() as session:
            state = select(Archive.deleting_since, Archive.deleted_on).where(Archive.id == archive.id)
            if session.execute(state).one_or_none() == (None, None):
                raise ArchiveNotDeletable

    def _begin(self, session: Session, archive: Archive, caller: Caller) -> ClaimedJob:
        if archive.legal_hold:
            raise ArchiveOnHold
        self._providers.get_archiving(archive.provider, archive.account)
        self._mark(session, archive.id, caller)
        record_archive(session, caller, "archive.deletion_requested", archive)
        return enqueue_claimed(session, ERASE_ARCHIVE, archive_payload(archive.id, archive.tenant))

    def expire(self) -> None:
        """Begin the deletion of archives beyond their age, in small transactions. The recurring job.

        What one run does not get done is left to the next.
        """
        if not self._retention_days:
            return
        keys = [provider.key for provider in self._providers.with_capability(Capability.ARCHIVING)]
        oldest = (
            select(Archive.id, Archive.tenant)
            .where(
                Archive.created_on < utc_in(-86400.0 * self._retention_days),
                # Our own clock has the last word: a vendor's wrong one must not delete a recording.
                func.coalesce(Archive.known_on, Archive.created_on) < utc_in(-86400.0 * self._retention_days),
                Archive.deleted_on.is_(None),
                Archive.deleting_since.is_(None),
                Archive.legal_hold.is_(False),
                Archive.status.not_in(UNSETTLED),
                # An expression, so that SQLite does not take an index by provider, and sort all that there is.
                Archive.provider.concat("").in_(keys),
            )
            .order_by(Archive.created_on)
            .limit(RETENTION_BATCH)
            .with_for_update(skip_locked=True)
        )
        until, marked = run_until(), RETENTION_BATCH
        while marked == RETENTION_BATCH and time.monotonic() < until:
            with write() as session:
                found = session.execute(oldest).all()
                for archive_id, tenant in found:
                    self._mark(session, archive_id, RETENTION)
                    # Each asks the provider and the target. All at once, they would keep other jobs waiting.
                    delay_seconds = random.uniform(0, SPREAD_SECONDS)  # noqa: S311  # hides nothing
                    enqueue(session, ERASE_ARCHIVE, archive_payload(archive_id, tenant), delay_seconds=delay_seconds)
            marked = len(found)

    def _mark(self, session: Session, id: int, by: Caller) -> None:
        marked = session.execute(
            update_rows(Archive)
            .where(Archive.id == id)
            .values(
                deleting_since=utc_now(),
                deleted_by=by.subject,
                deleted_by_type=by.type.value,
                check_due_at=utc_in(RESUME_SECONDS),
            )
            .returning(Archive.meeting_id, Archive.archive_id)
        ).one()
        note_change(session, marked.meeting_id, of_archive(marked.archive_id))

    def resume(self, id: int) -> None:
        """Go on with a deletion to its end. Idempotent, also beside another that does the same.

        :raises ProviderError: or :class:`StorageError`: something may be left.
        """
        with read() as session:
            statement = select(Archive).where(Archive.id == id, Archive.deleting_since.is_not(None))
            archive = session.execute(statement.options(joinedload(Archive.meeting))).scalar_one_or_none()
        if archive is None:
            return
        provider = self._providers.get_archiving(archive.provider, archive.account)
        try:
            provider.delete_archive(archive.archive_id)
        except ProviderResourceNotFound:
            pass
        except ProviderConflict:
            if self._take_back(archive):
                return
        had_stored_copy = delete_copies(self._targets, archive)
        with write() as session:
            unfinished = update_rows(Archive).where(Archive.id == id, Archive.deleting_since.is_not(None))
            deleted_on = func.coalesce(Archive.deleted_on, utc_now())
            if changes_row(session, unfinished.values(deleting_since=None, deleted_on=deleted_on, check_due_at=None)):
                note_change(session, archive.meeting_id, of_archive(archive.archive_id))
                copy = "gone" if had_stored_copy else "unreachable" if self._is_elsewhere(archive) else "none"
                at_provider = "gone" if provider.capabilities.deletes_archives else "not deletable"
                gone = {"provider": at_provider, "storageTarget": copy}
                record_archive(session, _deleted_by(archive), "archive.deleted", archive, after=gone)

    def _is_elsewhere(self, archive: Archive) -> bool:
        """Return whether the provider may have put a copy where no storage target of ours reaches."""
        if archive.status in (ArchiveStatus.EXPIRED, ArchiveStatus.DELETED):  # and what it was before is not known
            return self._providers.get(archive.provider).capabilities.storage_set_elsewhere is not None
        return archive.status == ArchiveStatus.UPLOADED

    def _take_back(self, archive: Archive) -> bool:
        """Make an archive what it was, since the provider does not delete it yet; not one that is out of sight."""
        with write() as session:
            taken_back = (
                update_rows(Archive)
                .where(Archive.id == archive.id, Archive.deleted_on.is_(None), Archive.deleting_since.is_not(None))
                .values(
                    deleting_since=None,
                    deleted_by=None,
                    deleted_by_type=None,
                    check_due_at=utc_in(UNSETTLED_CHECK_SECONDS),
                )
            )
            is_taken_back = changes_row(session, taken_back)
            note_change(session, archive.meeting_id, of_archive(archive.archive_id))
            logger.info("the provider does not delete the archive %s yet", archive.archive_id)
            # Retention asks again every hour; one entry for each attempt would bury the others.
            actor = _deleted_by(archive)
            if is_taken_back and actor.type not in (ActorType.SYSTEM, ActorType.PROVIDER):
                record_archive(session, actor, "archive.deletion_refused", archive)
        return archive.deleted_on is None


def _deleted_by(archive: Archive) -> Caller:
    """Return who asked for the deletion of an archive."""
    if archive.deleted_by is None:
        return Caller(f"provider:{archive.provider}", archive.tenant, type=ActorType.PROVIDER)
    by_type = archive.deleted_by_type
    if by_type is None:  # started by a release that recognised its retention job only by the name
        by_type = ActorType.SYSTEM if archive.deleted_by == RETENTION.subject else ActorType.CALLER
    return Caller(archive.deleted_by, archive.tenant, type=ActorType(by_type))
