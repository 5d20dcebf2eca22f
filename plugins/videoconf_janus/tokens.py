"""What this service signs for Janus's clients: tokens, statements of identity, TURN passwords.

Janus checks two tokens: the session token with every request, and the room token when a participant joins. Neither
names a person, and Janus passes on any display name. So each client also gets a signed statement of who it is, which it
gives to Janus as ``opaque_id``; Janus repeats it in its events and shows it to no other participant.
"""

from __future__ import annotations

import hmac
import json
import secrets
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha1
from typing import Any

from videoconf.providers import Secret, TokenRequest
from videoconf_janus.admin import PLUGIN

SESSION_LIFE = timedelta(hours=24)
"""How long a participant may stay after the latest moment to join. Janus refuses every request after it."""
MARK = "vc1"
LONGEST_STATEMENT = 16 << 10


@dataclass(frozen=True)
class Identity:
    """Who a client is, as this service signed it."""

    id_prefix: str
    """Begins the participant ids of this client, and of no other: ids are public, and clients choose them."""
    attendee: str | None
    name: str | None


def derived_key(room_key: Secret, label: str) -> str:
    """Derive a key for one purpose."""
    return hmac.new(room_key.reveal().encode(), label.encode(), "sha256").hexdigest()


def sign_token(realm: str, *descriptors: str, expires_at: int, secret: Secret) -> str:
    """Sign a token as Janus checks it. It is still valid in the second ``expires_at``."""
    signed = ",".join([str(expires_at), realm, *descriptors])
    signature = hmac.new(secret.reveal().encode(), signed.encode(), sha1).digest()
    return f"{signed}:{b64encode(signature).decode()}"


def session_token(room: str, expires_at: int, secret: Secret) -> str:
    """Sign the token that a client sends with every request. Janus does not read the room in it."""
    return sign_token("janus", PLUGIN, f"room={room}", expires_at=expires_at, secret=secret)


def room_token(room: str, expires_at: int, secret: Secret) -> str:
    """Sign the token with which a client joins a room."""
    return sign_token(PLUGIN, f"room={room}", expires_at=expires_at, secret=secret)


def new_id_prefix() -> str:
    """Return a prefix for participant ids that no other client gets."""
    return secrets.token_hex(8)


def sign_identity(id_prefix: str, room: str, request: TokenRequest, expires_at: int, key: str) -> str:
    """Sign who a client is. The characters are those of base64url and full stops."""
    members: dict[str, Any] = {
        "id": id_prefix,
        "room": room,
        "exp": expires_at,
        "attendee": request.attendee,
        "name": request.name,
        "data": request.data if request.data != request.attendee else None,
    }
    given = {name: value for name, value in members.items() if value is not None}
    payload = _encoded(json.dumps(given, ensure_ascii=False, separators=(",", ":")).encode())
    return f"{MARK}.{payload}.{_signature(payload, key)}"


def read_identity(statement: object, room: str, at: datetime, key: str) -> Identity | None:
    """Return who a client is; None if the statement is not ours, is for another room, or had expired by ``at``."""
    if not isinstance(statement, str) or len(statement) > LONGEST_STATEMENT or not statement.isascii():
        return None
    mark, _, signed = statement.partition(".")
    payload, _, signature = signed.partition(".")
    if mark != MARK or not hmac.compare_digest(signature.encode(), _signature(payload, key).encode()):
        return None
    members = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if members["room"] != room or at.timestamp() > members["exp"]:
        return None
    return Identity(members["id"], members.get("attendee"), members.get("name"))


def turn_password(username: str, secret: Secret) -> str:
    """Return the password of a TURN username that begins with its expiry, as coturn's REST scheme has it."""
    return b64encode(hmac.new(secret.reveal().encode(), username.encode(), sha1).digest()).decode()


def _signature(payload: str, key: str) -> str:
    return _encoded(hmac.new(key.encode(), payload.encode(), "sha256").digest())


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
