"""Events of Janus that no server sends: see :mod:`tests.support.writers`."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from videoconf.providers import ArchiveStatus, Role, TokenRequest
from videoconf_fake.control import Delivery
from videoconf_janus.admin import PLUGIN
from videoconf_janus.provider import JanusProvider
from videoconf_janus.tokens import derived_key, sign_identity
from videoconf_janus.webhooks import EPOCH, ID_SEPARATOR, PLUGIN_EVENT, authorization

EVENTS = {"connection.created": "joined", "connection.destroyed": "leaving", "session.closed": "destroyed"}
END_OF_TIMES = 1 << 40


class JanusWriter:
    """Writes Janus's events, with the user and the password of its event handler."""

    unreadable: tuple[bytes, ...] = (b"", b"no json", b"[" * 5000, b"\xff")
    unknown_session = "unknown"
    refusal = "The user or the password is wrong."
    archive_statuses: Sequence[ArchiveStatus] = ()

    def __init__(self, provider: JanusProvider) -> None:
        self._provider = provider

    def write(self, type: str, session: str, event_id: str, at: str, **members: Any) -> bytes:
        number = int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:6])  # an event of Janus has no id
        document: dict[str, Any] = {
            "emitter": self._provider.account,
            "type": PLUGIN_EVENT,
            "timestamp": int((datetime.fromisoformat(at) - EPOCH).total_seconds() * 10**6),
            "session_id": number,
        }
        data = {"event": EVENTS.get(type, type), "room": session}
        if "connection" in members:
            data |= self._participant(document, session, **members.pop("connection"))
        return json.dumps(document | {"event": {"plugin": PLUGIN, "data": data | members}}).encode()

    def _participant(
        self,
        document: dict[str, Any],
        session: str,
        id: str,
        created_at: str,
        attendee: str | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Give a participant, and set its handle and the signed statement of whose token it uses."""
        request = TokenRequest(Role.PUBLISHER, datetime.fromisoformat(created_at), attendee, name=name)
        key = derived_key(self._provider.settings.room_key, "identity")
        statement = sign_identity(id, session, request, END_OF_TIMES, key)
        document |= {"handle_id": 1, "opaque_id": statement}
        return {"id": f"{id}{ID_SEPARATOR}", "display": name}

    def signed(self, body: bytes, event_id: str, at: datetime | None = None) -> Delivery:
        settings = self._provider.settings
        proof = authorization(settings.event_user, settings.event_passwords[0])
        headers = {"authorization": proof, "content-type": "application/json"}
        return Delivery(event_id, "session", "/webhooks/janus/session", headers, body)

    def forgeries(self, genuine: Delivery) -> Mapping[str, dict[str, str]]:
        user, password = self._provider.settings.event_user, self._provider.settings.event_passwords[0].reveal()
        made = {
            "no password": "",
            "another secret": f"Basic {b64encode(f'{user}:another'.encode()).decode()}",
            "another user": f"Basic {b64encode(f'other:{password}'.encode()).decode()}",
            "not base64": "Basic ✗".encode().decode("latin-1"),
            "another scheme": f"Bearer {password}",
        }
        return {name: {"authorization": header} for name, header in made.items()}
