"""Janus's events: where they come from, and what they say. Both are pure functions of the request.

Janus sends one event or an array of them. Events about a client's own requests carry its handle and its ``opaque_id``;
``leaving``, ``kicked``, ``unpublished``, ``moderated`` and ``destroyed`` carry the room and the participant id alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from videoconf.errors import WebhookRejected
from videoconf.providers import EventKind, ProviderEvent, Secret, StreamState, WebhookRequest
from videoconf_janus.admin import PLUGIN
from videoconf_janus.tokens import read_identity

PLUGIN_EVENT = 64
KINDS = {
    "joined": EventKind.JOINED,
    "leaving": EventKind.LEFT,
    "kicked": EventKind.LEFT,
    "configured": EventKind.ACTIVITY,
    "published": EventKind.ACTIVITY,
    "unpublished": EventKind.ACTIVITY,
    "moderated": EventKind.ACTIVITY,
    "destroyed": EventKind.SESSION_CLOSED,
}
ID_SEPARATOR = "."
"""Stands between the signed prefix of a participant id and the part that the client chooses."""
CLAIM_SEPARATOR = "~"
"""Stands between a handle and a participant id that the handle's client may not use."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def verify(request: WebhookRequest, user: str, passwords: tuple[Secret, ...]) -> None:
    """Check the user and password of a webhook. They prove the sender, but do not cover the body.

    :raises WebhookRejected: they are missing or wrong.
    """
    presented = request.headers.get("authorization", "").encode()
    accepted = [authorization(user, password).encode() for password in passwords]
    if True not in [hmac.compare_digest(presented, one) for one in accepted]:  # compares with all, in constant time
        raise WebhookRejected("The user or the password is wrong.")


def authorization(user: str, password: Secret) -> str:
    """Return the header with which Janus proves itself."""
    return f"Basic {b64encode(f'{user}:{password.reveal()}'.encode()).decode()}"


def parse(request: WebhookRequest, account: str, identity_key: str) -> list[ProviderEvent]:
    """Return what a webhook says. An event that means nothing to us is IGNORED.

    :raises ValueError: the body is not JSON.
    """
    body = json.loads(request.body)
    return [
        event for item in (body if isinstance(body, list) else [body]) for event in _read(item, account, identity_key)
    ]


def _read(item: Any, account: str, identity_key: str) -> Iterator[ProviderEvent]:
    key = _digest(item)
    match item:
        case {
            "emitter": str(emitter),
            "type": int(type),
            "timestamp": int(timestamp),
            "event": {"plugin": str(plugin), "data": {"room": str(room)} as data},
        } if emitter == account and type == PLUGIN_EVENT and plugin == PLUGIN:
            kind = KINDS.get(str(data.get("event", data.get("videoroom"))), EventKind.IGNORED)
        case _:
            yield ProviderEvent(EventKind.IGNORED, key)
            return
    at = EPOCH + timedelta(microseconds=timestamp)
    if kind is EventKind.SESSION_CLOSED:
        yield ProviderEvent(kind, key, session_id=room, at=at)
    elif kind is not EventKind.IGNORED and isinstance(data.get("id"), str):
        person = _read_person(item, data, at, identity_key)
        about = {"session_id": room, "at": at, **person}
        streams = list(_streams(data)) if data.get("event") == "published" else []
        for mid in streams:
            stream = StreamState(mid, is_published=True)
            yield ProviderEvent(kind, _digest([key, mid]), **about, stream=stream)
        if not streams:
            reason = "kicked" if data.get("event") == "kicked" else None
            yield ProviderEvent(kind, key, **about, reason=reason)
    else:
        yield ProviderEvent(EventKind.IGNORED, key)


def _read_person(item: dict[str, Any], data: dict[str, Any], at: datetime, identity_key: str) -> dict[str, Any]:
    """Return whose event it is.

    A client chooses its participant id, so it may take one that another participant has used. Ids with a separator
    belong to the clients whose statement has their prefix. To any other client the event is attributed under an id of
    its own, so that no client returns under another participant's.
    """
    participant, handle = data["id"], item.get("handle_id")
    if handle is None:
        return {"connection_id": participant}
    identity = read_identity(item.get("opaque_id"), data["room"], at, identity_key)
    if identity is not None and participant.startswith(identity.id_prefix + ID_SEPARATOR):
        return {"connection_id": participant, "attendee": identity.attendee, "name": identity.name}
    is_claimed = ID_SEPARATOR in participant or CLAIM_SEPARATOR in participant
    return {"connection_id": f"{handle}{CLAIM_SEPARATOR}{participant}" if is_claimed else participant}


def is_proven(connection_id: str) -> bool:
    """Return whether a connection's client has shown whose token it uses: :func:`_read_person`."""
    return ID_SEPARATOR in connection_id and CLAIM_SEPARATOR not in connection_id


def participants_of(connection_id: str) -> list[str]:
    """Return the participant ids that a connection may have at Janus, the likelier first: see :func:`_read_person`."""
    handle, _, claimed = connection_id.partition(CLAIM_SEPARATOR)
    return [connection_id, claimed] if claimed and handle.isdecimal() else [connection_id]


def _streams(data: dict[str, Any]) -> Iterator[str]:
    streams = data.get("streams")
    for stream in streams if isinstance(streams, list) else []:
        if isinstance(stream, dict) and isinstance(stream.get("mid"), str):
            yield stream["mid"]


def _digest(said: Any) -> str:
    """Return a key for an event. Janus gives it none, and repeats it character for character."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
