"""Detect what is between the service and PostgreSQL: nothing, or a pooler that shares connections."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, text

from videoconf.db.bounds import BOUNDS, TIME_ZONE, UTC_NAMES

if TYPE_CHECKING:
    import psycopg

PROBE_SECONDS = 2.0
PROBES = 3


class Mode(StrEnum):
    """How long a client keeps one connection of PostgreSQL."""

    DIRECT = "direct"
    SESSION = "session"
    TRANSACTION = "transaction"


def find_mode(connection: Connection) -> Mode:
    """Find out whether a pooler answers, and in which mode. Takes a round trip where PostgreSQL answers itself.

    A pooler announces a process id of its own at the start of a session; PostgreSQL's function returns the server's.
    """
    driver: Any = connection.connection.driver_connection
    pid = connection.scalar(text("SELECT pg_backend_pid()"))
    connection.rollback()  # the pooler may have this one connection alone, and the probe needs it
    if pid == driver.info.backend_pid:
        return Mode.DIRECT
    return Mode.TRANSACTION if asyncio.run(_is_shared(_arguments(connection.engine))) else Mode.SESSION


def _arguments(engine: Engine) -> dict[str, Any]:
    _, arguments = engine.dialect.create_connect_args(engine.url)
    return {"connect_timeout": 2, "client_encoding": "utf8", **arguments}


async def _is_shared(arguments: Mapping[str, Any]) -> bool:
    """Return whether two clients that are both connected get the same connection of PostgreSQL, one after the other.

    In session mode the second may wait for a connection for as long as the first has one: then they do not share it.
    """
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            async with await _open(arguments) as first, await _open(arguments) as second:
                own = {await _server_of(first)}
                for _ in range(PROBES):
                    if await _server_of(second) in own:
                        return True
                    own.add(await _server_of(first))
                return len(own) > 1
    except TimeoutError:
        return False


async def _open(arguments: Mapping[str, Any]) -> psycopg.AsyncConnection[Any]:
    import psycopg  # which SQLite does without

    return await psycopg.AsyncConnection.connect(**arguments, autocommit=True, prepare_threshold=None)


async def _server_of(connection: psycopg.AsyncConnection[Any]) -> int:
    [pid] = await (await connection.execute("SELECT pg_backend_pid()")).fetchone() or [0]
    return int(pid)


def missing_bounds(connection: Connection) -> dict[str, str]:
    """Return the bounds that a new session of this role would not have, with the values that they should have.

    Looks at what ``RESET`` would restore: what another client of the pooler set in this session does not count.
    """
    found = connection.execute(text("SELECT name, reset_val FROM pg_settings WHERE name = ANY(:names)"), _NAMES)
    present = {row.name: _TIMES.get(row.reset_val, row.reset_val) for row in found}
    return {name: value for name, value in _WANTED.items() if present.get(name) != value}


_WANTED = {**BOUNDS, "TimeZone": TIME_ZONE}
_NAMES = {"names": list(_WANTED)}
_TIMES = {f"{value[:-1]}000": value for value in BOUNDS.values()} | dict.fromkeys(UTC_NAMES, TIME_ZONE)
"""As PostgreSQL shows what was set, in milliseconds."""


def as_statements(role: str, bounds: Mapping[str, str]) -> str:
    """Return the SQL that gives a role these bounds."""
    quoted = '"' + role.replace('"', '""') + '"'
    return " ".join(f"ALTER ROLE {quoted} SET {name} = '{value}';" for name, value in bounds.items())


def leads_to_the_same(engine: Engine, other: Engine) -> bool:
    """Return whether two engines lead to one database of one PostgreSQL."""
    identity = text(
        "SELECT oid, (SELECT system_identifier FROM pg_control_system())"
        " FROM pg_database WHERE datname = current_database()"
    )
    with engine.connect() as one, other.connect() as another:
        return one.execute(identity).one() == another.execute(identity).one()
