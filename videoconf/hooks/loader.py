"""Find installed plugins by their entry points, and survive those that are broken."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import TypeVar

import pluggy

from videoconf.containment import words_of
from videoconf.hooks import spec

logger = logging.getLogger(__name__)

GROUP = "videoconf"
LOAD_SECONDS = 30.0
"""How long one plugin may take to be imported, for each of its hooks, and to make its provider."""

T = TypeVar("T")


@dataclass(frozen=True)
class Origin:
    """Where a plugin comes from, for messages."""

    name: str
    """Name of the entry point: the key of what the plugin brings, so that it is imported where the key is enabled."""
    distribution: str

    def __str__(self) -> str:
        return f"plugin {self.name!r} of {self.distribution}"


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be loaded."""

    origin: Origin
    reason: str


@dataclass(frozen=True)
class Plugins:
    """What was loaded: one plugin manager per application, never a global one."""

    manager: pluggy.PluginManager
    origins: dict[str, Origin]
    failures: tuple[Failure, ...]
    load_seconds: float = LOAD_SECONDS
    names: frozenset[str] = frozenset()
    """Names of all entry points, imported or not."""
    skipped: tuple[Origin, ...] = ()
    """Plugins that are installed and were not imported, because no enabled key is the name of their entry point."""


def load_plugins(
    points: Iterable[EntryPoint] | None = None,
    *,
    keys: Collection[str] | None = None,
    load_seconds: float = LOAD_SECONDS,
) -> Plugins:
    """Load the plugins of the environment, each on its own.

    pluggy's own loader stops at the first plugin that raises; one broken plugin must not take the others along. What
    a plugin raises while it is imported is contained whatever it is (``SystemExit`` included) and kept as a failure,
    and so is one that takes too long.

    :param keys: of providers and storage kinds: import only the plugins whose entry points have these names. None:
        every plugin, for commands that describe what is installed. Where a key is not the name of an entry point, every
        plugin is imported too, until release 0.3: one may bring the key although its entry point has another name.
    """
    found = sorted(points if points is not None else entry_points(group=GROUP), key=lambda p: (p.name, p.value))
    names = frozenset(point.name for point in found)
    wanted = names if keys is None or not names.issuperset(keys) else frozenset(keys)
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(spec)
    origins: dict[str, Origin] = {}
    failures: list[Failure] = []
    skipped: list[Origin] = []
    for point in found:
        origin = Origin(point.name, _distribution(point))
        if point.name not in wanted:
            skipped.append(origin)
            continue
        try:
            plugin = within(load_seconds, point.load)
            if manager.is_registered(plugin):
                continue  # it brings several keys, and has an entry point for each
            manager.register(plugin, name=point.name)
            manager.check_pending()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin's import may call sys.exit
            if manager.has_plugin(point.name):
                manager.unregister(name=point.name)
            reason = f"{type(error).__name__}: {words_of(error)}"
            failures.append(Failure(origin, reason))
            logger.warning("%s cannot be loaded and is left out: %s", origin, reason)
        else:
            origins[point.name] = origin
    return Plugins(manager, origins, tuple(failures), load_seconds, names, tuple(skipped))


def within(seconds: float, call: Callable[[], T]) -> T:
    """Call in a thread, so that one that hangs is left behind instead of holding up everybody.

    :raises TimeoutError: it has not returned in time. Whatever it raises comes out here.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except KeyboardInterrupt as error:  # the plugin's own: signals reach the main thread alone
            errors.append(RuntimeError(repr(error)))
        except BaseException as error:  # SystemExit too: in a thread no one would hear of it
            errors.append(error)

    thread = threading.Thread(target=run, name="videoconf-plugin", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"it takes longer than {seconds:g} s")
    return results[0]


def _distribution(point: EntryPoint) -> str:
    return _name_and_version(point.dist) if point.dist else point.value


@cache  # one distribution brings several plugins, and its metadata are parsed each time that they are asked for
def _name_and_version(distribution: Distribution) -> str:
    metadata = distribution.metadata
    return f"{metadata['Name']} {metadata['Version']}"
