"""The operations on archives except deletion: list, read, start, stop, rename, hold.

Each operation is row first, then the provider with no transaction open and no connection held, then the row again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from videoconf.archives.lifecycle import RUNNING
from videoconf.archives.merge import bury, merge_evidence
from videoconf.archives.models import Archive
from videoconf.archives.queries import ArchiveFilter, ListedArchive, get_archive, list_archives
from videoconf.archives.reconcile import gone_at_provider
from videoconf.archives.trail import record_archive
from videoconf.audit import plain, record
from videoconf.db.functions import utc_now
from videoconf.db.keyset import Listed, Part
from videoconf.db.transactions import read, statements, write
from videoconf.errors import (
    ArchiveAlreadyRunning,
    ArchiveDeleting,
    ArchiveNoConnections,
    ArchiveSessionEncrypted,
    ArchiveSessionRelayed,
    Conflict,
    Forbidden,
    MeetingNotFound,
    ProviderConflict,
    ProviderError,
    ProviderResourceNotFound,
)
from videoconf.events.changes import note_change, of_archive
from videoconf.hooks import Providers
from videoconf.jobs.kinds import RECONCILE_MEETING
from videoconf.jobs.queue import enqueue
from videoconf.meetings.models import Meeting, refuse_ended
from videoconf.providers import ArchiveRequest, ArchiveState, ArchiveStatus, SessionRef
from videoconf.storage_targets.in_force import StorageTargets
from videoconf.tenancy import Caller, visible_to

START_CONFLICTS: Mapping[str | None, type[Conflict]] = {
    "no_connections": ArchiveNoConnections,
    "already_recording": ArchiveAlreadyRunning,
    "session_relayed": ArchiveSessionRelayed,
    "end_to_end_encrypted": ArchiveSessionEncrypted,
}
"""What a provider's plugin says with ``ProviderConflict.provider_code`` when an archive cannot be started."""

LIFT_HOLD = "LiftLegalHold"
"""The permission to end a legal hold, which setting one does not need."""
LOST_START_CHECK_SECONDS = 30.0
"""After how long to ask the provider for the outcome of a start that it did not answer."""


