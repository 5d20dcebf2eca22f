"""The database: one base class, the column types, and the ways in.

These are :func:`read` and :func:`write` for entities; on the hot paths, which need but statements of tables,
:func:`autocommit` and :func:`begin`; and :func:`snapshot` for what is read in parts.

SQLite is the embedded default and PostgreSQL is for more than one node; what differs between them is in this file and
in :mod:`.engines`. Times that are stored come from the database's clock (:class:`utc_now`), so that nodes with
different clocks agree; provider times come from the provider.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    BigInteger,
    Connection,
    DateTime,
    Dialect,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    String,
    TypeDecorator,
    bindparam,
    exc,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session, registry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement, GenericFunction

from videoconf.errors import DatabaseBusy, DatabaseFull, DatabaseUnavailable, InternalError, SchemaNotReady

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time, stored and returned in UTC. SQLite drops offsets, so they are converted before they reach it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime reached the database")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        # Sessions on PostgreSQL are in UTC (engine_options), and so are the times of the driver already.
        return None if dialect.name == "postgresql" else super().result_processor(dialect, coltype)


BigId = BigInteger().with_variant(Integer, "sqlite")
"""Of tables that get rows with every event: 32 bits would last eight months at a hundred events a second. SQLite's ids
have 64, and it makes them for a column of this type alone."""
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class Base(DeclarativeBase):
    """Base of all models."""

    registry = registry(
        metadata=MetaData(naming_convention=NAMING_CONVENTION),
        type_annotation_map={datetime: UTCDateTime(), dict[str, Any]: Json, str: String(255), bytes: LargeBinary()},
    )


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False, "autoflush": False})

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


# --- expressions that the two databases spell differently -------------------------------------------------------


class utc_now(FunctionElement[datetime]):
    """The present by the database's clock."""

    type = UTCDateTime()
    inherit_cache = True


