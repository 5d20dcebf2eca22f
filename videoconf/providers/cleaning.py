"""Make what a provider's plugin returns safe to store and to answer: bounded strings, JSON values, aware UTC times.

A participant chooses their own name, and a vendor its own metadata. Neither may make a webhook fail, because a sender
whose webhooks fail repeats them for a day, or stops sending.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from videoconf.containment import plain_json
from videoconf.formats import NOT_KEPT, cleaned_text
from videoconf.providers.types import (
    ArchiveState,
    EventKind,
    JoinToken,
    ProviderEvent,
    RosterConnection,
    WebhookReply,
)
from videoconf.storage import SignedUrl
from videoconf.storage.base import is_key
from videoconf.storage.urls import is_absolute_url, is_web_url

LONGEST_TEXT = 255
LONGEST_ATTENDEE = 1000
LONGEST_DEDUPE_KEY = 200
ARCHIVE_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~:=+@-]{1,255}")
"""An archive's id is part of our paths, which clients shorten where a part is `.` or `..`."""
LARGEST_NUMBER = {"duration_seconds": 2**31 - 1, "size_bytes": 2**63 - 1}
MAX_METADATA_BYTES = 16 * 1024
MAX_METADATA_DEPTH = 8
LONGEST_TOKEN = 64 * 1024
LARGEST_REPLY_BYTES = 64 * 1024
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}(; ?charset=[\w-]{1,32})?", re.ASCII)

_PRIVATE_NAME = re.compile(
    r"ur[il]s?$|^ur[il]|href|link|passw|secret|token|credential|signature|authorization|(api|access|private)[-_ ]?key",
    re.IGNORECASE,
)
_URL = re.compile(r"[a-z0-9+.-]:/|^\s*//|\bwww\.|\b(data|mailto):", re.IGNORECASE)


def cleaned_event(event: ProviderEvent) -> ProviderEvent:
    """Return the event with texts that both databases take, bounded; those that a token takes stay as they are.

    A participant chooses their own name; it must not be able to make a webhook fail, because a sender whose webhooks
    fail repeats them for a day, or stops sending.

    :raises ValueError: an id cannot be kept as it is (changing it could make two connections one), or an archive has
        no usable id. A value that is not an event raises any other error.
    """
    for name, longest in (
        ("session_id", LONGEST_TEXT),
        ("connection_id", LONGEST_TEXT),
        ("dedupe_key", LONGEST_DEDUPE_KEY),
    ):
        if not _is_usable(getattr(event, name) or "", longest):
            raise ValueError(f"the event's {name} is longer than {longest} characters, or has some that are not kept")
    texts: dict[str, Any] = {
        "session_id": event.session_id or None,
        "connection_id": event.connection_id or None,
        "attendee": _optional(event.attendee, LONGEST_ATTENDEE),
        "name": _optional(event.name),
        "reason": _optional(event.reason),
    }
    times: dict[str, Any] = {name: _utc(getattr(event, name)) for name in ("at", "connected_at")}
    archive = None if event.archive is None else cleaned_archive(event.archive)
    stream = event.stream
    if stream is not None and not (stream.stream_id and _is_usable(stream.stream_id, LONGEST_TEXT)):
        stream = None  # without it, the event still proves presence
    return dataclasses.replace(event, kind=EventKind(event.kind), archive=archive, stream=stream, **texts, **times)


def cleaned_connection(one: RosterConnection) -> RosterConnection:
    """Return a connection of a roster as both databases take it. What cannot be kept beside its id is left out.

    :raises ValueError: its id cannot be stored unchanged. A value that is not a connection raises any other error.
    """
    id = one.connection_id
    if not (id and _is_usable(id, LONGEST_TEXT)):
        raise ValueError(f"its id is empty, longer than {LONGEST_TEXT} characters, or has some that are not kept")
    try:
        said = (_optional(one.attendee, LONGEST_ATTENDEE), _optional(one.name), _utc(one.connected_at))
    except Exception:  # whatever a plugin put there: the connection is there anyway
        return RosterConnection(id)
    return RosterConnection(id, *said)


def cleaned_token(join: JoinToken) -> JoinToken:
    """Return a credential as a caller may get it.

    :raises ValueError: a part cannot be answered as JSON, a URL is unsafe to open, or it does not say when it expires.
        A value that is not a credential raises any other error.
    """
    token = plain_json(join.token)
    if not (token is None or (isinstance(token, str) and len(token) <= LONGEST_TOKEN)):
        raise ValueError("the token is not a string, or too long")
    connect = plain_json(join.connect)
    if not isinstance(connect, dict) or not _is_joinable(connect):
        raise ValueError("`connect` is not an object, or has a URL that is unsafe to open")
    if (expires_at := _utc(join.expires_at)) is None:
        raise ValueError("the token does not say when it expires")
    return JoinToken(token, expires_at, connect)


