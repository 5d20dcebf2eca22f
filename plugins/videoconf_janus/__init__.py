"""The Janus WebRTC server for videoconf: a provider that anyone can run."""

from __future__ import annotations

from collections.abc import Iterable

from videoconf import hookimpl
from videoconf.providers import Provider


@hookimpl
def videoconf_providers() -> Iterable[type[Provider]]:
    from videoconf_janus.provider import JanusProvider

    return [JanusProvider]
