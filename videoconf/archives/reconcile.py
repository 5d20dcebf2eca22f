"""Ask the provider about archives without recent webhooks: webhooks get lost, and vendors stop sending them.

Each row says when it is due (``check_due_at``). The worker that claims a row first moves that time on, so only one
worker asks, and a failed question is repeated later. The question is for all archives of the meeting. So the service
also finds archives whose first webhook was lost: vendors end an automatic archive after some hours and start the next.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from sqlalchemy import select

from videoconf.archives.lifecycle import UNSETTLED, UNSETTLED_CHECK_SECONDS
from videoconf.archives.merge import merge_evidence
from videoconf.archives.models import Archive
from videoconf.db.conditional import update_rows
from videoconf.db.functions import utc_in, utc_now
from videoconf.db.transactions import read, write
from videoconf.errors import ProviderResourceNotFound, VideoconfError
from videoconf.hooks import Providers
from videoconf.jobs.kinds import ERASE_ARCHIVE
from videoconf.jobs.queue import enqueue_once
from videoconf.meetings.models import Meeting
from videoconf.providers import ArchiveState, ArchiveStatus, Capability, SessionRef, provider_deadline

logger = logging.getLogger(__name__)

BATCH = 50
"""Archives that one run takes on at most."""
RUN_SECONDS = 30.0
"""How long one run goes on taking archives on; within a job's lease."""


class Reconciler:
    """Asks providers about archives. One instance serves all threads."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers

    def sweep(self) -> None:
        """Ask about a batch of what is due. The recurring job."""
        give_up_at = time.monotonic() + RUN_SECONDS
        with provider_deadline(RUN_SECONDS):
            for _ in range(BATCH):
                if time.monotonic() >= give_up_at or (due := self._claim()) is None:
                    return
                try:
                    if due.deleting_since is not None:
                        self._resume_deletion(due)
                    else:
                        self.reconcile(due.meeting_id)
                except VideoconfError as error:
                    # The claim has put it off by an hour; the others may be another provider's.
                    logger.warning(
                        "the archives of meeting %s could not be read from the provider: %s", due.meeting_id, error.code
                    )

    def _resume_deletion(self, due: Any) -> None:
        """Leave a deletion to its job, should that be dead: it waits for a storage target, and no sweep does."""
        with write() as session:
            enqueue_once(session, ERASE_ARCHIVE, "id", due.id, delay_seconds=0, tenant=due.tenant)

    def _claim(self) -> Any:
        keys = [provider.key for provider in self._providers.with_capability(Capability.ARCHIVING)]
        due = (
            select(Archive.id)
            .where(Archive.check_due_at <= utc_now(), Archive.provider.in_(keys))
            .order_by(Archive.check_due_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        claimed = (
            update_rows(Archive)
            .where(Archive.id == due.scalar_subquery())
            .values(check_due_at=utc_in(UNSETTLED_CHECK_SECONDS))
            .returning(Archive.id, Archive.meeting_id, Archive.tenant, Archive.deleting_since)
        )
        with write() as session:
            return session.execute(claimed).one_or_none()

    def reconcile(self, meeting_id: int) -> None:
        """Ask the provider for all archives of a meeting, and merge what it says. Idempotent.

        :raises ProviderError: it was not found out; nothing was changed.
        """
        with read() as session:
            meeting = session.execute(select(Meeting).where(Meeting.id == meeting_id)).scalar_one_or_none()
            mine = (Archive.meeting_id == meeting_id, Archive.deleted_on.is_(None), Archive.deleting_since.is_(None))
            unsettled = session.execute(select(Archive).where(*mine, Archive.status.in_(UNSETTLED))).scalars().all()
        if meeting is None or meeting.session_id is None:
            return
        provider = self._providers.get_archiving(meeting.provider, meeting.account)
        ref = SessionRef(meeting.account, meeting.session_id)
        said = {one.archive_id: one for one in provider.list_archives(ref)}
        for archive in unsettled:
            if archive.archive_id not in said:  # lists leave deleted ones out, and may lag behind
                try:
                    said[archive.archive_id] = provider.get_archive(archive.archive_id)
                except ProviderResourceNotFound:
                    said[archive.archive_id] = gone_at_provider(archive)
        with write() as session:
            for archive_id in sorted(said):  # in one order, so that two of us do not wait for each other
                merge_evidence(session, meeting_id, said[archive_id])
            settled = update_rows(Archive).where(*mine, Archive.status.not_in(UNSETTLED))
            session.execute(settled.values(check_due_at=None))


def gone_at_provider(archive: Archive) -> ArchiveState:
    """Record that the provider no longer has an archive."""
    return ArchiveState(
        archive_id=archive.archive_id,
        session_id="",
        provider_status="not_found",
        status=ArchiveStatus.EXPIRED,
        reason="The provider no longer knows this archive.",
    )
