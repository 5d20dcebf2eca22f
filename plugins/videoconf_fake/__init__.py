"""A made-up video vendor for tests, demonstrations and development: every capability, no network, no account.

Nothing is imported before a hook is called, and the control surface only when one of its commands runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from videoconf import hookimpl

if TYPE_CHECKING:
    import click

    from videoconf.providers import Provider
    from videoconf.storage import StorageTarget


@hookimpl
def videoconf_providers() -> Iterable[type[Provider]]:
    from videoconf_fake.provider import FakeProvider

    return [FakeProvider]


@hookimpl
def videoconf_storage_targets() -> Iterable[type[StorageTarget]]:
    from videoconf_fake.memory import MemoryTarget

    return [MemoryTarget]


@hookimpl
def videoconf_cli() -> Iterable[click.Command]:
    from videoconf_fake.commands import fake

    return [fake]
