"""The vendor's webhooks: what they look like, how they are signed (Standard Webhooks), checked and read."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from videoconf.errors import WebhookRejected
from videoconf.providers import (
    ArchiveState,
    ArchiveStatus,
    EventKind,
    ProviderEvent,
    Secret,
    StreamState,
    WebhookRequest,
)

TOLERANCE_SECONDS = 300
"""Each attempt gets a new timestamp and signature, so the window need not cover the time of all retries."""
SECRET_PREFIX = "whsec_"  # noqa: S105  # a prefix that everybody knows
MIN_SECRET_BYTES = 24
MAX_ID_CHARACTERS = 200
MAX_SIGNATURES = 16

KINDS = {
    "connection.created": EventKind.JOINED,
    "connection.destroyed": EventKind.LEFT,
    "stream.created": EventKind.ACTIVITY,
    "stream.updated": EventKind.ACTIVITY,
    "stream.destroyed": EventKind.ACTIVITY,
    "session.closed": EventKind.SESSION_CLOSED,
    "archive.updated": EventKind.ARCHIVE,
}


def signer(secret: Secret) -> Webhook:
    """Make the signer of one secret.

    :raises ValueError: it is not ``whsec_`` and the base64 of 24 bytes or more.
    """
    text = secret.reveal()
    encoded = text.removeprefix(SECRET_PREFIX)
    key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    if encoded == text or len(key) < MIN_SECRET_BYTES:
        raise ValueError("no prefix, or too short")
    return Webhook(key)


def sign(signer: Webhook, event_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """Give the headers of one attempt to deliver an event."""
    stamp = datetime.fromtimestamp(int(at.timestamp()), UTC)
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(stamp.timestamp())),
        "webhook-signature": signer.sign(event_id, stamp, body.decode()),
    }


def verify(request: WebhookRequest, signers: Sequence[Webhook]) -> None:
    """Check a webhook's signature against each secret, and its age.

    The library signs; what it lacks we do here. Its ``verify`` knows only the wall clock, while the age has to be
    measured from when the request came in; it raises whatever a malformed header provokes; and its lenient base64
    takes many spellings of one signature. Comparing the encoded text takes exactly one.

    :raises WebhookRejected: for anything wrong.
    """
    try:
        event_id = request.headers["webhook-id"]
        stamp = request.headers["webhook-timestamp"]
        presented = request.headers["webhook-signature"].split(" ", MAX_SIGNATURES)[:MAX_SIGNATURES]
        seconds = int(stamp)
        # int() also takes "+1", "1_0" and other digits than ours.
        fresh = str(seconds) == stamp and abs(request.received_at.timestamp() - seconds) <= TOLERANCE_SECONDS
        at, body = datetime.fromtimestamp(seconds, UTC), request.body.decode()
        expected = [signer.sign(event_id, at, body).encode() for signer in signers]
        matches = [hmac.compare_digest(one, other.encode()) for one in expected for other in presented]
    except Exception as error:
        raise WebhookRejected("The webhook's headers or body cannot be read.") from error
    if not any(matches):
        raise WebhookRejected("No signature matches.")
    if not fresh:
        raise WebhookRejected("The webhook's timestamp is not canonical or is outside the window.")


def parse(request: WebhookRequest) -> list[ProviderEvent]:
    """Parse a verified webhook. A pure function.

    :raises ValueError: the body is not what this vendor sends (any other error of reading it means the same).
    """
    document: dict[str, Any] = json.loads(request.body)
    event_id = _text(document, "id")
    if not 1 <= len(event_id) <= MAX_ID_CHARACTERS:
        raise ValueError("the id is empty or too long")
    kind = KINDS.get(_text(document, "type"), EventKind.IGNORED)
    if kind is EventKind.IGNORED:
        return [ProviderEvent(kind, event_id)]
    session_id, at = _text(document, "session"), _time(_text(document, "at"))
    if kind is EventKind.SESSION_CLOSED:
        return [ProviderEvent(kind, event_id, session_id=session_id, at=at)]
    if kind is EventKind.ARCHIVE:
        archive = _archive(document["archive"], session_id)
        return [ProviderEvent(kind, event_id, session_id=session_id, at=at, archive=archive)]
    connection = document["connection"]
    return [
        ProviderEvent(
            kind,
            event_id,
            session_id=session_id,
            connection_id=_text(connection, "id"),
            attendee=_find_text(connection, "attendee"),
            name=_find_text(connection, "name"),
            at=at,
            connected_at=_time(_text(connection, "created_at")),
            reason=_find_text(document, "reason"),
            stream=_find_stream(document),
        )
    ]


def timestamp(at: datetime) -> str:
    """Write a time as the vendor does: RFC 3339, UTC, microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _find_stream(document: dict[str, Any]) -> StreamState | None:
    if "stream" not in document:
        return None
    return StreamState(_text(document["stream"], "id"), is_published=document["type"] != "stream.destroyed")


def _archive(archive: dict[str, Any], session_id: str) -> ArchiveState:
    status = _text(archive, "status")
    metadata = archive.get("metadata", {})
    if not (isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())):
        raise TypeError("metadata is not an object of strings")
    return ArchiveState(
        archive_id=_text(archive, "id"),
        session_id=session_id,
        provider_status=status,
        status=ArchiveStatus(status) if status in set(ArchiveStatus) else None,
        name=_find_text(archive, "name"),
        created_at=_time(_text(archive, "created_at")),
        updated_at=_time(_text(archive, "updated_at")),
        duration_seconds=_find_count(archive, "duration_seconds"),
        size_bytes=_find_count(archive, "size_bytes"),
        reason=_find_text(archive, "reason"),
        object_key=_find_text(archive, "object_key"),
        metadata=metadata,
    )


def _text(document: dict[str, Any], name: str) -> str:
    value = _find_text(document, name)
    if value is None:
        raise ValueError(f"{name} is missing")
    return value


def _find_text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is not a string")
    return value


def _find_count(document: dict[str, Any], name: str) -> int | None:
    value = document.get(name)
    if value is not None and (type(value) is not int or value < 0):
        raise TypeError(f"{name} is not a count")
    return value


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time lacks its offset")
    return at.astimezone(UTC)
