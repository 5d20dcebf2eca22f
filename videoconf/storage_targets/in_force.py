"""Find the storage target in force, where a tenant's archives go, and open targets for use.

``videoconf.storage_targets.change`` sets and removes them. A row that was once in force is kept, with its credentials:
archives are still in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from videoconf.db.transactions import read
from videoconf.errors import StorageDenied, StorageEndpointRefused, StorageError, StorageTargetNotFound
from videoconf.hooks import Registry, offered_kinds
from videoconf.providers import ProviderPort, StorageDestination, StorageScope
from videoconf.settings import Settings
from videoconf.storage import StorageContext, StoragePort, StorageTarget
from videoconf.storage.port import Around, unobserved
from videoconf.storage_targets.cipher import Cipher
from videoconf.storage_targets.models import StorageTargetRow
from videoconf.tenancy import Caller

OPEN_TARGETS = 64


class TargetState(StrEnum):
    """What a row is: at most one of a tenant is ``active``, at most one ``pending``."""

    PENDING = "pending"
    ACTIVE = "active"
    REPLACED = "replaced"
    """By a later one; archives may be in it."""
    REMOVED = "removed"
    """By ``DELETE``; archives may be in it."""
    REFUSED = "refused"
    """It did not work, or a provider did not take it. Its credentials are not kept."""
    UNVERIFIED = "unverified"
    """It is unknown whether a provider accepted it."""


_ROW: Any = StorageTargetRow.__table__.c
NAME_IN_FORCE = (
    select(_ROW.description["name"].as_string())
    .where(_ROW.tenant == bindparam("target_owner"), _ROW.state == TargetState.ACTIVE)
    .scalar_subquery()
)
"""The wire name of the target that is in force, for a statement that is given ``target_owner``: see
:meth:`StorageTargets.owner`."""


class StorageTargets:
    """The targets that are stored. One instance serves all threads.

    :param around: encloses each call of a target.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        cipher: Cipher,
        context: StorageContext,
        around: Around = unobserved,
    ) -> None:
        self.kinds = offered_kinds(registry, settings)
        self._default_tenant = settings.default_tenant
        self._cipher = cipher
        self._context = context
        self._around = around
        self._opened = lru_cache(OPEN_TARGETS)(self._open)

    def get(self, caller: Caller) -> StorageTargetRow:
        """Return the row in force for the caller's tenant.

        :raises StorageTargetNotFound: none is in force.
        """
        with read() as session:
            row = self.find_in_force(session, caller.tenant)
        if row is None:
            raise StorageTargetNotFound
        return row

    def find_in_force(self, session: Session, tenant: str) -> StorageTargetRow | None:
        """Return the row of the target that is in force for a tenant."""
        in_force = (StorageTargetRow.tenant == tenant, StorageTargetRow.state == TargetState.ACTIVE)
        return session.execute(select(StorageTargetRow).where(*in_force)).scalar_one_or_none()

    def owner(self, tenant: str, provider: ProviderPort) -> str:
        """Return whose target a tenant's archives of a provider go to: its own, or the one of the whole account."""
        is_account_wide = provider.capabilities.storage_scope is StorageScope.ACCOUNT
        return self._default_tenant if is_account_wide else tenant

    def find_destination(self, tenant: str, provider: ProviderPort) -> tuple[int, StorageDestination] | None:
        """Return what goes with a request to record, where the provider takes it each time: a tenant's target.

        With it comes the id of its row.

        :raises EncryptionKeyUnknown: it cannot be decrypted.
        """
        if provider.capabilities.storage_scope is not StorageScope.ARCHIVE:
            return None
        with read() as session:
            row = self.find_in_force(session, tenant)
        if row is None or not provider.pushes_to(row.kind):
            return None
        return row.id, StorageDestination(row.kind, self._cipher.decrypt(tenant, row.configuration))

    def open(self, row_id: int) -> StoragePort:
        """Return the target of a row, in force or not; the instance is kept and is not the caller's to close.

        :raises EncryptionKeyUnknown: it cannot be decrypted.
        :raises StorageError: its kind is not installed, or its host is not allowed any more.
        """
        with _not_the_callers():
            return self._opened(row_id)

    def _open(self, row_id: int) -> StoragePort:
        with read() as session:
            row = session.execute(select(StorageTargetRow).where(StorageTargetRow.id == row_id)).scalar_one()
        configuration = self._cipher.decrypt(row.tenant, row.configuration)
        return self.open_destination(StorageDestination(row.kind, configuration))

    def open_destination(self, destination: StorageDestination) -> StoragePort:
        """Make the target of a destination.

        :raises StorageError: its kind is not installed; :class:`StorageEndpointRefused`: its host is not allowed.
        """
        kind = self.kinds.get(destination.kind)
        if kind is None:
            raise StorageError(
                f"The storage kind {destination.kind!r} is not enabled: no plugin brings it, or VIDEOCONF_STORAGE_KINDS"
                " does not name it."
            )
        return self.make(kind, destination.configuration)

    def make(self, kind: type[StorageTarget], configuration: Mapping[str, Any]) -> StoragePort:
        """Make a target of a kind, which is the caller's to close.

        :raises StorageEndpointRefused: its host is not allowed.
        """
        context = replace(self._context, endpoints=self._context.endpoints.allowing(kind.hosts))
        return StoragePort.of(kind, configuration, context, self._around)

    def delete_object(self, row_id: int, key: str) -> None:
        """Delete one object from the target of a row. Idempotent.

        :raises StorageError: it may still be there.
        """
        target = self.open(row_id)
        with _not_the_callers():
            target.delete(key)


@contextmanager
def _not_the_callers() -> Iterator[None]:
    """Turn what would blame the caller into what it is when a stored target is used: a failure behind us."""
    try:
        yield
    except (StorageDenied, StorageEndpointRefused) as error:
        raise StorageError(error.detail) from error
