"""Webhooks of LiveKit that no server sends: see :mod:`tests.support.writers`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import jwt

from tests.plugins.livekit.service import WEBHOOKS
from tools.livekit_standin import LiveKitStandin
from tools.livekit_standin.webhooks import TOKEN_SECONDS
from videoconf.providers import ArchiveStatus
from videoconf_fake.control import Delivery
from videoconf_livekit.identity import ATTENDEE
from videoconf_livekit.webhooks import LEEWAY_SECONDS

EVENTS = {
    "connection.created": "participant_joined",
    "connection.destroyed": "participant_left",
    "session.closed": "room_finished",
    "archive.updated": "egress_updated",
}
STATUSES = {
    ArchiveStatus.STARTED: "EGRESS_ACTIVE",
    ArchiveStatus.STOPPED: "EGRESS_ENDING",
    ArchiveStatus.AVAILABLE: "EGRESS_COMPLETE",
    ArchiveStatus.UPLOADED: "EGRESS_COMPLETE",
    ArchiveStatus.FAILED: "EGRESS_FAILED",
}
"""LiveKit's recordings have no others."""
OTHER_SECRET = "a-secret-of-another-livekit-0123456789"


class LiveKitWriter:
    """Writes LiveKit's webhooks, signed with the stand-in's key."""

    unreadable: tuple[bytes, ...] = (
        b"",
        b"no json",
        b"[]",
        b"null",
        b"[" * 5000,
        json.dumps({"event": "participant_joined", "id": "e", "room": {"name": "videoconf-1"}}).encode(),
        json.dumps({"event": "egress_ended", "id": "e"}).encode(),
    )
    unknown_session = "videoconf-unknown"
    refusal = "The signature was made with another key."
    archive_statuses: Sequence[ArchiveStatus] = tuple(STATUSES)

    def __init__(self, standin: LiveKitStandin) -> None:
        self._standin = standin

    def write(self, type: str, session: str, event_id: str, at: str, **members: Any) -> bytes:
        document: dict[str, Any] = {"event": EVENTS.get(type, type), "id": event_id, "createdAt": str(_seconds(at))}
        document["room"] = {"name": session}
        if "connection" in members:
            document["participant"] = _participant(**members.pop("connection"))
        if "archive" in members:
            document["egressInfo"] = _egress(session, **members.pop("archive"))
        return json.dumps(document | members).encode()

    def signed(self, body: bytes, event_id: str, at: datetime | None = None) -> Delivery:
        now = self._standin.clock.now() if at is None else at.timestamp()
        headers = {"Authorization": self._standin.webhooks.sign(body, now), "Content-Type": "application/webhook+json"}
        return Delivery(event_id, "session", urlsplit(WEBHOOKS).path, headers, body)

    def forgeries(self, genuine: Delivery) -> Mapping[str, dict[str, str]]:
        now, sign = self._standin.clock.now(), self._standin.webhooks.sign
        claims = jwt.decode(genuine.headers["Authorization"], options={"verify_signature": False})
        without = {name: value for name, value in claims.items() if name != "sha256"}
        made = {
            "another secret": jwt.encode(claims, OTHER_SECRET, "HS256"),
            "another key": jwt.encode(claims | {"iss": "APIother"}, self._standin.api_secret, "HS256"),
            "another body": sign(b"another", now),
            "no digest": jwt.encode(without, self._standin.api_secret, "HS256"),
            "no algorithm": jwt.encode(claims, None, "none"),
            "the past": sign(genuine.body, now - TOKEN_SECONDS - LEEWAY_SECONDS - 1),
            "the future": sign(genuine.body, now + LEEWAY_SECONDS + 1),
            "no signature": "",
            "not a token": "✗".encode().decode("latin-1"),
        }
        return {name: {"Authorization": token} for name, token in made.items()}


def _participant(id: str, created_at: str, attendee: str | None = None, name: str | None = None) -> dict[str, Any]:
    """Give a participant with the attendee in an attribute, as for an id that is too long for the identity."""
    return {
        "sid": id,
        "identity": "#0123456789abcdef",
        "state": "ACTIVE",
        "joinedAt": str(_seconds(created_at)),
        **({} if name is None else {"name": name}),
        **({} if attendee is None else {"attributes": {ATTENDEE: attendee}}),
    }


def _egress(
    session: str,
    id: str,
    status: str,
    created_at: str,
    updated_at: str,
    duration_seconds: int = 0,
    size_bytes: int = 0,
    reason: str = "",
    metadata: Mapping[str, str] | None = None,
    **name: str,
) -> dict[str, Any]:
    """Give a recording. LiveKit's have no names."""
    key = f"videoconf/{session}/{hashlib.sha256(id.encode(errors='replace')).hexdigest()[:32]}.mp4"
    target = {"s3": {"bucket": "recordings"}} if status == "uploaded" else {}
    file = {"filename": key, "duration": str(duration_seconds * 10**9), "size": str(size_bytes)}
    return {
        "egressId": id,
        "roomName": session,
        "status": _status(status),
        "startedAt": str(_nanoseconds(created_at)),
        "updatedAt": str(_nanoseconds(updated_at)),
        "error": reason,
        "roomComposite": {"roomName": session, "fileOutputs": [{"filepath": key, **target}], **(metadata or {})},
        "fileResults": [file],
    }


def _status(status: str) -> str:
    """Give LiveKit's word for a status, or the word itself where the service knows it not either."""
    return STATUSES[ArchiveStatus(status)] if status in set(ArchiveStatus) else status


def _seconds(at: str) -> int:
    return _nanoseconds(at) // 10**9


def _nanoseconds(at: str) -> int:
    return (
        (datetime.fromisoformat(at) - datetime.fromisoformat("1970-01-01T00:00:00Z"))
        // timedelta(microseconds=1)
        * 1000
    )
