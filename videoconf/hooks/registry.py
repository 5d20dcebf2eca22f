"""What the plugins have registered, by key, each with its origin."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Generic, TypeVar

import click

from videoconf.configuration import PREFIX, Declared, declared
from videoconf.containment import words_of
from videoconf.errors import ConfigurationError
from videoconf.hooks.loader import LOAD_SECONDS, Failure, Origin, Plugins, within
from videoconf.providers import INTERFACES, Provider
from videoconf.providers.base import CONTRACT_VERSION as PROVIDER_CONTRACT
from videoconf.storage import StorageTarget
from videoconf.storage.base import CONTRACT_VERSION as STORAGE_CONTRACT

logger = logging.getLogger(__name__)

T = TypeVar("T")

KEY = re.compile(r"[a-z][a-z0-9]{1,31}")


@dataclass(frozen=True)
class Registered(Generic[T]):
    """A class that a plugin brought."""

    cls: type[T]
    origin: Origin


@dataclass(frozen=True)
class Registry:
    """All that was imported, enabled or not."""

    providers: dict[str, Registered[Provider]]
    storage_targets: dict[str, Registered[StorageTarget]]
    commands: tuple[click.Command, ...]
    failures: tuple[Failure, ...]
    load_seconds: float = LOAD_SECONDS
    names: frozenset[str] = frozenset()
    """Names of the installed entry points, imported or not."""
    skipped: tuple[Origin, ...] = ()
    """Plugins that are installed and were not imported."""

    @property
    def configurable(self) -> dict[str, Registered[Any]]:
        """What declares settings, by key: every provider, and storage targets that take credentials from there."""
        targets = {key: one for key, one in self.storage_targets.items() if one.cls.Settings is not None}
        return {**self.providers, **targets}

    def settings_of(self, key: str) -> list[Declared]:
        """List the settings that an installed provider or storage target declares."""
        return declared(self.configurable[key].cls.Settings, settings_prefix(key))


def settings_prefix(key: str) -> str:
    """Return what the variables of a provider begin with."""
    return f"{PREFIX}{key.upper()}_"


def build_registry(plugins: Plugins) -> Registry:
    """Ask every plugin for what it brings.

    A plugin whose hook raises, or that registers something invalid, is left out completely and listed as a failure.

    :raises ConfigurationError: two plugins claim one key or wire name. Neither is preferred: which one would depend on
        the machine.
    """
    failures = list(plugins.failures)
    providers: dict[str, Registered[Provider]] = {}
    storage_targets: dict[str, Registered[StorageTarget]] = {}
    commands: list[click.Command] = []
    for name, origin in plugins.origins.items():
        try:
            new_providers, new_targets, new_commands = within(plugins.load_seconds, partial(_ask, plugins, name))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything, and its hook may import what calls sys.exit
            reason = f"{type(error).__name__}: {words_of(error)}"
            failures.append(Failure(origin, reason))
            logger.warning("%s is left out, because it registers something invalid: %s", origin, reason)
            continue
        _add(providers, new_providers, origin, "key")
        _add(storage_targets, new_targets, origin, "key", "wire_name")
        commands += new_commands
    return Registry(
        providers,
        storage_targets,
        tuple(commands),
        tuple(failures),
        plugins.load_seconds,
        plugins.names,
        plugins.skipped,
    )


def _ask(plugins: Plugins, name: str) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the providers, the storage targets and the commands of one plugin."""
    return (
        _collect(plugins, name, "videoconf_providers", _check_provider),
        _collect(plugins, name, "videoconf_storage_targets", _check_storage_target),
        _collect(plugins, name, "videoconf_cli", _check_command),
    )


def _collect(plugins: Plugins, name: str, hook: str, check: Callable[[Any], None]) -> list[Any]:
    """Call one hook of one plugin only, so that what comes back, and what goes wrong, has a name."""
    others = [plugin for other, plugin in plugins.manager.list_name_plugin() if other != name]
    caller = plugins.manager.subset_hook_caller(hook, remove_plugins=others)
    found = [item for items in caller() for item in items]
    for item in found:
        check(item)  # makes the plugin's schemas, which is code of the plugin's
    return found


def _add(registered: dict[str, Registered[T]], classes: Iterable[Any], origin: Origin, *unique: str) -> None:
    for cls in classes:
        for name, other in product(unique, registered.values()):
            if (claimed := getattr(cls, name)) == getattr(other.cls, name):
                raise ConfigurationError(
                    f"The {name} {claimed!r} is claimed by {other.origin} and by {origin}. Uninstall one."
                )
        registered[cls.key] = Registered(cls, origin)


def _check_key(cls: type[Any], contract: int) -> None:
    if not KEY.fullmatch(getattr(cls, "key", "")):
        raise TypeError(f"{cls.__name__}.key must match {KEY.pattern}")
    if cls.contract_version != contract:
        raise TypeError(
            f"{cls.__name__} is written for version {cls.contract_version} of the interface, not {contract}"
        )
    if not isinstance(getattr(cls, "label", None), str):
        raise TypeError(f"{cls.__name__}.label must be a text")


def _check_provider(cls: type[Provider]) -> None:
    if not (isinstance(cls, type) and issubclass(cls, Provider)):
        raise TypeError(f"{cls!r} is no Provider class")
    _check_key(cls, PROVIDER_CONTRACT)
    declared(cls.Settings, settings_prefix(cls.key))  # read for every installed provider, enabled or not


def _check_storage_target(cls: type[StorageTarget]) -> None:
    if not (isinstance(cls, type) and issubclass(cls, StorageTarget)):
        raise TypeError(f"{cls!r} is no StorageTarget class")
    _check_key(cls, STORAGE_CONTRACT)
    if not re.fullmatch(r"[\w.-]+", str(getattr(cls, "wire_name", "")), re.ASCII):  # it names a component of OpenAPI
        raise TypeError(f"{cls.__name__}.wire_name must be letters, digits, '.', '_' and '-'")
    if not (cls.secret_fields | cls.masked_fields) <= cls.configuration_schema(partial=()).fields.keys():
        raise TypeError(f"{cls.__name__} names secret fields that its configuration does not have")


def _check_command(command: click.Command) -> None:
    if not isinstance(command, click.Command):
        raise TypeError(f"{command!r} is not a command")


def undeclared_capabilities(provider: Provider) -> list[str]:
    """Name the capabilities that are declared and not implemented, or implemented and not declared."""
    return [
        capability.value
        for capability, interface in INTERFACES.items()
        if (capability in provider.capabilities) != isinstance(provider, interface)
    ]