def _is_joinable(value: Any, name: str = "") -> bool:
    """Return whether a client may be given a value of ``connect``.

    The scheme of a URL may be plain, because a client of a private network may need it, or a vendor's own.
    """
    if isinstance(value, dict):
        return all(_is_joinable(item, member) for member, item in value.items())
    if isinstance(value, list):
        return all(_is_joinable(item) for item in value)  # ICE servers have URLs without a host
    return value is None or not name.lower().endswith(("url", "uri")) or is_absolute_url(value)


def cleaned_url(signed: SignedUrl) -> SignedUrl:
    """Return a URL with its time as a caller may get it.

    :raises ValueError: it may not be fetched, or its time is not aware.
    """
    if not is_web_url(signed.url) or (expires_at := _utc(signed.expires_at)) is None:
        raise ValueError("the URL may not be fetched, or does not say when it expires")
    return SignedUrl(signed.url, expires_at)


def cleaned_reply(reply: WebhookReply) -> WebhookReply:
    """Return the answer to a handshake as it may be sent.

    :raises ValueError: its status is not a success, or its body or media type cannot be sent.
    """
    status: Any = reply.status
    if type(status) is not int or not 200 <= status < 300:
        raise ValueError("the status of an answer to a handshake is between 200 and 299")
    body: Any = reply.body
    if not isinstance(body, bytes) or len(body) > LARGEST_REPLY_BYTES or not _MEDIA_TYPE.fullmatch(reply.content_type):
        raise ValueError("the body or the media type cannot be sent")
    return WebhookReply(status, body, reply.content_type)


def _is_usable(id: str, longest: int) -> bool:
    return len(id) <= longest and not NOT_KEPT.search(id)


def cleaned_archive(said: ArchiveState) -> ArchiveState:
    """Return the statement as both databases take it, without anything in its metadata that gives access.

    :raises ValueError: its id cannot stand in a path, or a time is not aware.
    """
    if not ARCHIVE_ID.fullmatch(said.archive_id):
        raise ValueError("the archive's id is empty, too long or no part of a path")
    return dataclasses.replace(
        said,
        provider_status=_clean(said.provider_status),
        name=_optional(said.name),
        reason=_optional(said.reason),
        object_key=said.object_key if said.object_key is not None and is_key(said.object_key) else None,
        created_at=_utc(said.created_at),
        updated_at=_utc(said.updated_at),
        duration_seconds=_bounded(said.duration_seconds, "duration_seconds"),
        size_bytes=_bounded(said.size_bytes, "size_bytes"),
        metadata=_public(said.metadata),
    )


def _optional(text: str | None, longest: int = LONGEST_TEXT) -> str | None:
    return None if text is None else cleaned_text(text, longest) or None


def _clean(text: str) -> str:
    return cleaned_text(text, LONGEST_TEXT)


def _utc(time: datetime | None) -> datetime | None:
    if time is not None and time.tzinfo is None:
        raise ValueError("a provider's time must be aware")
    return None if time is None else time.astimezone(UTC)


def _bounded(number: int | None, name: str) -> int | None:
    return None if number is None else max(0, min(number, LARGEST_NUMBER[name]))


def _public(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the metadata may be stored and shown; nothing of it where it is too much."""
    kept: dict[str, Any] = _kept(metadata, MAX_METADATA_DEPTH) or {}
    return kept if len(json.dumps(kept, ensure_ascii=False).encode()) <= MAX_METADATA_BYTES else {}


def _kept(value: Any, depth: int) -> Any:
    """Return a JSON value without members that give access, or None for one that does so itself."""
    if isinstance(value, Mapping) and depth:
        items = (
            (_clean(str(name)), _kept(item, depth - 1))
            for name, item in value.items()
            if not _PRIVATE_NAME.search(str(name))
        )
        return {name: item for name, item in items if item is not None}
    if isinstance(value, list | tuple) and depth:
        return [kept for item in value if (kept := _kept(item, depth - 1)) is not None]
    if isinstance(value, str):
        return None if _URL.search(value) else _clean(value)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float) and value - value == 0:  # neither infinite nor no number
        return value
    return None
