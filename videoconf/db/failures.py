"""Translate the driver's errors into ours: unreachable, busy, full, or without the schema."""

from __future__ import annotations

import re
import sqlite3

from sqlalchemy import exc

from videoconf.errors import DatabaseBusy, DatabaseFull, DatabaseUnavailable, SchemaNotReady

LONGEST_CAUSE = 300


def raise_translated(error: BaseException) -> None:
    """Raise our own error in place of the driver's; return where the error stays as it is."""
    if (ours := translated(error)) is not error:
        raise ours from error


def translated(error: BaseException) -> BaseException:
    """Turn what the driver raised into ours where it is the database's state; anything else stays as it is."""
    ours = _translated(error)
    if ours is not error:
        ours.__cause__ = error
    return ours


def cause_of(error: BaseException) -> str:
    """Return what the driver said of a database that is unavailable, in brackets for the log; else an empty string."""
    cause = error.__cause__
    if not isinstance(error, DatabaseUnavailable | SchemaNotReady) or cause is None:
        return ""
    # Never SQLAlchemy's own text, which has the statement and its values.
    said = getattr(cause, "orig", None) or (cause if not isinstance(cause, exc.SQLAlchemyError) else "")
    return f" ({words[:LONGEST_CAUSE]})" if (words := " ".join(str(said).split())) else ""


def _translated(error: BaseException) -> BaseException:
    if isinstance(error, exc.TimeoutError):
        return DatabaseBusy("No database connection became free in time.", retry_after_seconds=1)
    if not isinstance(error, exc.DBAPIError):
        return error
    original = error.orig
    if isinstance(original, sqlite3.DatabaseError):
        return _translated_sqlite(original, error)
    state = getattr(original, "sqlstate", None)
    if state is None:
        # psycopg gives no state where the connection never came about or broke.
        broken = error.connection_invalidated or isinstance(error, exc.OperationalError | exc.InterfaceError)
        return DatabaseUnavailable(retry_after_seconds=5) if broken else error
    if state in ("57014", "55P03", "40001", "40P01") or state.startswith("533"):
        return DatabaseBusy(retry_after_seconds=1)
    if state.startswith("53") or state == "25006":
        return DatabaseFull(retry_after_seconds=5)
    # Privileges that the role lacks, and prepared statements that a pooler loses, are mended by an operator while
    # requests are answered with 503.
    if state.startswith(("08", "57P", "25P03")) or state in ("42501", "3F000", "26000", "42P05"):
        return DatabaseUnavailable(retry_after_seconds=5)
    if state in ("42P01", "42703"):  # no such table, no such column
        return SchemaNotReady(f"{SchemaNotReady.title}. {MIGRATE}", retry_after_seconds=5)
    return error


def _translated_sqlite(original: sqlite3.DatabaseError, error: exc.DBAPIError) -> BaseException:
    name = getattr(original, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DatabaseBusy(retry_after_seconds=1)
    if name.startswith(("SQLITE_FULL", "SQLITE_READONLY")):
        return DatabaseFull(retry_after_seconds=5)
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_PERM")):
        return DatabaseUnavailable(retry_after_seconds=5)
    if _NO_SCHEMA.match(str(original)):
        return SchemaNotReady(f"{SchemaNotReady.title}. {MIGRATE}", retry_after_seconds=5)
    return error


MIGRATE = "Run: videoconf db upgrade"
_NO_SCHEMA = re.compile(r"no such (table|column): |table \w+ has no column named ")
"""SQLite has no code for it."""