@compiles(utc_now, "postgresql")
def _utc_now_postgresql(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "clock_timestamp()"


@compiles(utc_now, "sqlite")
def _utc_now_sqlite(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    # The width of what SQLAlchemy stores, so that texts compare as times do.
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


class utc_in(FunctionElement[datetime]):
    """So many seconds from now, by the database's clock."""

    type = UTCDateTime()
    inherit_cache = True

    def __init__(self, seconds: float) -> None:
        super().__init__(literal(seconds, Double))


@compiles(utc_in, "postgresql")
def _utc_in_postgresql(element: utc_in, compiler: SQLCompiler, **kw: Any) -> str:
    return f"clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **kw)})"


@compiles(utc_in, "sqlite")
def _utc_in_sqlite(element: utc_in, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {compiler.process(element.clauses, **kw)} || ' seconds')"


class greatest(GenericFunction[Any]):
    """The larger of two values; a NULL does not count."""

    inherit_cache = True


class least(GenericFunction[Any]):
    """The smaller of two values; a NULL does not count."""

    inherit_cache = True


@compiles(greatest, "sqlite")
@compiles(least, "sqlite")
def _extreme_sqlite(element: GenericFunction[Any], compiler: SQLCompiler, **kw: Any) -> str:
    # SQLite's max(a, b) is NULL as soon as one of them is.
    a, b = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"coalesce({'max' if isinstance(element, greatest) else 'min'}({a}, {b}), {a}, {b})"


class by_code_point(FunctionElement[str]):
    """A text that is compared and sorted by its code points, as Python does, and not by a language's rules."""

    type = String()
    inherit_cache = True


@compiles(by_code_point, "postgresql")
def _by_code_point_postgresql(element: by_code_point, compiler: SQLCompiler, **kw: Any) -> str:
    return f'({compiler.process(element.clauses, **kw)}) COLLATE "C"'


@compiles(by_code_point, "sqlite")
def _by_code_point_sqlite(element: by_code_point, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)  # as it is by default


# --- transactions -----------------------------------------------------------------------------------------------

Transaction = Session | Connection
"""What is under way. Whatever runs statements of tables alone takes either."""


def dialect_of(transaction: Transaction) -> str:
    """Return which database it is: ``postgresql`` or ``sqlite``."""
    return (transaction.get_bind() if isinstance(transaction, Session) else transaction).dialect.name


@contextmanager
def entities(transaction: Transaction) -> Iterator[Session]:
    """Lend a session within a transaction that is under way; what it changed is flushed at the end of the block."""
    if isinstance(transaction, Session):
        yield transaction
        transaction.flush()
        return
    with Session(transaction, autoflush=False, expire_on_commit=False) as session:
        yield session
        session.flush()


@contextmanager
def write() -> Iterator[Session]:
    """One transaction that is committed at the end of the block, or rolled back by an exception.

    A block inside a block joins the outer one: operations flush, the outermost edge commits. Afterwards no pooled
    connection is held, so that a provider may be called. On SQLite the transaction is a writer from its first moment
    (BEGIN IMMEDIATE): a reader that becomes a writer fails at once instead of waiting.

    :raises DatabaseUnavailable: it cannot be reached; :class:`DatabaseBusy`, :class:`DatabaseFull`: nothing was stored.
    """
    session = db.session()
    if session.info.get("writing"):
        yield session
        return
    session.info["writing"] = True
    try:
        session.close()  # a read that is still open would lend its transaction
        session.connection(execution_options={"sqlite_begin": "BEGIN IMMEDIATE"})
        yield session
        session.commit()
    except BaseException as error:
        session.rollback()
        _raise_translated(error)
        raise
    finally:
        session.info["writing"] = False
        session.close()


@contextmanager
def read() -> Iterator[Session]:
    """Reads without a transaction of their own on PostgreSQL (two round trips fewer); inside :func:`write`, joins it.

    What is loaded stays usable after the block, detached. No pooled connection is held afterwards.

    :raises DatabaseUnavailable: it cannot be reached or is busy.
    """
    session = db.session()
    if session.info.get("writing"):
        yield session
        return
    try:
        if db.engine.dialect.name == "postgresql":
            session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        yield session
    except exc.SQLAlchemyError as error:
        _raise_translated(error)
        raise
    finally:
        session.close()


@contextmanager
def begin() -> Iterator[Connection]:
    """One transaction like :func:`write`, of a connection: on the hot paths, a session costs as much as a statement.

    What is done here is not part of a :func:`write` around it, for which SQLite has it wait in vain.

    :raises DatabaseUnavailable: as there.
    :raises InternalError: something in the block was rolled back and the block went on: nothing was stored.
    """
    with _connected({"sqlite_begin": "BEGIN IMMEDIATE"}) as connection, connection.begin() as transaction:
        yield connection
        if not transaction.is_active:
            raise InternalError("a failure within the transaction was not let through")


@contextmanager
def autocommit() -> Iterator[Connection]:
    """Lend a connection on which each statement is a transaction of its own.

    For the hot paths that need but one statement, of columns: a session, BEGIN and COMMIT cost more than the statement
    itself. What is done here is not part of a :func:`write` around it. Results are to be read to their ends, or SQLite
    goes on with the snapshot of one. No pooled connection is held afterwards.

    :raises DatabaseUnavailable: it cannot be reached; :class:`DatabaseBusy`, :class:`DatabaseFull`: nothing was stored.
    """
    with _connected(_AUTOCOMMIT[db.engine.dialect.name]) as connection:
        yield connection


@contextmanager
def _connected(options: dict[str, Any]) -> Iterator[Connection]:
    try:
        with db.engine.connect() as connection:
            yield connection.execution_options(**options)
    except exc.SQLAlchemyError as error:
        _raise_translated(error)
        raise


# SQLAlchemy's AUTOCOMMIT of SQLite gives the connection back with the driver's own BEGIN switched on.
_AUTOCOMMIT: dict[str, dict[str, Any]] = {
    "postgresql": {"isolation_level": "AUTOCOMMIT"},
    "sqlite": {"sqlite_begin": None},
}


@contextmanager
def snapshot() -> Iterator[Session]:
    """Reads that all see one moment, with rows that come as they are asked for (``yield_per``), not all at once.

    The connection is held until the block ends, so nothing in it waits for anybody else.

    :raises DatabaseUnavailable: it cannot be reached or is busy.
    """
    session = db.session()
    try:
        if db.engine.dialect.name == "postgresql":
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session
    except exc.SQLAlchemyError as error:
        _raise_translated(error)
        raise
    finally:
        session.close()


def lock(transaction: Transaction, name: str) -> None:
    """Hold a named lock until the transaction ends. On SQLite the write transaction itself is the lock."""
    if dialect_of(transaction) == "postgresql":
        transaction.execute(_LOCK, {"name": name})


_LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name", type_=String), 0)))


def _raise_translated(error: BaseException) -> None:
    if (ours := translated(error)) is not error:
        raise ours from error


def translated(error: BaseException) -> BaseException:
    """Turn what the driver raised into ours where it is the database's state; anything else stays as it is."""
    if isinstance(error, exc.TimeoutError):
        return DatabaseBusy("No database connection became free in time.", retry_after_seconds=1)
    if not isinstance(error, exc.DBAPIError):
        return error
    original = error.orig
    if isinstance(original, sqlite3.OperationalError):
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
    if state.startswith(("08", "57P", "25P03")):
        return DatabaseUnavailable(retry_after_seconds=5)
    if state in ("42P01", "42703"):  # no such table, no such column
        return SchemaNotReady(f"{SchemaNotReady.title}. {MIGRATE}", retry_after_seconds=5)
    return error


def _translated_sqlite(original: sqlite3.OperationalError, error: exc.DBAPIError) -> BaseException:
    name = getattr(original, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DatabaseBusy(retry_after_seconds=1)
    if name.startswith(("SQLITE_FULL", "SQLITE_READONLY")):
        return DatabaseFull(retry_after_seconds=5)
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR")):
        return DatabaseUnavailable(retry_after_seconds=5)
    if _NO_SCHEMA.match(str(original)):
        return SchemaNotReady(f"{SchemaNotReady.title}. {MIGRATE}", retry_after_seconds=5)
    return error


MIGRATE = "Run: flask --app videoconf.app db upgrade"
_NO_SCHEMA = re.compile(r"no such (table|column): |table \w+ has no column named ")
"""SQLite has no code for it."""
