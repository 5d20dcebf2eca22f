"""The vendor's sessions, who is in them and what they publish."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from videoconf.errors import ProviderConflict, ProviderRejected, ProviderResourceNotFound
from videoconf.providers import ArchiveRequest, Clock, Role, RosterConnection, SessionRequest
from videoconf_fake.ids import DeriveId
from videoconf_fake.outbox import Outbox
from videoconf_fake.recorder import Recorder
from videoconf_fake.state import State
from videoconf_fake.tokens import Claims
from videoconf_fake.webhooks import timestamp

LEFT = "left"
FORCED = "forced"
NETWORK = "network"
ENDED = "ended"


@dataclass(frozen=True)
class Person:
    """A participant as the others see them."""

    connection_id: str
    name: str | None
    streams: frozenset[str]
    """The streams that are published and not muted."""


@dataclass(frozen=True)
class Look:
    """What a client sees of its room."""

    reason: str | None
    """Why its own connection ended; None while it is there."""
    people: Sequence[Person]


class Rooms:
    """Sessions, connections and streams. Thread-safe; every change queues its events."""

    def __init__(self, state: State, outbox: Outbox, recorder: Recorder, derive_id: DeriveId, clock: Clock) -> None:
        self._state = state
        self._outbox = outbox
        self._recorder = recorder
        self._derive_id = derive_id
        self._clock = clock

    def ensure(self, request: SessionRequest) -> str:
        """Make the session of a meeting, or find it: its id follows from the seed and the meeting's id."""
        session_id = self._derive_id("fs", request.meeting_id)
        with self._state.write() as database:
            database.execute(
                "INSERT OR IGNORE INTO session (session_id, archiving, end_to_end_encryption, options, created_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    session_id,
                    request.archiving,
                    request.end_to_end_encryption,
                    json.dumps(dict(request.options)),
                    timestamp(self._clock()),
                ),
            )
            if request.storage is not None:
                database.execute(
                    "INSERT OR IGNORE INTO session_storage (session_id, kind, configuration) VALUES (?, ?, ?)",
                    (session_id, request.storage.kind, json.dumps(dict(request.storage.configuration))),
                )
        return session_id

    def join(self, claims: Claims, *, with_token: bool) -> str:
        """Connect a participant and return the connection's id.

        :raises ProviderResourceNotFound: the session does not exist.
        :raises ProviderConflict: the session has ended (``session_ended``). A token that is still valid opens it all
            the same: a vendor's token is checked by its signature, and ending a session takes none back.
        """
        with self._state.write() as database:
            session = self._get_session(database, claims.session)
            if session["ended_at"] and not with_token:
                raise ProviderConflict("The session has ended.", provider_code="session_ended")
            is_first = not self._connected(database, claims.session)
            (number,) = database.execute("SELECT coalesce(max(number), 0) + 1 FROM connection").fetchone()
            at = timestamp(self._clock())
            connection_id = self._derive_id("fc", number, claims.session, at)
            database.execute(
                "INSERT INTO connection (number, connection_id, session_id, role, attendee, name, data, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    number,
                    connection_id,
                    claims.session,
                    claims.role,
                    claims.attendee,
                    claims.name,
                    claims.data,
                    at,
                ),
            )
            connection = self._get_connection(database, connection_id)
            self._outbox.append_connection_event(database, "connection.created", connection, at)
            if session["archiving"] and is_first and not self._recorder.running(database, claims.session):
                storage = self._recorder.find_session_storage(database, claims.session)
                self._recorder.begin(database, claims.session, ArchiveRequest(storage=storage))
        return connection_id

    def leave(self, connection_id: str, reason: str) -> None:
        """End one connection.

        :raises ProviderResourceNotFound: no connection has this id.
        """
        with self._state.write() as database:
            self._disconnect(database, self._get_connection(database, connection_id), reason)

    def disconnect(self, session_id: str, connection_id: str) -> None:
        """Disconnect one connection. No effect if it has left or belongs to another session."""
        with self._state.write() as database:
            for connection in self._connected(database, session_id):
                if connection["connection_id"] == connection_id:
                    self._disconnect(database, connection, FORCED)

    def end(self, session_id: str) -> None:
        """End a session: disconnect all participants, with leave events, and stop running archives. Idempotent."""
        with self._state.write() as database:
            at = timestamp(self._clock())
            for connection in self._connected(database, session_id):
                self._disconnect(database, connection, FORCED, shown=ENDED)
            self._recorder.stop_all(database, session_id, "session_ended")
            database.execute(
                "UPDATE session SET ended_at = coalesce(ended_at, ?) WHERE session_id = ?", (at, session_id)
            )

    def close(self, session_id: str) -> None:
        """Close a session's run. Participants get no leave event of their own: the closing implies it.

        :raises ProviderResourceNotFound: the session does not exist.
        """
        with self._state.write() as database:
            self._get_session(database, session_id)
            at = timestamp(self._clock())
            for connection in self._connected(database, session_id):
                self._forget(database, connection, at, ENDED)
            self._recorder.stop_all(database, session_id, "session_closed")
            self._outbox.append_session_closed(database, session_id, at)

    def publish(self, connection_id: str, stream_id: str) -> None:
        """Start a stream. No effect if it is already published.

        :raises ProviderResourceNotFound: no connection has this id.
        :raises ProviderRejected: the connection may only receive (``role_forbids``).
        """
        with self._state.write() as database:
            connection = self._get_connection(database, connection_id)
            if connection["role"] == Role.SUBSCRIBER:
                raise ProviderRejected("A subscriber does not publish.", provider_code="role_forbids")
            made = database.execute(
                "INSERT OR IGNORE INTO stream (connection_id, stream_id) VALUES (?, ?)", (connection_id, stream_id)
            )
            if made.rowcount:
                self._tell_stream(database, "stream.created", connection, stream_id, muted=False)

    def unpublish(self, connection_id: str, stream_id: str) -> None:
        """Stop a stream.

        :raises ProviderResourceNotFound: no connection has this id, or publishes this stream.
        """
        with self._state.write() as database:
            connection = self._get_connection(database, connection_id)
            gone = database.execute(
                "DELETE FROM stream WHERE connection_id = ? AND stream_id = ? RETURNING muted",
                (connection_id, stream_id),
            ).fetchone()
            if gone is None:
                raise ProviderResourceNotFound("The connection does not publish this stream.")
            self._tell_stream(database, "stream.destroyed", connection, stream_id, muted=bool(gone["muted"]))

    def mute(self, session_id: str, connection_id: str | None) -> None:
        """Mute the streams of one connection, or with None of all. No effect for a connection of another session."""
        with self._state.write() as database:
            for connection in self._connected(database, session_id):
                if connection_id not in (None, connection["connection_id"]):
                    continue
                muted = database.execute(
                    "UPDATE stream SET muted = 1 WHERE connection_id = ? AND NOT muted RETURNING stream_id",
                    (connection["connection_id"],),
                ).fetchall()
                for stream_id in sorted(row["stream_id"] for row in muted):
                    self._tell_stream(database, "stream.updated", connection, stream_id, muted=True)

    def list_connections(self, session_id: str) -> Sequence[RosterConnection]:
        """Read who is connected, in the order of joining."""
        with self._state.read() as database:
            return [
                RosterConnection(
                    row["connection_id"], row["attendee"], row["name"], datetime.fromisoformat(row["created_at"])
                )
                for row in self._connected(database, session_id)
            ]

    def look(self, connection_id: str) -> Look:
        """Read what the client of a connection sees.

        :raises ProviderResourceNotFound: no connection ever had this id.
        """
        with self._state.read() as database:
            own = database.execute(
                "SELECT session_id, reason FROM connection LEFT JOIN departure USING (connection_id)"
                " WHERE connection_id = ?",
                (connection_id,),
            ).fetchone()
            if own is None:
                raise ProviderResourceNotFound("No connection has this id.")
            people = [
                Person(row["connection_id"], row["name"], frozenset(self._heard_streams(database, row)))
                for row in self._connected(database, own["session_id"])
            ]
        return Look(own["reason"], people)

    def _heard_streams(self, database: sqlite3.Connection, connection: sqlite3.Row) -> list[str]:
        sql = "SELECT stream_id FROM stream WHERE connection_id = ? AND NOT muted"
        return [row["stream_id"] for row in database.execute(sql, (connection["connection_id"],))]

    def list_sessions(self) -> Sequence[str]:
        """Read the ids of all sessions, oldest first."""
        with self._state.read() as database:
            return [row["session_id"] for row in database.execute("SELECT session_id FROM session ORDER BY rowid")]

    def _connected(self, database: sqlite3.Connection, session_id: str) -> list[sqlite3.Row]:
        sql = "SELECT * FROM connection WHERE session_id = ? AND left_at IS NULL ORDER BY number"
        return database.execute(sql, (session_id,)).fetchall()

    def _get_session(self, database: sqlite3.Connection, session_id: str) -> sqlite3.Row:
        row: sqlite3.Row | None = database.execute(
            "SELECT * FROM session WHERE session_id = ?", (session_id,)
        ).fetchone()
        if row is None:
            raise ProviderResourceNotFound("The fake provider has no such session.")
        return row

    def _get_connection(self, database: sqlite3.Connection, connection_id: str) -> sqlite3.Row:
        row: sqlite3.Row | None = database.execute(
            "SELECT * FROM connection WHERE connection_id = ? AND left_at IS NULL", (connection_id,)
        ).fetchone()
        if row is None:
            raise ProviderResourceNotFound("No connection has this id.")
        return row

    def _disconnect(
        self, database: sqlite3.Connection, connection: sqlite3.Row, reason: str, *, shown: str | None = None
    ) -> None:
        """End a connection.

        :param shown: what its own client sees as the reason, where that is another than the event's.
        """
        at = timestamp(self._clock())
        self._forget(database, connection, at, shown or reason)
        self._outbox.append_connection_event(database, "connection.destroyed", connection, at, reason=reason)

    def _forget(self, database: sqlite3.Connection, connection: sqlite3.Row, at: str, reason: str) -> None:
        connection_id = connection["connection_id"]
        database.execute("INSERT INTO departure (connection_id, reason) VALUES (?, ?)", (connection_id, reason))
        database.execute("DELETE FROM stream WHERE connection_id = ?", (connection_id,))
        database.execute("UPDATE connection SET left_at = ? WHERE connection_id = ?", (at, connection_id))

    def _tell_stream(
        self, database: sqlite3.Connection, type: str, connection: sqlite3.Row, stream_id: str, *, muted: bool
    ) -> None:
        stream = {"id": stream_id, "muted": muted}
        self._outbox.append_connection_event(database, type, connection, timestamp(self._clock()), stream=stream)
