"""The settings of the Vonage provider, for either of Vonage's two environments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from videoconf.errors import ConfigurationError
from videoconf.providers import Secret, is_integrity, setting

PREFIX = "VIDEOCONF_VONAGE_"
API_KEY = re.compile(r"[0-9]{1,20}")
APPLICATION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
MIN_WEBHOOK_TOKEN_CHARACTERS = 16
OWN_MACHINE = ("localhost", "127.0.0.1", "::1")
MIN_SIGNATURE_SECRET_CHARACTERS = 16

NEEDS_CREDENTIALS = (
    f"Vonage needs the credentials of one environment: {PREFIX}API_KEY and {PREFIX}API_SECRET (OpenTok), or "
    f"{PREFIX}APPLICATION_ID and {PREFIX}PRIVATE_KEY (unified). "
    "To try videoconf without an account, set VIDEOCONF_PROVIDERS=fake."
)


@dataclass(frozen=True)
class VonageSettings:
    """Credentials decide the environment: which settings are given, never what a secret looks like."""

    api_key: str = setting("OpenTok environment: the project's API key (digits).", default="")
    api_secret: Secret = setting("OpenTok environment: the project's API secret.", default=Secret(""))
    application_id: str = setting("Unified environment: the application's id (a UUID).", default="")
    private_key: Secret = setting(
        "Unified environment: the application's private key, as PEM text or as the path of a PEM file.",
        default=Secret(""),
    )
    api_url: str = setting("Base URL of Vonage's REST API. Empty: that of the environment.", default="")
    signature_secrets: tuple[Secret, ...] = setting(
        "Secrets with which Vonage signs its callbacks; each is accepted, so that every callback URL may have its own"
        " and there are two during a rotation. 16 characters are the least, 32 or more are better.",
        default=(),
    )
    signature_max_age_seconds: int = setting(
        "How old the signature of a callback may be. Vonage repeats a callback for 24 hours and does not say whether it"
        " signs it again: with less, events during an outage of yours may be refused afterwards.",
        default=24 * 3600 + 300,
        minimum=60,
        maximum=7 * 24 * 3600,
    )
    payload_hash: str = setting(
        "What the hash in a callback's signature covers: `raw`, the body's bytes as they came, or `compact`, the body"
        " without whitespace. Vonage describes both, and sends bodies in which they are the same.",
        default="raw",
        choices=("raw", "compact"),
    )
    webhook_token: Secret = setting(
        "For callbacks that Vonage does not sign: a secret of 16 characters or more that the registered callback URLs"
        " end with, as `?token=…`.",
        default=Secret(""),
    )

    sdk_url: str = setting(
        "URL of Vonage's JavaScript SDK, such as `https://static.opentok.com/v2/js/opentok.min.js`, which the join page"
        " loads from there. Empty: the page has no client for Vonage.",
        default="",
    )
    sdk_integrity: str = setting(
        "Hash of that file, `sha384-…`: browsers run no other. Only for a URL whose file never changes.", default=""
    )

    def __post_init__(self) -> None:
        opentok = (bool(self.api_key), bool(self.api_secret))
        unified = (bool(self.application_id), bool(self.private_key))
        if (any(opentok) and any(unified)) or not (all(opentok) or all(unified)):
            raise ConfigurationError(NEEDS_CREDENTIALS)
        faults = []
        if self.api_key and not API_KEY.fullmatch(self.api_key):
            faults.append(f"{PREFIX}API_KEY: an API key consists of digits.")
        if self.application_id and not APPLICATION_ID.fullmatch(self.application_id):
            faults.append(f"{PREFIX}APPLICATION_ID: an application's id is a UUID.")
        if self.api_url and not _is_base_url(self.api_url):
            faults.append(f"{PREFIX}API_URL: it is http:// or https:// and a host, without user, query or fragment.")
        if self.sdk_url and not _is_base_url(self.sdk_url):
            faults.append(f"{PREFIX}SDK_URL: it is the URL of a script, without user, query or fragment.")
        if self.sdk_integrity and not is_integrity(self.sdk_integrity):
            faults.append(f"{PREFIX}SDK_INTEGRITY: it is sha256-, sha384- or sha512- and the base64 of the hash.")
        if self.webhook_token and len(self.webhook_token.reveal()) < MIN_WEBHOOK_TOKEN_CHARACTERS:
            faults.append(f"{PREFIX}WEBHOOK_TOKEN: {MIN_WEBHOOK_TOKEN_CHARACTERS} characters or more are needed.")
        if any(len(secret.reveal()) < MIN_SIGNATURE_SECRET_CHARACTERS for secret in self.signature_secrets):
            faults.append(
                f"{PREFIX}SIGNATURE_SECRETS: each has {MIN_SIGNATURE_SECRET_CHARACTERS} characters or more. Whoever has"
                " one signed callback can find a shorter one by trying. Change it at Vonage too."
            )
        if faults:
            raise ConfigurationError(faults)


def check_api_url(settings: VonageSettings, *, development: bool) -> None:
    """Refuse plain HTTP: it would show the credentials to everybody on the way. To this machine it is accepted.

    :raises ConfigurationError: the URL begins with ``http://``, and this is not a development run.
    """
    parts = urlsplit(settings.api_url)
    if parts.scheme == "http" and parts.hostname not in OWN_MACHINE and not development:
        raise ConfigurationError(
            f"{PREFIX}API_URL: it must begin with https://, because http:// shows the credentials on the way."
        )


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        plain = parts.port != 0 and not (parts.query or parts.fragment or "@" in parts.netloc)
    except ValueError:  # for example, the port is not a number
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain
