"""The vendor's archives: their life cycle and where they are stored."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from videoconf.errors import ProviderConflict, ProviderResourceNotFound
from videoconf.providers import ArchiveRequest, ArchiveState, ArchiveStatus, Clock, StorageDestination
from videoconf_fake.ids import DeriveId
from videoconf_fake.outbox import Outbox
from videoconf_fake.state import State
from videoconf_fake.webhooks import timestamp

BYTES_PER_SECOND = 125_000

NEXT: dict[ArchiveStatus, frozenset[ArchiveStatus]] = {
    ArchiveStatus.STARTED: frozenset({ArchiveStatus.PAUSED, ArchiveStatus.STOPPED, ArchiveStatus.FAILED}),
    ArchiveStatus.PAUSED: frozenset({ArchiveStatus.STARTED, ArchiveStatus.STOPPED, ArchiveStatus.FAILED}),
    ArchiveStatus.STOPPED: frozenset(
        {ArchiveStatus.AVAILABLE, ArchiveStatus.UPLOADED, ArchiveStatus.FAILED, ArchiveStatus.DELETED}
    ),
    ArchiveStatus.FAILED: frozenset({ArchiveStatus.DELETED}),
    ArchiveStatus.AVAILABLE: frozenset({ArchiveStatus.UPLOADED, ArchiveStatus.EXPIRED, ArchiveStatus.DELETED}),
    ArchiveStatus.UPLOADED: frozenset({ArchiveStatus.DELETED}),
    ArchiveStatus.EXPIRED: frozenset({ArchiveStatus.DELETED}),
    ArchiveStatus.DELETED: frozenset(),
}
"""What an archive can become."""

RUNNING = (ArchiveStatus.STARTED, ArchiveStatus.PAUSED)


class Recorder:
    """Archives and the storage setting. Thread-safe; every change queues its event."""

    def __init__(self, state: State, outbox: Outbox, derive_id: DeriveId, clock: Clock) -> None:
        self._state = state
        self._outbox = outbox
        self._derive_id = derive_id
        self._clock = clock

    def start(self, session_id: str, request: ArchiveRequest) -> ArchiveState:
        """Start recording on demand.

        :raises ProviderResourceNotFound: the session does not exist.
        :raises ProviderConflict: ``end_to_end_encrypted``, ``no_connections`` or ``already_recording``.
        """
        with self._state.write() as database:
            session = database.execute("SELECT * FROM session WHERE session_id = ?", (session_id,)).fetchone()
            if session is None:
                raise ProviderResourceNotFound("The fake provider has no such session.")
            if session["end_to_end_encryption"]:
                raise ProviderConflict("An encrypted session is not recorded.", provider_code="end_to_end_encrypted")
            present = "SELECT 1 FROM connection WHERE session_id = ? AND left_at IS NULL"
            if database.execute(present, (session_id,)).fetchone() is None:
                raise ProviderConflict("The session has no connection.", provider_code="no_connections")
            if self.running(database, session_id):
                raise ProviderConflict("The session is being recorded.", provider_code="already_recording")
            return self.begin(database, session_id, request)

    def begin(self, database: sqlite3.Connection, session_id: str, request: ArchiveRequest) -> ArchiveState:
        """Start recording inside the caller's transaction, without asking whether it may."""
        (number,) = database.execute("SELECT coalesce(max(number), 0) + 1 FROM archive").fetchone()
        at = timestamp(self._clock())
        archive_id = self._derive_id("fa", number, session_id, at)
        metadata = {name: value for name in ("layout", "output") if (value := getattr(request, name)) is not None}
        database.execute(
            "INSERT INTO archive (number, archive_id, session_id, status, name, created_at, updated_at, metadata)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, archive_id, session_id, ArchiveStatus.STARTED, request.name, at, at, json.dumps(metadata)),
        )
        if request.storage is not None:
            database.execute(
                "INSERT INTO archive_storage (archive_id, kind, configuration) VALUES (?, ?, ?)",
                (archive_id, request.storage.kind, json.dumps(dict(request.storage.configuration))),
            )
        archive = _state(_get_row(database, archive_id))
        self._outbox.append_archive_event(database, archive, at)
        return archive

    def get(self, archive_id: str) -> ArchiveState:
        """Read one archive that is not deleted.

        :raises ProviderResourceNotFound: the archive does not exist.
        """
        with self._state.read() as database:
            return _state(_get_row(database, archive_id))

    def list_archives(self, session_id: str) -> Sequence[ArchiveState]:
        """Read the archives of a session that are not deleted, newest first."""
        with self._state.read() as database:
            rows = database.execute(
                "SELECT * FROM archive WHERE session_id = ? AND status != ? ORDER BY number DESC",
                (session_id, ArchiveStatus.DELETED),
            ).fetchall()
        return [_state(row) for row in rows]

    def list_stopped(self, before: datetime) -> Sequence[ArchiveState]:
        """Read the archives of all sessions whose recording ended before a time and is not processed yet."""
        sql = "SELECT * FROM archive WHERE status = ? AND updated_at <= ? ORDER BY number"
        with self._state.read() as database:
            rows = database.execute(sql, (ArchiveStatus.STOPPED, timestamp(before))).fetchall()
        return [_state(row) for row in rows]

    def stop(self, archive_id: str, reason: str) -> ArchiveState:
        """Stop recording, unless it has stopped already."""
        with self._state.write() as database:
            row = _get_row(database, archive_id)
            return (
                self._change(database, row, ArchiveStatus.STOPPED, reason) if row["status"] in RUNNING else _state(row)
            )

    def stop_all(self, database: sqlite3.Connection, session_id: str, reason: str) -> None:
        """Stop what is running in a session, inside the caller's transaction."""
        for row in self.running(database, session_id):
            self._change(database, row, ArchiveStatus.STOPPED, reason)

    def change(self, archive_id: str, status: ArchiveStatus, reason: str | None = None) -> ArchiveState:
        """Move an archive on.

        :raises ProviderResourceNotFound: the archive does not exist, or is deleted.
        :raises ProviderConflict: it cannot become that from what it is (``archive_status``), or it cannot be uploaded
            because no storage is set (``no_storage``).
        """
        with self._state.write() as database:
            row = _get_row(database, archive_id)
            if status not in NEXT[ArchiveStatus(row["status"])]:
                raise ProviderConflict(
                    f"An archive that is {row['status']} does not become {status}.", provider_code="archive_status"
                )
            if status is ArchiveStatus.UPLOADED and self._find_storage(database, archive_id) is None:
                raise ProviderConflict("No storage is set to which to upload.", provider_code="no_storage")
            return self._change(database, row, status, reason)

    def delete(self, archive_id: str) -> None:
        """Delete an archive. Succeeds if it is already gone.

        :raises ProviderConflict: it is being recorded (``archive_status``).
        """
        try:
            self.change(archive_id, ArchiveStatus.DELETED)
        except ProviderResourceNotFound:
            return

    def set_storage(self, kind: str, configuration: dict[str, Any]) -> None:
        """Store where archives go. The configuration holds credentials: it stays here and is never read back."""
        with self._state.write() as database:
            database.execute(
                "INSERT OR REPLACE INTO storage (id, kind, configuration) VALUES (1, ?, ?)",
                (kind, json.dumps(configuration)),
            )

    def clear_storage(self) -> None:
        """Forget where archives go."""
        with self._state.write() as database:
            database.execute("DELETE FROM storage")

    def find_session_storage(self, database: sqlite3.Connection, session_id: str) -> StorageDestination | None:
        """Read where a session's archives go by its own request, inside the caller's transaction."""
        return _destination(
            database.execute("SELECT * FROM session_storage WHERE session_id = ?", (session_id,)).fetchone()
        )

    def find_storage(self, archive_id: str) -> StorageDestination | None:
        """Return where an archive goes: where its own request said, else where the setting says."""
        with self._state.read() as database:
            return self._find_storage(database, archive_id)

    def _find_storage(self, database: sqlite3.Connection, archive_id: str) -> StorageDestination | None:
        own = database.execute("SELECT * FROM archive_storage WHERE archive_id = ?", (archive_id,)).fetchone()
        return _destination(own or database.execute("SELECT * FROM storage").fetchone())

    def running(self, database: sqlite3.Connection, session_id: str) -> list[sqlite3.Row]:
        """Read what is being recorded in a session, inside the caller's transaction."""
        sql = "SELECT * FROM archive WHERE session_id = ? AND status IN (?, ?) ORDER BY number"
        return database.execute(sql, (session_id, *RUNNING)).fetchall()

    def _change(
        self, database: sqlite3.Connection, row: sqlite3.Row, status: ArchiveStatus, reason: str | None
    ) -> ArchiveState:
        now = self._clock()
        duration_seconds, size_bytes = row["duration_seconds"], row["size_bytes"]
        if row["status"] in RUNNING and status not in RUNNING:
            elapsed = now - datetime.fromisoformat(row["created_at"])
            duration_seconds = max(0, elapsed // timedelta(seconds=1))  # a clock may be set back
            size_bytes = duration_seconds * BYTES_PER_SECOND
        archive_id, at = row["archive_id"], timestamp(now)
        database.execute(
            "UPDATE archive SET status = ?, reason = ?, updated_at = ?, duration_seconds = ?, size_bytes = ?"
            " WHERE archive_id = ?",
            (status, reason, at, duration_seconds, size_bytes, archive_id),
        )
        changed = database.execute("SELECT * FROM archive WHERE archive_id = ?", (archive_id,)).fetchone()
        archive = _state(changed)
        self._outbox.append_archive_event(database, archive, at)
        return archive


def _get_row(database: sqlite3.Connection, archive_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = database.execute(
        "SELECT * FROM archive WHERE archive_id = ? AND status != ?", (archive_id, ArchiveStatus.DELETED)
    ).fetchone()
    if row is None:
        raise ProviderResourceNotFound("The fake provider has no such archive.")
    return row


def _destination(row: sqlite3.Row | None) -> StorageDestination | None:
    return None if row is None else StorageDestination(row["kind"], json.loads(row["configuration"]))


def object_key(archive_id: str) -> str:
    """Return where in its storage an archive is put."""
    return f"fake/{archive_id}/archive.mp4"


def _state(row: sqlite3.Row) -> ArchiveState:
    return ArchiveState(
        archive_id=row["archive_id"],
        session_id=row["session_id"],
        provider_status=row["status"],
        status=ArchiveStatus(row["status"]),
        name=row["name"],
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
        duration_seconds=row["duration_seconds"],
        size_bytes=row["size_bytes"],
        reason=row["reason"],
        object_key=object_key(row["archive_id"]) if row["status"] == ArchiveStatus.UPLOADED else None,
        metadata=json.loads(row["metadata"]),
    )
