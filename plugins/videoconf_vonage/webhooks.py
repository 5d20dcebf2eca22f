"""Vonage's callbacks: where they come from, and what they say. Both are pure functions of the request."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from videoconf.errors import ConfigurationError, WebhookRejected
from videoconf.providers import EventKind, ProviderEvent, Secret, StreamState, WebhookRequest
from videoconf_vonage.archives import find_time, read_archive
from videoconf_vonage.connection_data import unpack
from videoconf_vonage.rest import STREAM_ID
from videoconf_vonage.settings import PREFIX, VonageSettings

logger = logging.getLogger(__name__)

ISSUER = "Vonage"
ALGORITHM = "HS256"
MAX_AHEAD_SECONDS = 300
"""How far Vonage's clock may be ahead of ours."""
MAX_HEADER_CHARACTERS = 8192
LEAST_SECRET_CHARACTERS = 32
TOKEN_PARAMETER = "token"  # noqa: S105  # the name of a parameter

KINDS = {
    "connectionCreated": EventKind.JOINED,
    "connectionDestroyed": EventKind.LEFT,
    "streamCreated": EventKind.ACTIVITY,
    "streamDestroyed": EventKind.ACTIVITY,
    "sessionDestroyed": EventKind.SESSION_CLOSED,
    "archive": EventKind.ARCHIVE,
}

# A text may lack its end, so that a body of many quotes is read once and not once a quote.
_WHITESPACE = re.compile(rb'("(?:[^"\\]|\\.)*"?)|[ \t\r\n]+', re.DOTALL)

# --- where it comes from --------------------------------------------------------------------------------------------


def check_secrets(settings: VonageSettings, *, development: bool) -> None:
    """Check that something can prove where a callback comes from, at the start.

    :raises ConfigurationError: nothing can, and this is not a development run.
    """
    if any(len(secret.reveal()) < LEAST_SECRET_CHARACTERS for secret in settings.signature_secrets):
        logger.warning(
            "%sSIGNATURE_SECRETS: one is shorter than %d characters; a longer one is safer",
            PREFIX,
            LEAST_SECRET_CHARACTERS,
        )
    if settings.signature_secrets or settings.webhook_token:
        return
    if not development:
        raise ConfigurationError(
            f"Nothing proves that a callback is Vonage's: set {PREFIX}SIGNATURE_SECRETS to the signature secrets of the"
            f" callback URLs or, where Vonage signs none, {PREFIX}WEBHOOK_TOKEN."
        )
    logger.warning("Vonage's callbacks are NOT verified: any client can invent attendees and archives")


def verify_signature(
    request: WebhookRequest,
    secrets: Sequence[Secret],
    *,
    is_ours: Callable[[Mapping[str, Any]], bool],
    max_age_seconds: int,
    covers: str,
) -> None:
    """Check a signed callback: ``Authorization: Bearer`` and an HS256 JWT with a hash of the body.

    :param is_ours: tells whether the claims are about our account.
    :param covers: ``raw`` or ``compact``, what is hashed of the body.
    :raises WebhookRejected: for anything wrong; a malformed token raises whatever its parsers do.
    """
    header = request.headers.get("authorization", "")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or len(header) > MAX_HEADER_CHARACTERS:
        raise WebhookRejected("The callback is not signed.")
    claims = _read_claims(token.strip(), secrets)
    issued_at, received_at = claims["iat"], request.received_at.timestamp()
    if type(issued_at) not in (int, float) or not -MAX_AHEAD_SECONDS <= received_at - issued_at <= max_age_seconds:
        raise WebhookRejected("The signature is older than allowed, or from the future.")
    if claims["iss"] != ISSUER or not is_ours(claims):
        raise WebhookRejected("The signature is another issuer's, or for another account.")
    body = request.body if covers == "raw" else _WHITESPACE.sub(lambda found: found[1] or b"", request.body)
    expected = hashlib.sha256(body).hexdigest()
    if not hmac.compare_digest(expected.encode(), str(claims["payload_hash"]).lower().encode()):
        raise WebhookRejected("The signature is for another body.")


