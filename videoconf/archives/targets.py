"""Storage targets: where a tenant's archives go. Set, read, removed, and opened for whoever reads or deletes a copy.

A change is a row that is ``pending`` while the target is probed and the providers are told, so that of two changes of
one tenant the second is refused. What is in force is the one ``active`` row; it stays so until another has worked, and
a provider that may have taken what was then refused is told again by a job. A row that was once in force is kept, with
its credentials: archives are still in it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import LargeBinary, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from videoconf.archives.encryption import KEY_ID_CHARACTERS, Cipher
from videoconf.archives.models import Archive, StorageTargetRow
from videoconf.audit import record
from videoconf.database import lock, read, utc_in, write
from videoconf.errors import (
    CapabilityUnsupported,
    DatabaseUnavailable,
    ProviderConflict,
    ProviderError,
    ProviderRejected,
    StorageConflict,
    StorageDenied,
    StorageEndpointRefused,
    StorageError,
    StorageTargetNotFound,
    StorageTargetRejected,
    StorageTimeout,
    StorageUnavailable,
    ValidationFailed,
    VideoconfError,
)
from videoconf.hooks import Providers, Registered, Registry, contained, settings_prefix
from videoconf.jobs import Jobs
from videoconf.meetings.models import Meeting
from videoconf.providers import Provider, StorageDestination, StorageScope, StoresArchives, provider_deadline
from videoconf.settings import Secret, Settings, load
from videoconf.storage import StorageContext, StorageTarget
from videoconf.tenancy import Caller

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

SYNC_STORAGE = "sync_storage"
"""The job that makes a provider's setting be what is in force here."""
CHANGE_SECONDS = 90.0
"""How long a change holds off others at most; longer than any takes, should its process have died."""
REMOVAL_ATTEMPT_SECONDS = 2.0
"""How long the request that removes a target waits for the providers; what is left is a job's."""
ROTATION_BATCH = 100
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
    """Nobody knows whether a provider took it."""


