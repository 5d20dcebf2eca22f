"""Reading an archive: a URL that expires soon, made for each request and never stored."""

from __future__ import annotations

from videoconf.archives.models import Archive
from videoconf.archives.queries import get_archive
from videoconf.archives.trail import record_archive
from videoconf.db.transactions import read, statements
from videoconf.errors import (
    ArchiveDeleting,
    ArchiveNotDownloadable,
    CapabilityUnsupported,
    ProviderConflict,
    ProviderResourceNotFound,
)
from videoconf.hooks import Providers
from videoconf.providers import ArchiveStatus, Capability
from videoconf.settings import Settings
from videoconf.storage import SignedUrl
from videoconf.storage_targets.in_force import StorageTargets
from videoconf.tenancy import Caller


class Downloads:
    """Gives URLs. One instance serves all threads."""

    def __init__(self, providers: Providers, targets: StorageTargets, settings: Settings) -> None:
        self._providers = providers
        self._targets = targets
        self._ttl_seconds = settings.download_ttl_seconds

    def sign(self, caller: Caller, archive_id: str) -> SignedUrl:
        """Return a URL by which anybody reads the archive for a while, whole or in ranges.

        Signed by the storage target where the archive is there, else asked of the provider.

        :raises ArchiveNotFound: it does not exist; :class:`ArchiveDeleting`: it is being deleted.
        :raises ArchiveNotDownloadable: no copy exists, not yet or no longer.
        :raises CapabilityUnsupported: the provider gives no URL.
        """
        with read() as session:
            archive = get_archive(session, caller, archive_id)
        if archive.deleting_since is not None:
            raise ArchiveDeleting
        if archive.storage_target_id is not None and archive.object_key is not None:
            target = self._targets.open(archive.storage_target_id)
            signed = target.signed_url(archive.object_key, expires_in_seconds=self._ttl_seconds)
            return _recorded(caller, archive, signed)
        if archive.status != ArchiveStatus.AVAILABLE:
            raise ArchiveNotDownloadable(f"The archive is {archive.shown_status}, not {ArchiveStatus.AVAILABLE}.")
        provider = self._providers.get(archive.provider)
        if not provider.can(Capability.ARCHIVE_DOWNLOADS) or provider.account != archive.account:
            raise CapabilityUnsupported(f"The provider {archive.provider!r} lacks the capability 'archive_downloads'.")
        try:
            signed = provider.archive_url(archive_id)
        except (ProviderConflict, ProviderResourceNotFound) as error:
            raise ArchiveNotDownloadable(error.detail) from error
        return _recorded(caller, archive, signed)


def _recorded(caller: Caller, archive: Archive, signed: SignedUrl) -> SignedUrl:
    """Return a URL once the trail says that the caller got it."""
    with statements(atomic=True) as transaction:
        record_archive(transaction, caller, "archive.download_issued", archive)
    return signed
