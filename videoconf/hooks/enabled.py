"""What is enabled: providers, made once from their settings and shared by all threads, and storage kinds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from videoconf.configuration import load
from videoconf.errors import (
    ConfigurationError,
    ProviderAuthFailed,
    ProviderNotEnabled,
    ValidationFailed,
)
from videoconf.hooks.loader import within
from videoconf.hooks.registry import Registry, settings_prefix, undeclared_capabilities
from videoconf.providers import Capability, Provider, ProviderContext, ProviderPort
from videoconf.settings import Settings
from videoconf.spelling import proposal
from videoconf.storage import StorageTarget

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Providers:
    """Enabled providers by key, in the configured order; the first is the default."""

    by_key: dict[str, ProviderPort]
    faults: tuple[str, ...] = ()
    """What forbids serving: a listed provider that is missing, broken or not configured. Each with its remedy."""

    @property
    def default(self) -> ProviderPort:
        """The provider of meetings that name none.

        :raises ConfigurationError: none is enabled, which only a process that does not serve can meet.
        """
        for provider in self.by_key.values():
            return provider
        raise ConfigurationError(self.faults or "No provider is enabled.")

    def get(self, key: str) -> ProviderPort:
        """Return an enabled provider; a meeting's own may have been taken out of the settings since.

        :raises ProviderNotEnabled: it is not.
        """
        if (provider := self.find(key)) is None:
            raise ProviderNotEnabled(f"The provider {key!r} is not enabled: VIDEOCONF_PROVIDERS does not name it.")
        return provider

    def find(self, key: str) -> ProviderPort | None:
        """Return an enabled provider, or None."""
        return self.by_key.get(key)

    def choose(self, key: str | None) -> ProviderPort:
        """Return the provider that a caller asks for, or the default.

        :raises ValidationFailed: it is not enabled.
        """
        if key is None:
            return self.default
        if (provider := self.find(key)) is None:
            raise ValidationFailed(errors={"provider": [f"Must be one of: {', '.join(self.by_key)}."]})
        return provider

    def get_archiving(self, key: str, account: str) -> ProviderPort:
        """Return what records and keeps archives for a provider's account.

        :raises CapabilityUnsupported: the provider does no archiving by API.
        :raises ProviderNotEnabled: it is not.
        :raises ProviderAuthFailed: it is configured with another account, which would know nothing of the archive: its
            deletion there would seem to succeed.
        """
        provider = self.get(key)
        provider.require(Capability.ARCHIVING)
        if provider.account != account:
            raise ProviderAuthFailed("The account of this meeting is not the one that the provider is configured with.")
        return provider

    def with_capability(self, capability: Capability) -> list[ProviderPort]:
        """Return the enabled providers that have a capability."""
        return [provider for provider in self if provider.can(capability)]

    def __iter__(self) -> Iterator[ProviderPort]:
        return iter(self.by_key.values())


def enable_providers(
    registry: Registry, keys: tuple[str, ...], context_of: Callable[[str], ProviderContext]
) -> Providers:
    """Make the listed providers, each with a context of its own.

    A fault of one provider is collected, so that all faults are reported at once; a provider that hangs is abandoned.
    """
    by_key: dict[str, ProviderPort] = {}
    faults: list[str] = []
    for key in dict.fromkeys(keys):
        if key not in registry.providers:
            faults.append(_missing(registry, key))
            continue
        registered = registry.providers[key]
        try:
            by_key[key] = within(registry.load_seconds, partial(_make, registered.cls, key, context_of(key)))
        except ConfigurationError as error:
            faults += [f"{fault} (provider {key!r})" for fault in error.faults]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may call sys.exit
            logger.exception("the provider %r could not be created", key)
            given = f" (it has {registry.load_seconds:g} s)" if isinstance(error, TimeoutError) else ""
            faults.append(
                f"The provider {key!r} of the {registered.origin} cannot be made: {type(error).__name__}{given}."
                " The log has the trace. Correct or update the plugin, or take it out of VIDEOCONF_PROVIDERS."
            )
    if not keys:
        faults.append("VIDEOCONF_PROVIDERS names no provider.")
    return Providers(by_key, tuple(faults))


def _make(cls: type[Provider], key: str, context: ProviderContext) -> ProviderPort:
    provider: Any = cls.create(load(cls.Settings, settings_prefix(key)), context)
    if not isinstance(provider, Provider):
        raise TypeError(f"{cls.__name__}.create() gives {provider!r}, which is no Provider")
    if wrong := undeclared_capabilities(provider):
        raise ConfigurationError(f"The provider {key!r} declares and implements differently: {', '.join(wrong)}.")
    return ProviderPort(provider)


def _missing(registry: Registry, key: str) -> str:
    for failure in registry.failures:
        if failure.origin.name == key:
            return f"VIDEOCONF_PROVIDERS names {key!r}, whose {failure.origin} cannot be loaded: {failure.reason}"
    installed = ", ".join(sorted(registry.providers)) or "none"
    return (
        f"VIDEOCONF_PROVIDERS names {key!r}, which no installed plugin brings (installed: {installed})."
        f"{proposal(key, registry.providers)} Install its distribution, or take it out of the list."
    )


def offered_kinds(registry: Registry, settings: Settings) -> dict[str, type[StorageTarget]]:
    """Return the storage kinds that may be set, by key: the enabled ones, and those that come with enabled providers.

    The fake's kind is one of the latter: a deployment that enables neither must not be able to put archives there.
    """
    origins = {one.origin for key, one in registry.providers.items() if key in settings.providers}
    return {
        key: registered.cls
        for key, registered in registry.storage_targets.items()
        if key in settings.storage_kinds or registered.origin in origins
    }
