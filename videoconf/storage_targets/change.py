"""Change a tenant's storage target: probe it, configure every provider, and only then put it in force.

A change is a row that is ``pending`` while the target is probed and providers are configured, so that of two changes of
one tenant the second is refused. What is in force is the one ``active`` row; it stays so until another has worked, and
a job configures a provider again that may have accepted what was then refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Update, insert, select
from sqlalchemy.orm import Session

from videoconf.audit import record
from videoconf.configuration import load
from videoconf.db.conditional import update_rows
from videoconf.db.functions import utc_in
from videoconf.db.transactions import lock, read, write
from videoconf.errors import (
    CapabilityUnsupported,
    ProviderConflict,
    ProviderError,
    ProviderRejected,
    StorageConflict,
    StorageEndpointRefused,
    StorageError,
    StorageTargetNotFound,
    StorageTargetRejected,
    StorageTimeout,
    StorageUnavailable,
    ValidationFailed,
    VideoconfError,
)
from videoconf.hooks import Providers, settings_prefix
from videoconf.jobs.kinds import SYNC_STORAGE
from videoconf.jobs.queue import Jobs, enqueue, enqueue_claimed
from videoconf.providers import Capability, ProviderPort, StorageDestination, StorageScope, provider_deadline
from videoconf.settings import Secret, Settings
from videoconf.storage import StoragePort, StorageTarget
from videoconf.storage_targets.cipher import Cipher
from videoconf.storage_targets.in_force import StorageTargets, TargetState
from videoconf.storage_targets.models import StorageTargetRow, user_of
from videoconf.tenancy import Caller

CHANGE_SECONDS = 90.0
"""How long a change holds off others at most; longer than any takes, should its process have died."""
REMOVAL_ATTEMPT_SECONDS = 2.0
"""How long the request that removes a target waits for the providers; what is left is a job's."""
OVERTAKEN = "The change took too long, and others were let in meanwhile. It is not in force."


