"""The settings of the Vonage provider, for either of Vonage's two environments."""

from __future__ import annotations

from dataclasses import dataclass

from videoconf.errors import ConfigurationError
from videoconf.providers import Secret, setting


@dataclass(frozen=True)
class VonageSettings:
    """Credentials decide the environment: which settings are given, never what a secret looks like."""

    api_key: str = setting("OpenTok environment: the project's API key (digits).", default="")
    api_secret: Secret = setting("OpenTok environment: the project's API secret.", default=Secret(""))
    application_id: str = setting("Unified environment: the application's id (a UUID).", default="")
    private_key: Secret = setting("Unified environment: the application's private key, PEM text.", default=Secret(""))

    def __post_init__(self) -> None:
        opentok = (bool(self.api_key), bool(self.api_secret))
        unified = (bool(self.application_id), bool(self.private_key))
        if (any(opentok) and any(unified)) or not (all(opentok) or all(unified)):
            raise ConfigurationError(
                "Vonage needs the credentials of one environment: VIDEOCONF_VONAGE_API_KEY and "
                "VIDEOCONF_VONAGE_API_SECRET (OpenTok), or VIDEOCONF_VONAGE_APPLICATION_ID and "
                "VIDEOCONF_VONAGE_PRIVATE_KEY (unified). "
                "To try videoconf without an account, set VIDEOCONF_PROVIDERS=fake."
            )
