"""The vendor's events, each stored until a receiver has acknowledged its delivery."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from videoconf.providers import ArchiveState
from videoconf_fake.ids import DeriveId
from videoconf_fake.state import State
from videoconf_fake.webhooks import timestamp

SESSION_CHANNEL = "session"
ARCHIVE_CHANNEL = "archive"


@dataclass(frozen=True)
class QueuedEvent:
    """One event, whether delivered or not."""

    event_id: str
    channel: str
    body: bytes
    delivered: bool


class Outbox:
    """Events in the order in which they happened. Appended inside the transaction of what they tell."""

    def __init__(self, state: State, derive_id: DeriveId) -> None:
        self._state = state
        self._derive_id = derive_id

    def append_connection_event(
        self,
        database: sqlite3.Connection,
        type: str,
        connection: sqlite3.Row,
        at: str,
        *,
        reason: str | None = None,
        stream: dict[str, Any] | None = None,
    ) -> None:
        about = {"id": connection["connection_id"]}
        about |= {name: connection[name] for name in ("created_at", "role", "attendee", "name", "data")}
        document = {"session": connection["session_id"], "at": at, "connection": about}
        if stream is not None:
            document["stream"] = stream
        if reason is not None:
            document["reason"] = reason
        self._append(database, SESSION_CHANNEL, type, document)

    def append_session_closed(self, database: sqlite3.Connection, session_id: str, at: str) -> None:
        self._append(database, SESSION_CHANNEL, "session.closed", {"session": session_id, "at": at})

    def append_archive_event(self, database: sqlite3.Connection, archive: ArchiveState, at: str) -> None:
        about = {
            "id": archive.archive_id,
            "status": archive.provider_status,
            "name": archive.name,
            "created_at": archive.created_at and timestamp(archive.created_at),
            "updated_at": archive.updated_at and timestamp(archive.updated_at),
            "duration_seconds": archive.duration_seconds,
            "size_bytes": archive.size_bytes,
            "reason": archive.reason,
            "object_key": archive.object_key,
            "metadata": dict(archive.metadata),
        }
        document = {"session": archive.session_id, "at": at, "archive": about}
        self._append(database, ARCHIVE_CHANNEL, "archive.updated", document)

    def list_events(self, *, waiting: bool = False) -> list[QueuedEvent]:
        """List all events, or those not delivered yet, oldest first."""
        every = "SELECT * FROM event ORDER BY number"
        undelivered = "SELECT * FROM event WHERE NOT delivered ORDER BY number"  # as its index has it
        with self._state.read() as database:
            rows = database.execute(undelivered if waiting else every).fetchall()
        return [
            QueuedEvent(row["event_id"], row["channel"], row["body"].encode(), bool(row["delivered"])) for row in rows
        ]

    def mark_delivered(self, event_id: str) -> None:
        with self._state.write() as database:
            database.execute("UPDATE event SET delivered = 1 WHERE event_id = ?", (event_id,))

    def _append(self, database: sqlite3.Connection, channel: str, type: str, document: dict[str, Any]) -> None:
        (number,) = database.execute("SELECT coalesce(max(number), 0) + 1 FROM event").fetchone()
        # The content goes into the id as well as the number: a service that outlives this state (its file was
        # removed, or it was memory) would otherwise take event 1 of the next state for a repetition and drop it.
        event_id = self._derive_id("evt", number, type, document)
        body = json.dumps({"id": event_id, "type": type, **document}, separators=(",", ":"))
        database.execute(
            "INSERT INTO event (number, event_id, channel, body) VALUES (?, ?, ?, ?)", (number, event_id, channel, body)
        )