class TargetChanges:
    """The operations. One instance serves all threads."""

    def __init__(
        self, targets: StorageTargets, providers: Providers, jobs: Jobs, settings: Settings, cipher: Cipher
    ) -> None:
        self._targets = targets
        self._credentials = {
            kind.key: _credentials(kind) for kind in targets.kinds.values() if kind.Settings is not None
        }
        self._providers = providers
        self._jobs = jobs
        self._default_tenant = settings.default_tenant
        self._cipher = cipher

    # --- set ----------------------------------------------------------------------------------------------------

    def set(self, caller: Caller, kind: type[StorageTarget], configuration: dict[str, Any]) -> None:
        """Put a target in force for the caller's tenant, once it has proved to work and every provider has taken it.

        :param configuration: as the kind's schema loaded it.
        :raises CapabilityUnsupported: no enabled provider takes a target by API, and each has its own set elsewhere.
        :raises StorageConflict: the tenant may not, or another change is under way.
        :raises EncryptionNotConfigured: no key is configured.
        :raises StorageEndpointRefused: the service does not connect to its host.
        :raises StorageTargetRejected: it does not work, or a provider refuses it; :class:`StorageTimeout`: it does not
            answer; :class:`ProviderError`: a provider does not. What was in force stays so.
        """
        self._check_can_be_set()
        self._check_may_change(caller)
        target = self._targets.make(kind, configuration)
        row_id = self._begin(caller, kind, configuration, target.description(configuration))
        try:
            self._probe(target)
            self._check_still_pending(row_id)
            self._apply(kind.key, configuration)
            self._activate(caller, row_id, kind)
        except BaseException as error:
            self._abandon(caller, row_id, error)
            raise
        finally:
            target.close()

    def with_credentials(self, caller: Caller, kind: type[StorageTarget], document: dict[str, Any]) -> dict[str, Any]:
        """Return a body completed by the service's own credentials, where it has none and its tenant may use them.

        Another tenant could otherwise reach what those credentials open, and it is the operator's.
        """
        own = self._credentials.get(kind.key, {})
        may = caller.tenant == self._default_tenant and all(own.values())
        return {**document, **own} if may and document.keys().isdisjoint(own) else document

    def get_kind(self, name: object) -> type[StorageTarget]:
        """Return the kind of a wire name.

        :raises ValidationFailed: no kind of target may be set.
        """
        for kind in self._targets.kinds.values():
            if kind.wire_name == name:
                return kind
        names = ", ".join(sorted(kind.wire_name for kind in self._targets.kinds.values()))
        raise ValidationFailed(errors={"name": [f"Must be one of: {names}."]})

    def _check_can_be_set(self) -> None:
        elsewhere = [
            None if provider.can(Capability.STORES_ARCHIVES) else provider.capabilities.storage_set_elsewhere
            for provider in self._providers
        ]
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

    def _begin(
        self, caller: Caller, kind: type[StorageTarget], configuration: dict[str, Any], description: dict[str, Any]
    ) -> int:
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
                    description={"name": kind.wire_name, **description},
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
        session.execute(update_rows(StorageTargetRow).where(*pending).values(state=TargetState.UNVERIFIED))

    def _check_still_pending(self, row_id: int) -> None:
        """Let no provider be told of a change that took so long that another may have ended meanwhile.

        :raises StorageConflict: it did.
        """
        pending = (StorageTargetRow.id == row_id, StorageTargetRow.state == TargetState.PENDING)
        with read() as session:
            if session.execute(select(StorageTargetRow.id).where(*pending)).first() is None:
                raise StorageConflict(OVERTAKEN)

    def _probe(self, target: StoragePort) -> None:
        try:
            target.probe()
        except StorageEndpointRefused:
            raise
        except StorageUnavailable as error:
            raise StorageTimeout(error.detail) from error
        except StorageTimeout:
            raise
        except StorageError as error:
            raise StorageTargetRejected(error.detail, extra={"reason": error.code}) from error

    def _apply(self, kind: str, configuration: dict[str, Any]) -> None:
        """Apply the target at all providers, within one deadline."""
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

    def _apply_at(self, provider: ProviderPort, destination: StorageDestination | None) -> None:
        if not provider.can(Capability.STORES_ARCHIVES):
            return
        if destination is not None and provider.pushes_to(destination.kind):
            provider.apply_storage(destination.kind, dict(destination.configuration))
        elif provider.capabilities.storage_scope is StorageScope.ACCOUNT:
            provider.clear_storage()

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

    def _activate(self, caller: Caller, row_id: int, kind: type[StorageTarget]) -> None:
        used_by = {
            user_of(provider.key, provider.account): provider.capabilities.storage_scope
            for provider in self._providers
            if provider.pushes_to(kind.key)
        }
        with write() as session:
            lock(session, f"storage_target:{caller.tenant}")
            before = self._targets.find_in_force(session, caller.tenant)
            if before is not None:
                session.execute(self._update(before.id, TargetState.ACTIVE, state=TargetState.REPLACED))
            activated = self._update(row_id, TargetState.PENDING, state=TargetState.ACTIVE, used_by=used_by)
            row = session.execute(activated.returning(StorageTargetRow.description)).one_or_none()
            if row is None:
                raise StorageConflict(OVERTAKEN)
            record(
                session,
                caller,
                "storage_target.set",
                target=str(row_id),
                before=None if before is None else before.description,
                after=row.description,
            )

    def _update(self, row_id: int, was: TargetState, **values: Any) -> Update:
        of_row = update_rows(StorageTargetRow).where(StorageTargetRow.id == row_id, StorageTargetRow.state == was)
        return of_row.values(**values)

    # --- remove -------------------------------------------------------------------------------------------------

    def remove(self, caller: Caller) -> None:
        """Let archives stay with the provider again. Committed here first; a job configures a provider that is down.

        :raises StorageTargetNotFound: none is in force; :class:`StorageConflict`: the tenant may not, or another change
            is under way.
        """
        self._check_may_change(caller)
        with write() as session:
            self._check_no_change_is_under_way(session, caller.tenant)
            row = self._targets.find_in_force(session, caller.tenant)
            if row is None:
                raise StorageTargetNotFound
            session.execute(self._update(row.id, TargetState.ACTIVE, state=TargetState.REMOVED))
            record(session, caller, "storage_target.removed", target=str(row.id), before=row.description)
            claimed = [enqueue_claimed(session, SYNC_STORAGE, payload) for payload in self._syncs(caller.tenant)]
        with provider_deadline(REMOVAL_ATTEMPT_SECONDS):
            for job in claimed:
                self._jobs.run(job)

    # --- providers ----------------------------------------------------------------------------------------------

    def _syncs(self, tenant: str) -> list[dict[str, Any]]:
        return [
            {"tenant": tenant, "provider": provider.key}
            for provider in self._providers.with_capability(Capability.STORES_ARCHIVES)
            if provider.capabilities.storage_scope is StorageScope.ACCOUNT
        ]

    def _enqueue_sync(self, session: Session, tenant: str, *, delay_seconds: float = 0.0) -> None:
        for payload in self._syncs(tenant):
            enqueue(session, SYNC_STORAGE, payload, delay_seconds=delay_seconds)

    def sync(self, payload: Mapping[str, Any]) -> None:
        """The job: apply the target in force at a provider. Repeated if the target has changed meanwhile."""
        provider = self._providers.find(payload["provider"])
        if provider is None:
            return
        tenant = payload["tenant"]
        before = self._history(tenant)
        with read() as session:
            row = self._targets.find_in_force(session, tenant)
        destination = None
        if row is not None:
            destination = StorageDestination(row.kind, self._cipher.decrypt(tenant, row.configuration))
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


def _credentials(kind: type[StorageTarget]) -> dict[str, str]:
    """Return the service's own credentials for a kind, in the wire's spelling."""
    fields = kind.configuration_schema().fields
    values = vars(load(kind.Settings, settings_prefix(kind.key))) if kind.Settings else {}
    return {
        fields[name].data_key or name: value.reveal() if isinstance(value, Secret) else value
        for name, value in values.items()
    }
