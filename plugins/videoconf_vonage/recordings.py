"""Archives at Vonage: what the core asks for, in terms of Vonage's REST API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, BinaryIO

from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderConflict,
    ProviderRejected,
    ProviderResourceNotFound,
)
from videoconf.providers import (
    ArchiveRequest,
    ArchiveState,
    ArchiveStatus,
    Archiving,
    DownloadsArchives,
    GuardedClient,
    Provider,
    SessionRef,
)
from videoconf.storage import SignedUrl
from videoconf_vonage.archives import read_archive, start_error
from videoconf_vonage.rest import VonageRest

URL_LIFE = timedelta(minutes=10)
RUNNING = (ArchiveStatus.STARTED, ArchiveStatus.PAUSED)
FILELESS = (ArchiveStatus.EXPIRED, ArchiveStatus.DELETED, ArchiveStatus.FAILED)
"""Archives of which Vonage has nothing that could be deleted."""


class VonageArchives(Provider, Archiving, DownloadsArchives):
    """The part of the provider that records; :class:`~videoconf_vonage.provider.VonageProvider` is the whole."""

    _rest: VonageRest
    _http: GuardedClient

    def start_archive(self, session: SessionRef, request: ArchiveRequest) -> ArchiveState:
        body: dict[str, Any] = {"sessionId": self._own(session)}
        if request.name is not None:
            body["name"] = request.name
        if request.output is not None:
            body["outputMode"] = request.output
        if request.layout is not None:
            body["layout"] = {"type": request.layout}
        try:
            return self._read(self._rest.start_archive(body))
        except (ProviderConflict, ProviderResourceNotFound, ProviderRejected) as error:
            raise start_error(error) from error

    def stop_archive(self, session: SessionRef, archive_id: str) -> ArchiveState:
        try:
            return self._read(self._rest.stop_archive(archive_id))
        except ProviderConflict:
            archive = self.get_archive(archive_id)
            if archive.status in RUNNING:
                raise  # an automatic archive
            return archive

    def get_archive(self, archive_id: str) -> ArchiveState:
        return self._read(self._rest.get_archive(archive_id))

    def list_archives(self, session: SessionRef) -> Sequence[ArchiveState]:
        return [self._read(found) for found in self._rest.list_archives(self._own(session))]

    def delete_archive(self, archive_id: str) -> None:
        try:
            self._rest.delete_archive(archive_id)
        except ProviderResourceNotFound:
            return
        except ProviderConflict:
            try:
                if self.get_archive(archive_id).status not in FILELESS:
                    raise
            except ProviderResourceNotFound:
                return

    def archive_url(self, archive_id: str) -> SignedUrl:
        """Ask for the URL of Vonage's own copy: there is one while the archive is ``available``, for 10 minutes."""
        found = self._rest.get_archive(archive_id)
        url = found.get("url")
        if found.get("status") != ArchiveStatus.AVAILABLE or not isinstance(url, str) or not url:
            raise ProviderConflict("Vonage holds no copy of this archive that could be read.")
        return SignedUrl(url, self.context.clock() + URL_LIFE)

    def open_archive(self, archive_id: str) -> BinaryIO:
        try:
            return self._http.open(self.archive_url(archive_id).url)
        except ProviderAuthFailed as error:  # by the URL, which has none of our credentials
            raise ProviderConflict("Vonage's copy of this archive can no longer be read.") from error

    def _read(self, found: dict[str, Any]) -> ArchiveState:
        try:
            return read_archive(found, self.account)
        except (KeyError, ValueError, TypeError) as error:
            raise ProviderBadResponse("Vonage's answer is not an archive.") from error

    def _own(self, session: SessionRef) -> str:
        """Return a session's id; refuse another account's, whose sessions would all seem to be gone."""
        if session.account != self.account:
            raise ProviderAuthFailed("The session belongs to another Vonage account than the one that is configured.")
        return session.session_id
