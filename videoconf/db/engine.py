"""Opening the database: its URL, the bounds of every wait, and what each new or pooled connection is set up with."""

from __future__ import annotations

import sqlite3
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from sqlalchemy import Connection, Engine, event, exc, make_url

from videoconf.errors import DatabaseUnavailable
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
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "checkout", _refuse_closed)


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


def _refuse_closed(connection: psycopg.Connection[Any], record: Any, proxy: Any) -> None:
    """Have the pool open another connection in place of one that the server closed while it lay idle.

    Reading what has come without waiting costs microseconds, and does not let go of the interpreter; a query for each
    checkout (SQLAlchemy's pre-ping) costs a round trip of every request.
    """
    try:
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()  # where the first has read the server's farewell, this one finds the end
    except psycopg.OperationalError as error:
        if "used" not in record.info:  # new, and closed already: after two, SQLAlchemy raises what may mean anything
            raise DatabaseUnavailable(retry_after_seconds=5) from error
        raise exc.DisconnectionError from error
    record.info["used"] = True
