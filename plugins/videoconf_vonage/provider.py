"""The Vonage provider. So far only its settings are declared."""

from __future__ import annotations

from typing import ClassVar

from videoconf.providers import Provider
from videoconf_vonage.settings import VonageSettings


class VonageProvider(Provider):
    """Vonage Video."""

    key: ClassVar[str] = "vonage"
    label: ClassVar[str] = "Vonage Video"
    Settings = VonageSettings
