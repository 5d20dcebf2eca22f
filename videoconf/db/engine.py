"""Opening the database: its URL, the bounds of every wait, and what each new or pooled connection is set up with."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, event, make_url

from videoconf.shares import Share

SQLITE_WAIT_SECONDS = 5.0
"""How long a writer waits for another to finish."""

POOL_WAIT_SECONDS = {"sqlite": SQLITE_WAIT_SECONDS, "postgresql": 1.0}
"""How long a thread waits for a pooled connection."""


def engine_options(url: str, pool_size: int, pooler: str = "session") -> dict[str, Any]:
    """Return what an engine for this URL is made with: every wait is bounded. What the URL says itself wins.

    :param pooler: the setting ``VIDEOCONF_DATABASE_POOLER``.
    """
    # A failing statement would repeat its parameters in the log.
    common = {"pool_size": pool_size, "max_overflow": 0, "hide_parameters": True}
    given = make_url(url).query
    if not url.startswith("postgresql"):
        waits = {} if "timeout" in given else {"timeout": SQLITE_WAIT_SECONDS}
        return {**common, "connect_args": waits, "pool_timeout": POOL_WAIT_SECONDS["sqlite"]}
    arguments: dict[str, Any] = {name: value for name, value in _CONNECTION.items() if name not in given}
    if pooler == "transaction":
        arguments["prepare_threshold"] = None  # what one transaction prepares, the next does not find
    return {
        **common,
        "pool_timeout": POOL_WAIT_SECONDS["postgresql"],
        "pool_recycle": 1800,
        # Most requests only read, and to switch a connection to autocommit and back takes 30 µs.
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,  # a connection that has no transaction needs none undone
        "connect_args": arguments,
    }


_CONNECTION = {
    "connect_timeout": 2,
    "client_encoding": "utf8",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
DIRECT_BIND = "direct"
"""The name of the engine past the pooler, which commands that migrate use."""


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


def prepare(engine: Engine, pooler: str = "session") -> None:
    """Have an engine's connections opened, begun and checked as :mod:`.transactions` needs it. To be called once.

    Each engine has its own listeners, and none that does nothing: SQLAlchemy takes 30 µs of a request to find out.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "do_connect", _create_privately)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        from videoconf.db import postgresql  # with the driver, which SQLite does without

        begin = postgresql.require_utc if pooler == "transaction" else postgresql.set_bounds
        event.listen(engine, "connect", begin)
        event.listen(engine, "checkout", postgresql.refuse_closed)


def folder_faults(url: str, folder: str) -> list[str]:
    """Create the folder of a relative SQLite path, for the owner alone: the extension would let everybody read it.

    Return what forbids it, with the remedy.
    """
    made = make_url(url)
    path = made.database or ""
    if made.get_backend_name() != "sqlite" or os.path.isabs(path) or path.startswith("file:"):
        return []
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        return [
            f"The folder {folder} of the SQLite file cannot be created ({error.strerror}). Let this user write there,"
            " or set VIDEOCONF_DATABASE_URL to an absolute path: sqlite:////absolute/path."
        ]
    return []


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
