"""The state of the fake vendor: one SQLite database, in memory or in a file."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from videoconf.errors import ProviderBusy, ProviderUnavailable
from videoconf.providers import seconds_left

LOCK_WAIT_SECONDS = 5.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS session (
    session_id TEXT PRIMARY KEY,
    archiving INTEGER NOT NULL,
    end_to_end_encryption INTEGER NOT NULL,
    options TEXT NOT NULL,
    created_at TEXT NOT NULL,
    ended_at TEXT
);
CREATE TABLE IF NOT EXISTS connection (
    number INTEGER PRIMARY KEY,
    connection_id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL,
    role TEXT NOT NULL,
    attendee TEXT,
    name TEXT,
    data TEXT,
    created_at TEXT NOT NULL,
    left_at TEXT
);
CREATE INDEX IF NOT EXISTS connection_session ON connection (session_id) WHERE left_at IS NULL;
CREATE TABLE IF NOT EXISTS departure (
    connection_id TEXT PRIMARY KEY,
    reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS stream (
    connection_id TEXT NOT NULL,
    stream_id TEXT NOT NULL,
    muted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (connection_id, stream_id)
);
CREATE TABLE IF NOT EXISTS archive (
    number INTEGER PRIMARY KEY,
    archive_id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL,
    status TEXT NOT NULL,
    name TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    duration_seconds INTEGER,
    size_bytes INTEGER,
    reason TEXT,
    metadata TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS archive_session ON archive (session_id);
CREATE TABLE IF NOT EXISTS storage (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    kind TEXT NOT NULL,
    configuration TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS session_storage (
    session_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    configuration TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS archive_storage (
    archive_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    configuration TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS event (
    number INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL,
    body TEXT NOT NULL,
    delivered INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS event_waiting ON event (number) WHERE NOT delivered;
"""


class State:
    """The database, opened when first used. Shared by threads; a file is shared by processes too.

    No statement fails half: each block is one transaction, and an error inside it undoes the whole block.

    :param path: a file, created if it does not exist; empty for memory of this instance alone.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run a block that reads and writes, alone among all threads and processes.

        :raises ProviderBusy: others wrote for too long; nothing was done.
        :raises ProviderUnavailable: the file cannot be used; nothing was done.
        """
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Run a block that only reads, on one consistent state. Raises as :meth:`write` does."""
        with self._transaction("BEGIN") as connection:
            yield connection

    def close(self) -> None:
        """Close the database; memory is lost. May be called twice."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        # The core gives a provider call a deadline; a vendor that waits longer cannot be tested with.
        wait_seconds = min(LOCK_WAIT_SECONDS, seconds_left())
        if not self._lock.acquire(timeout=wait_seconds):
            raise ProviderBusy
        try:
            connection = self._open(wait_seconds)
            connection.execute(f"PRAGMA busy_timeout = {int(wait_seconds * 1000)}")
            connection.execute(begin)
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.rollback()  # does nothing after a commit
        except sqlite3.DatabaseError as error:
            busy = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
            raise (ProviderBusy if busy else ProviderUnavailable)(provider_message=str(error)) from error
        finally:
            self._lock.release()

    def _open(self, wait_seconds: float) -> sqlite3.Connection:
        # A server forks its workers after the application was made, and SQLite forbids using a connection across a
        # fork: two processes would take each other's file locks for their own. The child opens its own and leaves
        # the parent's unclosed. Memory is copied by the fork and stays.
        if self._connection is not None and (not self._path or self._pid == os.getpid()):
            return self._connection
        if self._path:
            # The file holds storage credentials; its -wal and -shm take over its mode. One that exists is not touched:
            # closing a file drops all locks that this process has on it, those of another connection too.
            with suppress(FileExistsError):
                Path(self._path).touch(mode=0o600, exist_ok=False)
        connection = sqlite3.connect(
            self._path or ":memory:", timeout=wait_seconds, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        try:
            _use_wal(connection, wait_seconds)
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
        except BaseException:
            connection.close()
            raise
        self._connection, self._pid = connection, os.getpid()
        return connection


def _use_wal(connection: sqlite3.Connection, wait_seconds: float) -> None:
    """Turn on the write-ahead log.

    SQLite does not wait here, whatever its busy timeout: of several processes that open a new file at once, all but
    one get "database is locked" immediately. So we try again until the file has been turned over.
    """
    give_up_at = time.monotonic() + wait_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_at:
                raise
            time.sleep(0.01)
        else:
            return
