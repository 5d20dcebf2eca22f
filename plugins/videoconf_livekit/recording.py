"""Recording with LiveKit's egress service."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from videoconf.errors import ProviderBadResponse, ProviderBusy, ProviderConflict, ProviderResourceNotFound
from videoconf.providers import (
    ArchiveRequest,
    ArchiveState,
    Archiving,
    Capabilities,
    Capability,
    SessionRef,
    StorageDestination,
    StorageScope,
    StoresArchives,
)
from videoconf_livekit import egress
from videoconf_livekit.participants import tracks_of
from videoconf_livekit.provider import CAPABILITIES, LiveKitProvider
from videoconf_livekit.twirp import unavailable_means

logger = logging.getLogger(__name__)

MOST_PAGES = 20
RECORDER_STORAGE = (
    "Without a storage target, recordings go to the storage in the configuration of LiveKit's egress service."
)

RECORDING_CAPABILITIES = replace(
    CAPABILITIES,
    features=CAPABILITIES.features | {Capability.ARCHIVING, Capability.AUTOMATIC_ARCHIVING, Capability.STORES_ARCHIVES},
    storage_scope=StorageScope.ARCHIVE,
    storage_kinds=egress.STORAGE_KINDS,
    # LiveKit can record automatically, but not rooms that a join opens, and not to a tenant's storage target.
    starts_archives=False,
    deletes_archives=False,
    storage_set_elsewhere=RECORDER_STORAGE,
)


class RecordingLiveKitProvider(LiveKitProvider, Archiving, StoresArchives):
    """LiveKit with its egress service, which records a room into one file and uploads it."""

    @property
    def capabilities(self) -> Capabilities:
        return RECORDING_CAPABILITIES

    def end_session(self, session: SessionRef, connections: Sequence[str]) -> None:
        """Delete the room, and stop recordings that outlive it, for example while they wait for a first track."""
        super().end_session(session, connections)
        for found in self._egresses({"room_name": self.own(session), "active": True}):
            if isinstance(egress_id := found.get("egress_id"), str) and egress.is_running(found):
                try:
                    self._stop(egress_id)
                except (ProviderConflict, ProviderResourceNotFound):
                    continue  # it has ended

    def start_archive(self, session: SessionRef, request: ArchiveRequest) -> ArchiveState:
        """Start recording. Refuses an empty or encrypted room and a second recording, which LiveKit would accept.

        :raises ProviderBusy: no recorder is free.
        """
        room = self.own(session)
        body = egress.start_body(room, request)
        people = self.people(session)
        if not people:
            raise ProviderConflict("No participant is connected.", provider_code="no_connections")
        if any(track.get("encryption") not in (None, "NONE") for one in people for track in tracks_of(one)):
            raise ProviderConflict("Participants encrypt their media.", provider_code="end_to_end_encrypted")
        if any(map(egress.is_running, self._egresses({"room_name": room, "active": True}))):
            raise ProviderConflict("The room is being recorded.", provider_code="already_recording")
        try:
            found = self.twirp.call(
                "Egress/StartRoomCompositeEgress",
                "archive.start",
                body,
                {"roomRecord": True},
                idempotent=False,
                read_error=unavailable_means(ProviderBusy),  # recorders are busy or missing
            )
        except ProviderResourceNotFound as error:
            raise ProviderConflict("The room has closed.", provider_code="no_connections") from error
        return _read(found)

    def stop_archive(self, session: SessionRef, archive_id: str) -> ArchiveState:
        try:
            return _read(self._stop(archive_id))
        except ProviderConflict:  # it has ended
            return self.get_archive(archive_id)

    def get_archive(self, archive_id: str) -> ArchiveState:
        """Read one archive. A self-hosted LiveKit deletes its record 24 hours after the recording has ended."""
        found = self._egresses({"egress_id": archive_id})
        if not found:
            raise ProviderResourceNotFound("LiveKit has no such egress.")
        return _read(found[0])

    def list_archives(self, session: SessionRef) -> Sequence[ArchiveState]:
        archives: list[ArchiveState] = []
        for found in self._egresses({"room_name": self.own(session)}):
            try:
                archive = egress.find_archive(found)
            except ValueError:
                logger.warning("an egress in LiveKit's list cannot be read and is left out")
                continue
            if archive is not None:
                archives.append(archive)
        return sorted(archives, key=lambda one: one.created_at or datetime.min.replace(tzinfo=UTC), reverse=True)

    def delete_archive(self, archive_id: str) -> None:
        """Check that a recording has stopped. LiveKit deletes neither files nor its records of them."""
        try:
            found = self._egresses({"egress_id": archive_id})
        except ProviderResourceNotFound:
            return
        if any(map(egress.is_running, found)):
            raise ProviderConflict("The archive is still being recorded.")

    def apply_storage(self, kind: str, configuration: dict[str, Any]) -> None:
        """Check that LiveKit can upload to a target. Each request to record contains the target."""
        egress.upload(StorageDestination(kind, configuration))

    def clear_storage(self) -> None:
        """Do nothing: LiveKit stores no storage target."""

    def _stop(self, egress_id: str) -> dict[str, Any]:
        return self.twirp.call("Egress/StopEgress", "archive.stop", {"egress_id": egress_id}, {"roomRecord": True})

    def _egresses(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Read all pages of a list of egresses. A self-hosted LiveKit returns everything on one page."""
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {}
        for _ in range(MOST_PAGES):
            items, answer = self.twirp.list(
                "items", "Egress/ListEgress", "archive.list", {**query, **page}, {"roomRecord": True}
            )
            found += items
            token = (answer.get("next_page_token") or {}).get("token")
            if not items or not token or page.get("page_token") == {"token": token}:
                break
            page = {"page_token": {"token": token}}
        return found


def _read(found: Mapping[str, Any]) -> ArchiveState:
    try:
        archive = egress.find_archive(found)
    except ValueError as error:
        raise ProviderBadResponse("LiveKit's answer is not an egress.") from error
    if archive is None:
        raise ProviderResourceNotFound("LiveKit's egress writes no file.")
    return archive
