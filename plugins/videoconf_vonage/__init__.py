"""Vonage Video for videoconf."""

from __future__ import annotations

from collections.abc import Iterable

from videoconf import hookimpl
from videoconf.providers import Provider


@hookimpl
def videoconf_providers() -> Iterable[type[Provider]]:
    from videoconf_vonage.provider import VonageProvider

    return [VonageProvider]
