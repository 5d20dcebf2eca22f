"""JWTs signed with the API key: one for each of our requests, and one for each person who joins."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jwt

from videoconf.errors import ValidationFailed
from videoconf.providers import Role, Secret

ALGORITHM = "HS256"
REQUEST_SECONDS = 600
"""Life of the token of one request. LiveKit allows clocks to differ by 60 s."""
LONGEST_TOKEN = 7000
"""Characters of a join token. It travels in the URL of a WebSocket, and proxies refuse URLs above 8 KiB."""

SENDING = {
    Role.PUBLISHER: True,
    Role.MODERATOR: True,  # moderates by our API: the grant `roomAdmin` would also let a browser list and rename others
    Role.SUBSCRIBER: False,
}


class Signer:
    """Signs with one API key. Thread-safe."""

    def __init__(self, api_key: str, secret: Secret) -> None:
        self._api_key = api_key
        self._secret = secret

    def headers(self, grants: Mapping[str, Any]) -> dict[str, str]:
        """Return the header that authorizes one request, by the wall clock, which the server compares it with."""
        now = int(time.time())
        claims = {"iss": self._api_key, "nbf": now, "exp": now + REQUEST_SECONDS, "video": dict(grants)}
        return {"Authorization": f"Bearer {self._sign(claims)}"}

    def join_token(
        self,
        *,
        room: str,
        identity: str,
        role: Role,
        not_before: datetime,
        expires_at: datetime,
        name: str | None,
        metadata: str | None,
        attributes: Mapping[str, str],
        room_config: Mapping[str, Any],
    ) -> str:
        """Sign the token with which one person joins a room.

        :param room_config: how the room is made if this join makes it. Clients can read it.
        :raises ValidationFailed: it would be too long to travel in a URL.
        """
        sends = SENDING[role]
        claims: dict[str, Any] = {
            "iss": self._api_key,
            "sub": identity,
            "nbf": int(not_before.timestamp()),
            "exp": int(expires_at.timestamp()),
            # Each is written, since LiveKit takes an absent one for true.
            "video": {
                "roomJoin": True,
                "room": room,
                "canPublish": sends,
                "canPublishData": sends,
                "canSubscribe": True,
            },
        }
        given = {"name": name, "metadata": metadata, "attributes": dict(attributes), "roomConfig": dict(room_config)}
        token = self._sign(claims | {member: value for member, value in given.items() if value})
        if len(token) > LONGEST_TOKEN:
            message = f"Attendee, name and data make a token of {len(token)} characters; the limit is {LONGEST_TOKEN}."
            raise ValidationFailed(errors={"data": [message]})
        return token

    def _sign(self, claims: Mapping[str, Any]) -> str:
        # jwt.encode() would escape each character beyond ASCII, at up to twelve bytes for one.
        payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode()
        return jwt.PyJWS().encode(payload, self._secret.reveal(), ALGORITHM)
