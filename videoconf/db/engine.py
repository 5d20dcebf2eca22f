"""Opening the database: its URL, the bounds of every wait, and what each new or pooled connection is set up with."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Engine, event, exc, make_url

from videoconf.shares import Share

SQLITE_WAIT_SECONDS = 5.0
"""How long a writer waits for another to finish."""

POOL_WAIT_SECONDS = {"sqlite": SQLITE_WAIT_SECONDS, "postgresql": 1.0}
"""How long a thread waits for a pooled connection."""


def engine_options(url: str, pool_size: int) -> dict[str, Any]:
    """Return what an engine for this URL is made with: every wait is bounded."""
    # A failing statement would repeat its parameters in the log.
    common = {"pool_size": pool_size, "max_overflow": 0, "hide_parameters": True}
    if not url.startswith("postgresql"):
        return {**common, "connect_args": {"timeout": SQLITE_WAIT_SECONDS}, "pool_timeout": POOL_WAIT_SECONDS["sqlite"]}
    session_limits = "-c statement_timeout=3s -c lock_timeout=1s -c idle_in_transaction_session_timeout=10s"
    return {
        **common,
        "pool_timeout": POOL_WAIT_SECONDS["postgresql"],
        "pool_recycle": 1800,
        "skip_autocommit_rollback": True,  # a connection that has no transaction needs none undone
        "connect_args": {
            "connect_timeout": 2,
            "options": f"{session_limits} -c timezone=UTC",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        },
    }


_shares: WeakKeyDictionary[Engine, Share] = WeakKeyDictionary()


def tenant_share(engine: Engine) -> tuple[Share, float]:
    """Return how many of an engine's connections one tenant may use, and how long it waits for one of them.

    A quarter of the pool, and at least one connection of two, stays for other tenants.
    """
    share = _shares.get(engine)
    if share is None:
        size = engine.pool.size()  # type: ignore[attr-defined]  # of a QueuePool
        share = _shares.setdefault(engine, Share(max(1, size - max(1, size // 4))))
    return share, POOL_WAIT_SECONDS[engine.dialect.name]


def url_faults(url: str) -> list[str]:
    """Say what forbids to open the database of this URL, with the remedy and without repeating the URL."""
    try:
        parsed = make_url(driver_url(url))
    except (exc.ArgumentError, ValueError):
        parsed = None
    if parsed is not None and parsed.drivername == "postgresql+psycopg":
        return []
    if parsed is not None and parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        path = parsed.database or ":memory:"
        if path.removeprefix("file:") != ":memory:" and parsed.query.get("mode") != "memory":
            return []
        return [
            "VIDEOCONF_DATABASE_URL must name a file, like sqlite:////absolute/path: in memory, each connection has a"
            " database of its own."
        ]
    return [
        "VIDEOCONF_DATABASE_URL must be a URL like postgresql://user:password@host/name, or sqlite:////absolute/path"
        " for a single node."
    ]


def driver_url(url: str) -> str:
    """Name psycopg 3 as the driver: what a bare ``postgresql://`` means depends on SQLAlchemy's version."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url


def prepare(engine: Engine) -> None:
    """Have an engine's connections opened, begun and checked as :mod:`.database` needs it. To be called once for each.

    Each engine has its own listeners, and none that does nothing: SQLAlchemy takes 30 µs of a request to find out.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "do_connect", _create_privately)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        from videoconf.db.postgresql import refuse_closed  # with the driver, which SQLite does without

        event.listen(engine, "checkout", refuse_closed)


def make_folder(url: URL, folder: str) -> None:
    """Create the folder of a relative SQLite path, for the owner alone: the extension would let everybody read it."""
    path = url.database or ""
    if url.get_backend_name() == "sqlite" and not os.path.isabs(path) and not path.startswith("file:"):
        os.makedirs(folder, mode=0o700, exist_ok=True)


def _create_privately(dialect: Any, record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
    """Create the file for the owner alone before SQLite would let everybody read it. Its other files take its mode."""
    path = str(arguments[0]) if arguments else ""
    if path.startswith("file:"):
        path = urlsplit(path).path if "mode=ro" not in path else ""
    with suppress(OSError):  # it exists, or SQLite will say what is wrong
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _set_up_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself; _begin_sqlite does
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    begin = connection.get_execution_options().get("sqlite_begin", "BEGIN")
    if begin is not None:
        connection.exec_driver_sql(begin)
