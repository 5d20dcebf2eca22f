"""The settings of the LiveKit provider."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from videoconf.errors import ConfigurationError
from videoconf.providers import Secret, is_integrity, setting

PREFIX = "VIDEOCONF_LIVEKIT_"
LEAST_SECRET_CHARACTERS = 32
"""LiveKit logs an error for a shorter one, and anyone who holds a join token can guess it offline."""
KEY_NAME = re.compile(r"[!-9;-~]{1,128}")
ROOM_PREFIX = re.compile(r"[A-Za-z0-9_.-]{0,32}")
ACCOUNT = re.compile(r"[!-~]{1,255}")
CLOUD = ".livekit.cloud"
SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


@dataclass(frozen=True)
class LiveKitSettings:
    """One LiveKit server or Cloud project, and the keys that it accepts."""

    url: str = setting("URL of the LiveKit server or Cloud project, such as `wss://my-project.livekit.cloud`.")
    api_key: str = setting("Name of the API key that signs our requests and join tokens.")
    api_secret: Secret = setting("Secret of the API key; 32 characters or more.")
    client_url: str = setting(
        "URL that clients connect to, where it differs from the URL that this service uses.", default=""
    )
    webhook_keys: tuple[Secret, ...] = setting(
        "Further API keys that sign webhooks, each as `name:secret`: the other key during a rotation, or the key of"
        " `webhook.api_key` where that is not the API key above.",
        default=(),
    )
    account: str = setting(
        "Name of the deployment in our database. Empty: the host of the URL. Set it to the former host before the"
        " server moves to another host, or meetings there belong to an unknown account.",
        default="",
    )
    room_prefix: str = setting(
        "Prefix of the names of our rooms. Webhooks about other rooms of the server are ignored.", default="videoconf-"
    )
    recording: bool = setting(
        "Whether rooms can be recorded: with LiveKit Cloud, or where an egress service runs beside the server.",
        default=False,
    )
    sdk_url: str = setting(
        "URL of `livekit-client.umd.js` of the npm package `livekit-client`, which the join page loads from there. Its"
        " server must allow other origins (CORS). Empty: the page has no client for LiveKit.",
        default="",
    )
    sdk_integrity: str = setting(
        "Hash of that file, `sha384-…`. Needed with the URL: browsers run no other file.", default=""
    )

    def __post_init__(self) -> None:
        faults = []
        if not _is_base_url(self.url):
            faults.append(f"{PREFIX}URL: it is ws://, wss://, http:// or https:// and a host, without user and query.")
        if self.client_url and not _is_base_url(self.client_url):
            faults.append(f"{PREFIX}CLIENT_URL: it is ws:// or wss:// and a host, without user and query.")
        if not KEY_NAME.fullmatch(self.api_key):
            faults.append(f"{PREFIX}API_KEY: 1 to 128 visible ASCII characters without a colon.")
        if not self.api_secret:
            faults.append(f"{PREFIX}API_SECRET: it is empty.")
        if any(not KEY_NAME.fullmatch(name) or not secret for name, secret in map(_split, self.webhook_keys)):
            faults.append(f"{PREFIX}WEBHOOK_KEYS: each is the name of an API key, a colon and its secret.")
        if self.account and not ACCOUNT.fullmatch(self.account):
            faults.append(f"{PREFIX}ACCOUNT: 1 to 255 visible ASCII characters.")
        if not ROOM_PREFIX.fullmatch(self.room_prefix):
            faults.append(f"{PREFIX}ROOM_PREFIX: at most 32 ASCII letters, digits, '_', '.' and '-'.")
        if self.sdk_url and not (_is_base_url(self.sdk_url) and self.sdk_url.startswith(("https://", "http://"))):
            faults.append(f"{PREFIX}SDK_URL: it is the http:// or https:// URL of a script, without user and query.")
        if bool(self.sdk_url) != bool(self.sdk_integrity):
            faults.append(f"{PREFIX}SDK_URL, {PREFIX}SDK_INTEGRITY: each needs the other.")
        if self.sdk_integrity and not is_integrity(self.sdk_integrity):
            faults.append(f"{PREFIX}SDK_INTEGRITY: it is sha256-, sha384- or sha512- and the base64 of the hash.")
        if faults:
            raise ConfigurationError(faults)

    @cached_property
    def http_url(self) -> str:
        """Base URL of the server API."""
        scheme, _, rest = self.url.rstrip("/").partition("://")
        return f"{SCHEMES[scheme]}://{rest}"

    @cached_property
    def websocket_url(self) -> str:
        """URL that clients connect to."""
        scheme, _, rest = (self.client_url or self.url).rstrip("/").partition("://")
        return f"{'wss' if scheme in ('wss', 'https') else 'ws'}://{rest}"

    @cached_property
    def browser_sources(self) -> tuple[str, ...]:
        """Where a browser connects: the server, and with LiveKit Cloud the regions that it names."""
        parts = urlsplit(self.websocket_url)
        hosts = [parts.netloc]
        if str(parts.hostname).endswith(CLOUD):
            hosts.append(f"*{CLOUD}")
        schemes = ("wss", "https") if parts.scheme == "wss" else ("ws", "http")
        return tuple(f"{scheme}://{host}" for host in hosts for scheme in schemes)

    @cached_property
    def account_name(self) -> str:
        """Name of the deployment, which outlives each key."""
        return self.account or str(urlsplit(self.url).hostname)

    @cached_property
    def signers(self) -> dict[str, tuple[Secret, ...]]:
        """Secrets that may sign webhooks, by the name of their key."""
        found: dict[str, tuple[Secret, ...]] = {self.api_key: (self.api_secret,)}
        for name, secret in map(_split, self.webhook_keys):
            found[name] = (*found.get(name, ()), Secret(secret))
        return found

    @property
    def has_short_secret(self) -> bool:
        """Whether a secret is shorter than LiveKit asks for, as those of its development mode are."""
        secrets = [secret for of_key in self.signers.values() for secret in of_key]
        return any(len(secret.reveal()) < LEAST_SECRET_CHARACTERS for secret in secrets)


def _split(pair: Secret) -> tuple[str, str]:
    name, _, secret = pair.reveal().partition(":")
    return name, secret


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        plain = parts.port != 0 and not (parts.query or parts.fragment or "@" in parts.netloc)
    except ValueError:  # the port is not a number, for example
        return False
    return parts.scheme in SCHEMES and bool(parts.hostname) and plain and text.isascii() and text.isprintable()
