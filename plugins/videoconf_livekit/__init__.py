"""LiveKit for videoconf: a self-hosted server, or LiveKit Cloud."""

from __future__ import annotations

from collections.abc import Iterable

from videoconf import hookimpl
from videoconf.providers import Provider


@hookimpl
def videoconf_providers() -> Iterable[type[Provider]]:
    from videoconf_livekit.provider import LiveKitProvider

    return [LiveKitProvider]