def verify_token(request: WebhookRequest, expected: Secret) -> None:
    """Check a callback that is not signed: a secret in the query of its URL.

    :raises WebhookRejected: it is not there, or is another.
    """
    presented = parse_qs(urlsplit(request.url).query).get(TOKEN_PARAMETER, [])
    if len(presented) != 1 or not hmac.compare_digest(presented[0].encode(), expected.reveal().encode()):
        raise WebhookRejected("The URL does not carry the callback token.")


def _read_claims(token: str, secrets: Sequence[Secret]) -> dict[str, Any]:
    import jwt  # which a command that receives no callback does without

    # PyJWT knows only the wall clock; the age is measured by the caller from when the request came in.
    options: Any = {f"verify_{name}": False for name in ("exp", "iat", "nbf", "aud")}
    options["require"] = ["iss", "iat", "payload_hash"]
    for secret in secrets:
        try:
            return jwt.decode(token, secret.reveal(), algorithms=[ALGORITHM], options=options)
        except jwt.InvalidSignatureError:
            continue
    raise WebhookRejected("The signature was made with another secret.")


# --- what it says ---------------------------------------------------------------------------------------------------


def parse(request: WebhookRequest, account: str) -> list[ProviderEvent]:
    """Parse a callback. The body names its kind.

    Only archive callbacks may lack it, as in the example of Vonage's own reference: then the channel decides.

    :raises ValueError: the body is not one of Vonage's (any other error of reading it means the same).
    """
    document = json.loads(request.body)
    if not isinstance(document, dict):
        raise TypeError("the body is not an object")
    named = _find_text(document, "event") if "event" in document else request.channel
    kind = KINDS.get(named or "", EventKind.IGNORED)
    if kind is EventKind.IGNORED or not _is_about(document, account):
        return [ProviderEvent(EventKind.IGNORED, _digest(document))]
    if kind is EventKind.ARCHIVE:
        return [_archive_event(document, account)]
    session_id, reason, at = _text(document, "sessionId"), _find_text(document, "reason"), _time(document, "timestamp")
    stream = document["stream"] if kind is EventKind.ACTIVITY else {}
    if kind is EventKind.SESSION_CLOSED:
        key = _digest([kind, session_id, document["timestamp"], reason])
        return [ProviderEvent(kind, key, session_id=session_id, at=at, reason=reason)]
    connection = (stream or document)["connection"]
    connection_id = _text(connection, "id")
    bearer = unpack(connection.get("data"))
    told = [document["event"], session_id, connection_id, stream.get("id"), document["timestamp"], reason]
    return [
        ProviderEvent(
            kind,
            _digest(told),
            session_id=session_id,
            connection_id=connection_id,
            attendee=bearer.attendee,
            name=bearer.name,
            at=at,
            connected_at=find_time(connection.get("createdAt")),
            reason=reason,
            stream=_find_stream(stream, is_published=document["event"] == "streamCreated"),
        )
    ]


def _find_stream(stream: dict[str, Any], *, is_published: bool) -> StreamState | None:
    """Return the state of a stream, or None when its id has not Vonage's form and could not stand in a path."""
    stream_id = _find_text(stream, "id")
    return StreamState(stream_id, is_published) if stream_id and STREAM_ID.fullmatch(stream_id) else None


def _archive_event(document: dict[str, Any], account: str) -> ProviderEvent:
    """Parse an archive callback. It contains no time, and the plugin invents none: archive statuses are ordered."""
    archive = read_archive(document, account)
    told = [archive.archive_id, archive.provider_status, archive.reason, archive.duration_seconds, archive.size_bytes]
    return ProviderEvent(
        EventKind.ARCHIVE,
        _digest([*told, str(archive.updated_at)]),
        session_id=archive.session_id,
        archive=archive,
    )


def _is_about(document: dict[str, Any], account: str) -> bool:
    """Return whether a body is about our account: a number, a text, or (the unified environment) by either name."""
    named = [document[name] for name in ("projectId", "applicationId") if document.get(name) is not None]
    return not named or account in map(str, named)


def _digest(told: Any) -> str:
    """Return a key for an event: Vonage gives none, and repeats a callback word for word."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _text(document: dict[str, Any], name: str) -> str:
    text = _find_text(document, name)
    if not text:
        raise ValueError(f"{name} is missing")
    return text


def _find_text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) else None


def _time(document: dict[str, Any], name: str) -> datetime:
    at = find_time(document.get(name))
    if at is None:
        raise ValueError(f"{name} is not a time")
    return at
