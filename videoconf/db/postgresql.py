"""Pooled connections to PostgreSQL: each has its time limits, and one that the server has closed is not lent."""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy import exc

from videoconf.db.bounds import BOUNDS, TIME_ZONE, UTC_NAMES, WRONG_TIME_ZONE
from videoconf.errors import DatabaseUnavailable

_SET = "; ".join(f"SET {name} = '{value}'" for name, value in {**BOUNDS, "TimeZone": TIME_ZONE}.items())


def set_bounds(connection: psycopg.Connection[Any], record: Any) -> None:
    """Set the time limits of a new session. As start-up parameters, poolers would refuse them."""
    connection.execute(_SET.encode())


def require_utc(connection: psycopg.Connection[Any], record: Any) -> None:
    """Refuse a session in another time zone: the times that it returns are taken to be in UTC."""
    if connection.info.parameter_status("TimeZone") not in UTC_NAMES:
        connection.close()
        raise psycopg.OperationalError(WRONG_TIME_ZONE)


def refuse_closed(connection: psycopg.Connection[Any], record: Any, proxy: Any) -> None:
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