class Archives:
    """The operations. One instance serves all threads."""

    def __init__(self, providers: Providers, targets: StorageTargets) -> None:
        self._providers = providers
        self._targets = targets

    # --- read ---------------------------------------------------------------------------------------------------

    def get(self, caller: Caller, archive_id: str) -> Archive:
        """Return an archive with its meeting.

        :raises ArchiveNotFound: the caller's tenant has no such archive, or it is deleted.
        """
        with read() as session:
            return get_archive(session, caller, archive_id)

    def list_part(self, caller: Caller, wanted: ArchiveFilter, part: Part) -> Listed[ListedArchive]:
        """Return a part of the tenant's archives; those being deleted included.

        :raises FilterCombination: no index serves these filters.
        """
        with statements() as connection:
            return list_archives(connection, caller, wanted, part)

    # --- start and stop -----------------------------------------------------------------------------------------

    def start(self, caller: Caller, link: str, request: ArchiveRequest) -> Archive:
        """Start recording a meeting.

        :raises MeetingNotFound: it does not exist; :class:`MeetingEnded`: also for a deleted one.
        :raises CapabilityUnsupported: its provider does no archiving by API.
        :raises Conflict: the meeting has no connection, it is being recorded already, or its media cannot be recorded.
        :raises ProviderError: with ``outcome_unknown`` it may be recorded; then it is found and listed later.
        """
        with read() as session:
            mine = (Meeting.meeting_link == link, Meeting.is_ready, visible_to(caller, Meeting.tenant))
            meeting = session.execute(select(Meeting).where(*mine)).scalar_one_or_none()
        if meeting is None:
            raise MeetingNotFound
        provider = self._providers.get_archiving(meeting.provider, meeting.account)
        refuse_ended(meeting)
        if meeting.end_to_end_encryption:
            raise ArchiveSessionEncrypted
        if meeting.session_id is None:
            raise ArchiveNoConnections  # the room is made with the first token
        asked = plain({name: value for name, value in vars(request).items() if value is not None})
        with write() as session:  # first: a start whose outcome stays unknown, or unheard, is in the trail
            record(session, caller, "archive.start_requested", meeting_link=link, after=asked)
        try:
            storage = self._targets.find_destination(meeting.tenant, provider)
            wanted = replace(request, storage=storage[1]) if storage else request
            started = provider.start_archive(SessionRef(meeting.account, meeting.session_id), wanted)
        except ProviderConflict as error:
            if (conflict := START_CONFLICTS.get(error.provider_code)) is not None:
                raise conflict from error
            raise
        except ProviderError as error:
            if error.outcome_unknown:
                with write() as session:
                    payload = {"meeting_id": meeting.id}
                    enqueue(session, RECONCILE_MEETING, payload, delay_seconds=LOST_START_CHECK_SECONDS)
            raise
        with write() as session:
            archive = merge_evidence(session, meeting.id, started)
            if storage is not None:
                archive.storage_target_id = storage[0]
            if archive.name is None:  # the provider keeps no names
                archive.name = request.name
            record(session, caller, "archive.started", meeting_link=link, target=archive.archive_id, after=asked)
            session.flush()
            return get_archive(session, caller, archive.archive_id, lock=True)

    def stop(self, caller: Caller, archive_id: str) -> Archive:
        """Stop recording. No effect if the recording has already stopped.

        :raises ArchiveNotFound: it does not exist; :class:`ArchiveDeleting`: it is being deleted.
        """
        with read() as session:
            archive = get_archive(session, caller, archive_id)
        if archive.deleting_since is not None:
            raise ArchiveDeleting
        if archive.status not in RUNNING:
            return archive
        provider = self._providers.get_archiving(archive.provider, archive.account)
        ref = SessionRef(archive.account, archive.meeting.session_id or "")
        with write() as session:  # first, as for a start
            record_archive(session, caller, "archive.stop_requested", archive)
        try:
            said = provider.stop_archive(ref, archive.archive_id)
        except ProviderResourceNotFound:
            said = gone_at_provider(archive)
        return self._stopped(caller, archive, said)

    def _stopped(self, caller: Caller, archive: Archive, said: ArchiveState) -> Archive:
        with write() as session:
            get_archive(session, caller, archive.archive_id, lock=True)
            merged = merge_evidence(session, archive.meeting_id, said)
            if merged.status not in RUNNING:
                record_archive(session, caller, "archive.stopped", archive)
            session.flush()
            return get_archive(session, caller, archive.archive_id, lock=True)

    # --- rename and hold ----------------------------------------------------------------------------------------

    def edit(self, caller: Caller, archive_id: str, changes: Mapping[str, Any]) -> None:
        """Change what is given of ``name`` and ``legal_hold``.

        :raises ArchiveNotFound: it does not exist; :class:`ArchiveDeleting`: a hold comes too late.
        :raises Forbidden: the caller may not lift a legal hold.
        """
        with write() as session:
            archive = get_archive(session, caller, archive_id, lock=True)
            if archive.deleting_since is not None:
                raise ArchiveDeleting
            changed = {name: value for name, value in changes.items() if getattr(archive, name) != value}
            if not changed:
                return
            if archive.legal_hold and "legal_hold" in changed and LIFT_HOLD not in caller.permissions:
                raise Forbidden(f"The token lacks the permission {LIFT_HOLD}, which a legal hold's end needs.")
            before = {name: getattr(archive, name) for name in changed}
            for name, value in changed.items():
                setattr(archive, name, value)
            archive.modified_on = utc_now()
            note_change(session, archive.meeting_id, of_archive(archive_id))
            if archive.status == ArchiveStatus.DELETED and not archive.legal_hold:
                bury(session, archive)  # the hold was all that kept it in sight
            record_archive(session, caller, "archive.edited", archive, before=plain(before), after=plain(changed))
            session.flush()
