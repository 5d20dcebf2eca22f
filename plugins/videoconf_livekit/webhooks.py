"""LiveKit's webhooks: where they come from, and what they say. Both are pure functions of the request."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import jwt

from videoconf.errors import WebhookRejected
from videoconf.providers import EventKind, ProviderEvent, Secret, WebhookRequest
from videoconf_livekit.egress import find_archive
from videoconf_livekit.participants import find_joined, find_person
from videoconf_livekit.reading import find_seconds, find_text
from videoconf_livekit.tokens import ALGORITHM

LEEWAY_SECONDS = 60
"""How far LiveKit's clock and ours may differ; the leeway of LiveKit's own receivers."""
LONGEST_HEADER = 8192
RESOLUTION = timedelta(seconds=1)
"""Resolution of the times of events."""

KINDS = {
    "participant_joined": EventKind.JOINED,
    "participant_left": EventKind.LEFT,
    "track_published": EventKind.ACTIVITY,
    "track_unpublished": EventKind.ACTIVITY,
    "room_finished": EventKind.SESSION_CLOSED,
    "egress_started": EventKind.ARCHIVE,
    "egress_updated": EventKind.ARCHIVE,
    "egress_ended": EventKind.ARCHIVE,
}
"""``participant_connection_aborted`` is missing: that participant never got into the room."""

_SECRETS = re.compile(rb'("(?:turnPassword|turn_password)"\s*:\s*")(?:[^"\\]|\\.)*')
_QUERIES = re.compile(rb'("(?:location|manifestLocation|manifest_location)"\s*:\s*"[^"?\\]*)\?(?:[^"\\]|\\.)*')

# --- where it comes from --------------------------------------------------------------------------------------------


def verify(request: WebhookRequest, signers: Mapping[str, Sequence[Secret]]) -> None:
    """Check a webhook: a JWT in ``Authorization``, without a scheme, that holds a digest of the body.

    Join tokens are signed with the same key, and every client has one. They hold no digest.

    :param signers: secrets by the name of the API key.
    :raises WebhookRejected: for anything wrong; a malformed token raises whatever its parsers do.
    """
    token = request.headers.get("authorization", "")
    if not token or len(token) > LONGEST_HEADER:
        raise WebhookRejected("The webhook is not signed.")
    claims = _read_claims(token, signers)
    ends, received_at = claims["exp"], request.received_at.timestamp()
    if not _is_number(ends) or received_at >= ends + LEEWAY_SECONDS:
        raise WebhookRejected("The signature has expired.")
    for begins in (claims[name] for name in ("nbf", "iat") if name in claims):
        if not _is_number(begins) or received_at < begins - LEEWAY_SECONDS:
            raise WebhookRejected("The signature is from the future.")
    expected = base64.b64encode(hashlib.sha256(request.body).digest())
    if not hmac.compare_digest(expected, str(claims["sha256"]).encode()):
        raise WebhookRejected("The signature is for another body.")


def _read_claims(token: str, signers: Mapping[str, Sequence[Secret]]) -> dict[str, Any]:
    # PyJWT knows only the wall clock; the caller compares the times with when the request came in.
    options: Any = {f"verify_{name}": False for name in ("exp", "iat", "nbf", "aud", "sub", "jti")}
    options["require"] = ["iss", "exp", "sha256"]
    issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    for secret in signers.get(issuer, ()) if isinstance(issuer, str) else ():
        try:
            return jwt.decode(token, secret.reveal(), algorithms=[ALGORITHM], options=options)
        except jwt.InvalidSignatureError:
            continue
    raise WebhookRejected("The signature was made with another key.")


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


# --- what it says ---------------------------------------------------------------------------------------------------


def parse(request: WebhookRequest, room_prefix: str) -> list[ProviderEvent]:
    """Return what a webhook says.

    :param room_prefix: what the names of our rooms begin with.
    :raises ValueError: the body is not one of LiveKit's (any other error of reading it means the same).
    """
    document = json.loads(request.body)
    if not isinstance(document, dict):
        raise TypeError("the body is not an object")
    key = find_text(document, "id") or hashlib.sha256(request.body).hexdigest()
    return [_find_event(document, key, room_prefix) or ProviderEvent(EventKind.IGNORED, key)]


def _find_event(document: Mapping[str, Any], key: str, room_prefix: str) -> ProviderEvent | None:
    name = find_text(document, "event")
    kind = KINDS.get(name or "")
    if kind is None:
        return None
    if kind is EventKind.ARCHIVE:
        archive = find_archive(document["egressInfo"])
        if archive is None or not archive.session_id.startswith(room_prefix):
            return None
        return ProviderEvent(kind, key, session_id=archive.session_id, archive=archive)
    room = find_text(document.get("room"), "name")
    if room is None or not room.startswith(room_prefix):  # servers 1.9.0 sent track events without a room
        return None
    at = find_seconds(document, "created_at")
    if at is None:
        raise ValueError("the event has no time")
    if kind is EventKind.SESSION_CLOSED:
        # Times have whole seconds. A participant who enters the next room of this name within the second has not left.
        return ProviderEvent(kind, key, session_id=room, at=at - RESOLUTION)
    participant = document["participant"]
    bearer = find_person(participant)
    if bearer is None:
        return None
    reason = find_text(participant, "disconnect_reason")
    connection_id = find_text(participant, "sid")
    if connection_id is None:
        raise ValueError("the participant has no sid")
    return ProviderEvent(
        kind,
        key,
        session_id=room,
        connection_id=connection_id,
        attendee=bearer.attendee,
        name=find_text(participant, "name"),
        at=at,
        connected_at=find_joined(participant),
        reason=reason.lower() if reason is not None and kind is EventKind.LEFT else None,
    )


def storable_body(body: bytes) -> bytes:
    """Return a body without the room's TURN password and without the signatures of presigned URLs."""
    return _QUERIES.sub(rb"\1", _SECRETS.sub(rb"\1", body))
