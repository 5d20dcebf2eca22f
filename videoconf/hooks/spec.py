"""The hooks that a plugin may implement. They register classes; behaviour is methods on the classes.

Every hook collects: each plugin returns an iterable, and order means nothing. A new argument or a new hook does not
break a plugin that does not know it.
"""

from __future__ import annotations

from collections.abc import Iterable

import click
import pluggy

from videoconf.providers import Provider
from videoconf.storage import StorageTarget

hookspec = pluggy.HookspecMarker("videoconf")


@hookspec
def videoconf_providers() -> Iterable[type[Provider]]:
    """Give the provider classes of this plugin. Called once per application, at its start."""
    return ()


@hookspec
def videoconf_storage_targets() -> Iterable[type[StorageTarget]]:
    """Give the storage target classes of this plugin. Called once per application, at its start."""
    return ()


@hookspec
def videoconf_cli() -> Iterable[click.Command]:
    """Give commands for ``videoconf``. Called once per application; a command runs in the app's context.

    A plugin never sees Flask: before the core runs a command it puts a function under ``"videoconf.provider"`` into
    ``click.Context.meta``; called with a provider's key, it gives that provider's configured instance.
    """
    return ()
