"""The provider of an archive, asked with nothing open: its errors are ours, and its answers are made safe to store."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from videoconf.errors import CapabilityUnsupported, ProviderAuthFailed, ProviderBadResponse
from videoconf.hooks import Providers, contained
from videoconf.providers import ArchiveRequest, ArchiveState, Archiving, SessionRef, provider_deadline
from videoconf.providers.cleaning import cleaned_archive

logger = logging.getLogger(__name__)


class Recorder:
    """The archiving half of one provider. Every call has a deadline, and raises :class:`ProviderError` alone."""

    def __init__(self, archiving: Archiving) -> None:
        self._archiving = archiving

    def start(self, ref: SessionRef, request: ArchiveRequest) -> ArchiveState:
        with provider_deadline():
            return _checked(contained(self._archiving.start_archive)(ref, request))

    def stop(self, ref: SessionRef, archive_id: str) -> ArchiveState:
        with provider_deadline():
            return _checked(contained(self._archiving.stop_archive)(ref, archive_id))

    def get(self, archive_id: str) -> ArchiveState:
        with provider_deadline():
            return _checked(contained(self._archiving.get_archive)(archive_id))

    def list(self, ref: SessionRef) -> Sequence[ArchiveState]:
        """Return those that can be used: one that cannot must not keep what is known of the others from us."""
        with provider_deadline():
            said = contained(self._archiving.list_archives)(ref)
        usable = []
        for one in said:
            try:
                usable.append(_checked(one))
            except ProviderBadResponse:
                logger.warning("an archive in a provider's list cannot be used and is left out")
        return usable

    def delete(self, archive_id: str) -> None:
        with provider_deadline():
            contained(self._archiving.delete_archive)(archive_id)


def get_recorder(providers: Providers, key: str, account: str) -> Recorder:
    """Return what records and keeps archives for a provider's account.

    :raises CapabilityUnsupported: the provider does no archiving by API.
    :raises ProviderNotEnabled: it is not.
    :raises ProviderAuthFailed: it is configured with another account, which would know nothing of the archive: its
        deletion there would seem to succeed.
    """
    provider = providers.get(key)
    if not isinstance(provider, Archiving):
        raise CapabilityUnsupported(f"The provider {key!r} lacks the capability 'archiving'.")
    if provider.account != account:
        raise ProviderAuthFailed("The account of this meeting is not the one that the provider is configured with.")
    return Recorder(provider)


def archiving_providers(providers: Providers) -> list[str]:
    """Name the enabled providers that can be asked about archives."""
    return [provider.key for provider in providers if isinstance(provider, Archiving)]


def _checked(said: ArchiveState) -> ArchiveState:
    try:
        return cleaned_archive(said)
    except Exception as error:
        # A plugin may answer anything; whatever it is, it was not looked at before.
        raise ProviderBadResponse("The provider gave an archive that cannot be used.") from error