class StorageTargets:
    """The operations. One instance serves all threads."""

    def __init__(
        self,
        registry: Registry,
        providers: Providers,
        jobs: Jobs,
        settings: Settings,
        cipher: Cipher,
        context: StorageContext,
    ) -> None:
        self.kinds = offered_kinds(registry, settings.providers)
        self._credentials = {
            kind.wire_name: _credentials(kind) for kind in self.kinds.values() if kind.Settings is not None
        }
        self._providers = providers
        self._jobs = jobs
        self._default_tenant = settings.default_tenant
        self._cipher = cipher
        self._context = context
        self._opened = lru_cache(OPEN_TARGETS)(self._open)
        jobs.register(SYNC_STORAGE, self._sync)

    # --- set ----------------------------------------------------------------------------------------------------

    def set(self, caller: Caller, name: str, configuration: dict[str, Any]) -> None:
        """Put a target in force for the caller's tenant, once it has proved to work and every provider has taken it.

        :param name: the wire name of a kind.
        :param configuration: as the kind's schema loaded it.
        :raises CapabilityUnsupported: every enabled provider has its target set elsewhere.
        :raises StorageConflict: the tenant may not, or another change is under way.
        :raises EncryptionNotConfigured: there is no key to store credentials with.
        :raises StorageEndpointRefused: its host is none to connect to.
        :raises StorageTargetRejected: it does not work, or a provider refuses it; :class:`StorageTimeout`: it does not
            answer; :class:`ProviderError`: a provider does not. What was in force stays so.
        """
        kind = self._kind_of(name)
        self._check_can_be_set()
        self._check_may_change(caller)
        target = self._make(kind, configuration)
        row_id = self._begin(caller, kind, configuration)
        try:
            self._probe(target)
            self._apply(kind.key, configuration)
        except BaseException as error:
            self._abandon(caller, row_id, error)
            raise
        finally:
            target.close()
        self._activate(caller, row_id)

    def with_credentials(self, caller: Caller, name: str, document: dict[str, Any]) -> dict[str, Any]:
        """Return a body completed by the service's own credentials, where it has none and its tenant may use them.

        Another tenant could otherwise reach what those credentials open, and it is the operator's.
        """
        own = self._credentials.get(name, {})
        may = caller.tenant == self._default_tenant and all(own.values())
        return {**document, **own} if may and document.keys().isdisjoint(own) else document

    def _kind_of(self, name: str) -> type[StorageTarget]:
        for kind in self.kinds.values():
            if kind.wire_name == name:
                return kind
        names = ", ".join(sorted(kind.wire_name for kind in self.kinds.values()))
        raise ValidationFailed(errors={"name": [f"Must be one of: {names}."]})

    def _check_can_be_set(self) -> None:
        elsewhere = [provider.capabilities.storage_set_elsewhere for provider in self._providers]
        if elsewhere and all(elsewhere):
            raise CapabilityUnsupported(" ".join(str(where) for where in elsewhere))

    def _check_may_change(self, caller: Caller) -> None:
        if caller.tenant == self._default_tenant:
            return
        for provider in self._providers:
            if provider.capabilities.storage_scope is StorageScope.ACCOUNT:
                raise StorageConflict(
                    f"The provider {provider.key!r} has one storage for all tenants, which the default tenant sets."
                )

    def _begin(self, caller: Caller, kind: type[StorageTarget], configuration: dict[str, Any]) -> int:
        ciphertext = self._cipher.encrypt(caller.tenant, configuration)
        with write() as session:
            self._check_no_change_is_under_way(session, caller.tenant)
            # Should this process die before the change has ended, a provider may have what we do not know of.
            self._enqueue_sync(session, caller.tenant, delay_seconds=CHANGE_SECONDS + 1)
            return session.execute(
                insert(StorageTargetRow)
                .values(
                    tenant=caller.tenant,
                    kind=kind.key,
                    state=TargetState.PENDING,
                    configuration=ciphertext,
                    description={"name": kind.wire_name, **kind.describe(configuration)},
                    created_by=caller.subject,
                )
                .returning(StorageTargetRow.id)
            ).scalar_one()

    def _check_no_change_is_under_way(self, session: Session, tenant: str) -> None:
        lock(session, f"storage_target:{tenant}")
        pending = (StorageTargetRow.tenant == tenant, StorageTargetRow.state == TargetState.PENDING)
        recent = (*pending, StorageTargetRow.created_on > utc_in(-CHANGE_SECONDS))
        if session.execute(select(StorageTargetRow.id).where(*recent)).first() is not None:
            raise StorageConflict("The storage target is being changed by another request.", retry_after_seconds=5)
        session.execute(
            update(StorageTargetRow)
            .where(*pending)
            .values(state=TargetState.UNVERIFIED)
            .execution_options(synchronize_session=False)
        )

    def _probe(self, target: StorageTarget) -> None:
        try:
            storage_contained(target.probe)()
        except StorageEndpointRefused:
            raise
        except StorageUnavailable as error:
            raise StorageTimeout(error.detail) from error
        except StorageTimeout:
            raise
        except StorageError as error:
            raise StorageTargetRejected(error.detail, extra={"reason": error.code}) from error

    def _apply(self, kind: str, configuration: dict[str, Any]) -> None:
        """Tell the providers, all within one deadline."""
        with provider_deadline():
            for provider in self._providers:
                try:
                    self._apply_at(provider, StorageDestination(kind, configuration))
                except (ProviderRejected, ProviderConflict) as error:
                    raise StorageTargetRejected(
                        f"The provider {provider.key!r} does not take it: {error.detail}",
                        errors=error.errors,
                        extra={"reason": error.code},
                    ) from error

    def _apply_at(self, provider: Provider, destination: StorageDestination | None) -> None:
        if not isinstance(provider, StoresArchives):
            return
        if destination is not None and pushes(provider, destination.kind):
            contained(provider.apply_storage)(destination.kind, dict(destination.configuration))
        elif provider.capabilities.storage_scope is StorageScope.ACCOUNT:
            contained(provider.clear_storage)()

    def _abandon(self, caller: Caller, row_id: int, error: BaseException) -> None:
        is_unknown = not isinstance(error, VideoconfError) or (
            isinstance(error, ProviderError) and error.outcome_unknown
        )
        values: dict[str, Any] = {"state": TargetState.UNVERIFIED if is_unknown else TargetState.REFUSED}
        if not is_unknown:
            values["configuration"] = b""
        with write() as session:
            session.execute(self._update(row_id, TargetState.PENDING, **values))
            self._enqueue_sync(session, caller.tenant)
            code = error.code if isinstance(error, VideoconfError) else type(error).__name__
            after = {"state": values["state"], "code": code}
            record(session, caller, "storage_target.refused", target=str(row_id), after=after)

    def _activate(self, caller: Caller, row_id: int) -> None:
        with write() as session:
            lock(session, f"storage_target:{caller.tenant}")
            before = self.find_in_force(session, caller.tenant)
            if before is not None:
                session.execute(self._update(before.id, TargetState.ACTIVE, state=TargetState.REPLACED))
            activated = self._update(row_id, TargetState.PENDING, state=TargetState.ACTIVE)
            row = session.execute(activated.returning(StorageTargetRow.description)).one_or_none()
            if row is None:
                raise StorageConflict("The storage target was changed by another request meanwhile.")
            record(
                session,
                caller,
                "storage_target.set",
                target=str(row_id),
                before=None if before is None else before.description,
                after=row.description,
            )

    def _update(self, row_id: int, was: TargetState, **values: Any) -> Any:
        return (
            update(StorageTargetRow)
            .where(StorageTargetRow.id == row_id, StorageTargetRow.state == was)
            .values(**values)
            .execution_options(synchronize_session=False)
        )

    # --- remove -------------------------------------------------------------------------------------------------

    def remove(self, caller: Caller) -> None:
        """Let archives stay with the provider again. Committed here first; a provider that is down is told by a job.

        :raises StorageTargetNotFound: there is none; :class:`StorageConflict`: the tenant may not, or another change
            is under way.
        """
        self._check_may_change(caller)
        with write() as session:
            self._check_no_change_is_under_way(session, caller.tenant)
            row = self.find_in_force(session, caller.tenant)
            if row is None:
                raise StorageTargetNotFound
            session.execute(self._update(row.id, TargetState.ACTIVE, state=TargetState.REMOVED))
            record(session, caller, "storage_target.removed", target=str(row.id), before=row.description)
            claimed = [
                self._jobs.enqueue_claimed(session, SYNC_STORAGE, payload) for payload in self._syncs(caller.tenant)
            ]
        with provider_deadline(REMOVAL_ATTEMPT_SECONDS):
            for job in claimed:
                self._jobs.run(job)

    # --- read ---------------------------------------------------------------------------------------------------

    def get(self, caller: Caller) -> StorageTargetRow:
        """Return the row in force for the caller's tenant.

        :raises StorageTargetNotFound: there is none.
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

    def find_name(self, session: Session, tenant: str, provider: Provider) -> str | None:
        """Return the wire name of the target that a tenant's archives of a provider go to."""
        is_account_wide = provider.capabilities.storage_scope is StorageScope.ACCOUNT
        row = self.find_in_force(session, self._default_tenant if is_account_wide else tenant)
        return None if row is None else str(row.description["name"])

    def find_destination(self, tenant: str, provider: Provider) -> tuple[int, StorageDestination] | None:
        """Return what goes with a request to record, where the provider takes it each time: a tenant's target.

        With it comes the id of its row.

        :raises EncryptionKeyUnknown: it cannot be decrypted.
        """
        if provider.capabilities.storage_scope is not StorageScope.ARCHIVE:
            return None
        with read() as session:
            row = self.find_in_force(session, tenant)
        if row is None or not pushes(provider, row.kind):
            return None
        return row.id, StorageDestination(row.kind, self._cipher.decrypt(tenant, row.configuration))

    def bind_meeting(self, meeting_id: int, tenant: str, provider: Provider) -> StorageDestination | None:
        """Return what goes with the session of a meeting that is recorded by itself, and note it with the meeting."""
        found = self.find_destination(tenant, provider)
        with write() as session:
            session.execute(
                update(Meeting)
                .where(Meeting.id == meeting_id)
                .values(storage_target_id=None if found is None else found[0])
                .execution_options(synchronize_session=False)
            )
        return None if found is None else found[1]

    def open(self, row_id: int) -> StorageTarget:
        """Return the target of a row, in force or not; the instance is kept and is not the caller's to close.

        :raises EncryptionKeyUnknown: it cannot be decrypted.
        :raises StorageError: its kind is not installed, or its host is not allowed any more.
        """
        with _not_the_callers():
            return self._opened(row_id)

    def _open(self, row_id: int) -> StorageTarget:
        with read() as session:
            row = session.execute(select(StorageTargetRow).where(StorageTargetRow.id == row_id)).scalar_one()
        configuration = self._cipher.decrypt(row.tenant, row.configuration)
        return self.open_destination(StorageDestination(row.kind, configuration))

    def open_destination(self, destination: StorageDestination) -> StorageTarget:
        """Make the target of a destination.

        :raises StorageError: its kind is not installed; :class:`StorageEndpointRefused`: its host is not allowed.
        """
        kind = self.kinds.get(destination.kind)
        if kind is None:
            raise StorageError(f"No plugin brings the storage kind {destination.kind!r}.")
        return self._make(kind, destination.configuration)

    def _make(self, kind: type[StorageTarget], configuration: Mapping[str, Any]) -> StorageTarget:
        context = replace(self._context, endpoints=self._context.endpoints.allowing(kind.hosts))
        return storage_contained(kind)(dict(configuration), context)

    def delete_copy(self, archive: Archive) -> bool:
        """Delete an archive's copy in its storage target; return whether it has ever had one there. Idempotent.

        :raises StorageError: it may still be there.
        """
        if archive.storage_target_id is None or archive.object_key is None:
            return False
        target = self.open(archive.storage_target_id)
        with _not_the_callers():
            storage_contained(target.delete)(archive.object_key)
        return True

    # --- providers ----------------------------------------------------------------------------------------------

    def _syncs(self, tenant: str) -> list[dict[str, Any]]:
        return [
            {"tenant": tenant, "provider": provider.key}
            for provider in self._providers
            if isinstance(provider, StoresArchives) and provider.capabilities.storage_scope is StorageScope.ACCOUNT
        ]

    def _enqueue_sync(self, session: Session, tenant: str, *, delay_seconds: float = 0.0) -> None:
        for payload in self._syncs(tenant):
            self._jobs.enqueue(session, SYNC_STORAGE, payload, delay_seconds=delay_seconds)

    def _sync(self, payload: Mapping[str, Any]) -> None:
        """Tell a provider what is in force. The job; repeated when a change came between."""
        provider = self._providers.find(payload["provider"])
        if provider is None:
            return
        tenant = payload["tenant"]
        before = self._history(tenant)
        with read() as session:
            row = self.find_in_force(session, tenant)
        destination = None
        if row is not None:
            destination = StorageDestination(row.kind, self._cipher.decrypt(tenant, row.configuration))
        with provider_deadline():
            self._apply_at(provider, destination)
        if self._history(tenant) != before:
            raise StorageConflict("The storage target was changed meanwhile.")

    def _history(self, tenant: str) -> list[tuple[int, str]]:
        """Return what tells that a change has begun or ended.

        :raises StorageConflict: one is under way.
        """
        statement = select(StorageTargetRow.id, StorageTargetRow.state).where(StorageTargetRow.tenant == tenant)
        with write() as session:
            self._check_no_change_is_under_way(session, tenant)
            return [(row.id, row.state) for row in session.execute(statement.order_by(StorageTargetRow.id))]

    # --- keys ---------------------------------------------------------------------------------------------------

    @property
    def newest_key_id(self) -> str:
        """Name the key that encrypts."""
        return self._cipher.newest_key_id

    def faults(self) -> list[str]:
        """Say what forbids serving. Where the database cannot tell, nothing; readiness goes on asking."""
        try:
            missing = self.unknown_key_ids()
        except (DatabaseUnavailable, SQLAlchemyError):  # away, or without a schema yet
            return []
        if not missing:
            return []
        return [
            f"VIDEOCONF_ENCRYPTION_KEYS lacks keys that stored credentials need (their ids: {', '.join(missing)})."
            " Add them; nothing was overwritten."
        ]

    def unknown_key_ids(self) -> list[str]:
        """Name the keys that stored credentials need and that are not configured."""
        used = func.substr(StorageTargetRow.configuration, 1, KEY_ID_CHARACTERS, type_=LargeBinary)
        with read() as session:
            found = session.execute(select(used).where(func.length(StorageTargetRow.configuration) > 0).distinct())
            ids = {bytes(name).decode("ascii", "replace") for name in found.scalars()}
        return sorted(ids - self._cipher.key_ids)

    def rotate(self) -> int:
        """Encrypt with the newest key whatever still needs another one; return how many rows that were.

        May run beside a service that serves, and again after an interruption.

        :raises EncryptionKeyUnknown: a row cannot be decrypted; those before it are done.
        """
        newest = self._cipher.newest_key_id.encode()
        rotated, after = 0, 0
        while True:
            statement = (
                select(StorageTargetRow.id, StorageTargetRow.tenant, StorageTargetRow.configuration)
                .where(StorageTargetRow.id > after)
                .order_by(StorageTargetRow.id)
                .limit(ROTATION_BATCH)
                .with_for_update()
            )
            with write() as session:
                rows = session.execute(statement).all()
                for row in rows:
                    if row.configuration and not row.configuration.startswith(newest + b"."):
                        values = self._cipher.decrypt(row.tenant, row.configuration)
                        session.execute(
                            update(StorageTargetRow)
                            .where(StorageTargetRow.id == row.id)
                            .values(configuration=self._cipher.encrypt(row.tenant, values))
                            .execution_options(synchronize_session=False)
                        )
                        rotated += 1
            if not rows:
                return rotated
            after = rows[-1].id


