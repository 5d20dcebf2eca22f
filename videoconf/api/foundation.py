"""What the parts of the service stand on: settings, plugins, the providers that they bring, and what forbids serving.

Each is made when it is first used, and imported with it: see :mod:`videoconf.api.services`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videoconf.hooks import Plugins, Providers, Registry
    from videoconf.observability.tracing import Tracing
    from videoconf.providers import Clock, StorageDestination
    from videoconf.providers.clients import Clients
    from videoconf.providers.http import CallOutcome
    from videoconf.settings import Settings
    from videoconf.storage import EndpointGuard, StoragePort
    from videoconf.storage_targets.cipher import Cipher
    from videoconf.storage_targets.in_force import StorageTargets


class Foundation:
    """What the parts of one application stand on.

    :param plugins: those of the environment when absent.
    :param from_environment: whether the settings were read from there, whose other variables are then checked too.
    :param count_call: counts an HTTP call to a provider; None in a process whose metrics are not read.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        plugins: Plugins | None,
        *,
        from_environment: bool,
        count_call: Callable[[CallOutcome], None] | None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.clients: dict[str, Clients] = {}
        """The HTTP clients of each enabled provider, which :attr:`providers` makes."""
        self.closing = ExitStack()
        """Closes, at the end of the process, what was opened for the application, the last first."""
        self._plugins = plugins
        self._from_environment = from_environment
        self._count_call = count_call

    @cached_property
    def registry(self) -> Registry:
        """What the enabled plugins bring.

        :raises ConfigurationError: two plugins claim one key.
        """
        from videoconf.hooks import build_registry, load_plugins

        keys = (*self.settings.providers, *self.settings.storage_kinds)
        return build_registry(self._plugins or load_plugins(keys=keys))

    @cached_property
    def providers(self) -> Providers:
        """The enabled providers. A fault of one of them is among the faults of all."""
        from videoconf.hooks import enable_providers
        from videoconf.providers import ProviderContext
        from videoconf.providers.clients import Clients

        settings = self.settings
        downloads = self.guard.allowing(("*:*",))  # any public host; a private one where the operator names it

        def open_destination(destination: StorageDestination) -> StoragePort:
            return self.targets.open_destination(destination)

        def context_of(provider: str) -> ProviderContext:
            clients = Clients(provider, settings.provider_call_slots, self._observe, downloads, settings.proxy)
            self.clients[provider] = clients
            return ProviderContext(self.clock, clients, settings.development, open_destination)

        providers = enable_providers(self.registry, settings.providers, context_of)
        for provider in providers:
            self.closing.callback(provider.close)
        return providers

    def _observe(self, call: CallOutcome) -> None:
        """Count an HTTP call to a provider, and trace it."""
        if self._count_call is not None:
            self._count_call(call)
        if self.tracing is not None:
            self.tracing.call(call)

    @cached_property
    def faults(self) -> tuple[str, ...]:
        """What forbids serving, each fault with its remedy."""
        from videoconf.api.environment import environment_faults
        from videoconf.api.keys import auth_faults
        from videoconf.api.limit_faults import limit_faults
        from videoconf.observability.tracing import tracing_faults
        from videoconf.storage_targets.cipher import key_faults

        settings = self.settings
        return (
            *(environment_faults(self.registry, settings) if self._from_environment else ()),
            *auth_faults(settings),
            *key_faults(settings.encryption_keys),
            *limit_faults(settings),
            *tracing_faults(settings),
            *self.providers.faults,
        )

    @cached_property
    def tracing(self) -> Tracing | None:
        """Makes spans, where the settings ask for them and nothing is wrong with that."""
        if not self.settings.tracing:
            return None
        from videoconf.observability.tracing import Tracing, tracing_faults

        if tracing_faults(self.settings):
            return None
        tracing = Tracing()
        self.closing.callback(tracing.close)
        return tracing

    @cached_property
    def guard(self) -> EndpointGuard:
        from videoconf.storage import EndpointGuard

        settings = self.settings
        return EndpointGuard(settings.storage_hosts, development=settings.development, proxy=settings.proxy)

    @cached_property
    def cipher(self) -> Cipher:
        from videoconf.storage_targets.cipher import Cipher, key_faults

        keys = self.settings.encryption_keys
        return Cipher(() if key_faults(keys) else keys)

    @cached_property
    def targets(self) -> StorageTargets:
        from videoconf.storage import StorageContext
        from videoconf.storage.port import unobserved
        from videoconf.storage_targets.in_force import StorageTargets

        around = self.tracing.storage_call if self.tracing is not None else unobserved
        context = StorageContext(self.clock, self.guard)
        return StorageTargets(self.registry, self.settings, self.cipher, context, around)
