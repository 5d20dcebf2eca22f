"""The settings of the Janus provider. Most of them repeat what the Janus configuration says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from videoconf.errors import ConfigurationError
from videoconf.providers import Secret, setting

PREFIX = "VIDEOCONF_JANUS_"
MIN_SECRET_CHARACTERS = 16
SERVER_NAME = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class JanusSettings:
    """Read from ``VIDEOCONF_JANUS_…``."""

    server_name: str = setting(
        "`server_name` of the Janus configuration. Every event names it, and every session is stored with it."
    )
    admin_url: str = setting("URL of Janus's Admin API, as this service reaches it: `http://127.0.0.1:7088/admin`.")
    websocket_url: str = setting("URL of Janus's WebSocket, as browsers reach it: `wss://janus.example.com/`.")
    admin_secret: Secret = setting("`admin_secret` of the Janus configuration.")
    admin_key: Secret = setting("`admin_key` of the VideoRoom plugin's configuration: without it no room is created.")
    token_secret: Secret = setting("`token_auth_secret` of the Janus configuration, which signs the clients' tokens.")
    room_key: Secret = setting(
        "A key that only this service knows, of 16 characters or more. The secrets of rooms and the signatures of"
        " identities derive from it. With another key, the rooms that exist can no longer be ended or moderated."
    )
    event_user: str = setting("`backend_user` of the event handler's configuration.", default="janus")
    event_passwords: tuple[Secret, ...] = setting(
        "`backend_pwd` of the event handler's configuration; each is accepted, so list two during a rotation."
    )
    max_publishers: int = setting(
        "How many participants of one meeting may send at once.", default=50, minimum=1, maximum=10000
    )
    turn_urls: tuple[str, ...] = setting(
        "URLs of TURN servers that clients may use: `turn:turn.example.com:3478?transport=udp`.", default=()
    )
    turn_secret: Secret = setting(
        "The TURN servers' shared secret (coturn: `static-auth-secret`), which signs the clients' TURN passwords.",
        default=Secret(""),
    )

    def __post_init__(self) -> None:
        faults = []
        if not SERVER_NAME.fullmatch(self.server_name):
            faults.append(f"{PREFIX}SERVER_NAME: use 1 to 255 printable ASCII characters without spaces.")
        if not _is_url(self.admin_url, "http", "https"):
            faults.append(f"{PREFIX}ADMIN_URL: must be a URL like http://127.0.0.1:7088/admin.")
        if not _is_url(self.websocket_url, "ws", "wss"):
            faults.append(f"{PREFIX}WEBSOCKET_URL: must be a URL like wss://janus.example.com/.")
        secrets = {
            "ADMIN_SECRET": [self.admin_secret],
            "ADMIN_KEY": [self.admin_key],
            "TOKEN_SECRET": [self.token_secret],
            "ROOM_KEY": [self.room_key],
            "EVENT_PASSWORDS": self.event_passwords,
        }
        for name, values in secrets.items():
            if any(len(value.reveal()) < MIN_SECRET_CHARACTERS for value in values):
                faults.append(f"{PREFIX}{name}: {MIN_SECRET_CHARACTERS} characters or more are needed.")
        if not self.event_passwords:
            faults.append(f"{PREFIX}EVENT_PASSWORDS: without a password anyone could send events.")
        if ":" in self.event_user:
            faults.append(f"{PREFIX}EVENT_USER: must not contain a colon.")
        if bool(self.turn_urls) != bool(self.turn_secret):
            faults.append(f"{PREFIX}TURN_URLS and {PREFIX}TURN_SECRET go together.")
        if not all(url.startswith(("turn:", "turns:")) for url in self.turn_urls):
            faults.append(f"{PREFIX}TURN_URLS: each begins with turn: or turns:.")
        if faults:
            raise ConfigurationError(faults)


def _is_url(text: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(text)
        plain = parts.port != 0 and not (parts.query or parts.fragment or "@" in parts.netloc)
    except ValueError:  # for example, the port is not a number
        return False
    return parts.scheme in schemes and bool(parts.hostname) and plain