def _credentials(kind: type[StorageTarget]) -> dict[str, str]:
    """Return the service's own credentials for a kind, in the wire's spelling."""
    fields = kind.configuration_schema().fields
    values = vars(load(kind.Settings, settings_prefix(kind.key))) if kind.Settings else {}
    return {
        fields[name].data_key or name: value.reveal() if isinstance(value, Secret) else value
        for name, value in values.items()
    }


def pushes(provider: Provider, kind: str) -> bool:
    """Tell whether a provider puts archives into a kind of storage by itself."""
    return isinstance(provider, StoresArchives) and kind in provider.capabilities.storage_kinds


def offered_kinds(registry: Registry, providers: tuple[str, ...]) -> dict[str, type[StorageTarget]]:
    """Return the storage kinds that may be set, by key.

    One that comes with a provider, as the fake's does, is there for that provider alone: a deployment that does not
    enable it must not be able to put archives there.
    """

    def is_offered(registered: Registered[StorageTarget]) -> bool:
        siblings = {key for key, other in registry.providers.items() if other.origin == registered.origin}
        return not siblings or not siblings.isdisjoint(providers)

    return {key: registered.cls for key, registered in registry.storage_targets.items() if is_offered(registered)}


@contextmanager
def _not_the_callers() -> Iterator[None]:
    """Turn what would blame the caller into what it is when a stored target is used: a failure behind us."""
    try:
        yield
    except (StorageDenied, StorageEndpointRefused) as error:
        raise StorageError(error.detail) from error


def storage_contained(method: Callable[P, R]) -> Callable[P, R]:
    """Wrap what a storage plugin does so that only errors of our taxonomy leave it.

    The plugin's own words are not logged: an SDK's error may repeat a credential.

    :raises StorageError: the plugin raised anything else.
    """

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except VideoconfError:
            raise
        except Exception as error:
            name = getattr(method, "__qualname__", method)
            logger.error("a storage plugin failed in %s: %s", name, type(error).__name__)  # noqa: TRY400
            raise StorageError("The storage target's plugin failed.") from None

    return call
