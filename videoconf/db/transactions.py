"""Transactions: the ways into the database.

:func:`read` and :func:`write` lend a session, for entities. :func:`autocommit` and :func:`begin` lend a connection, for
the hot paths, which run statements on tables alone. :func:`snapshot` is for reads that span several statements.

SQLite is the embedded default; PostgreSQL serves more than one node. Stored times come from the database's clock
(:class:`~videoconf.db.functions.utc_now`), so nodes with different clocks agree; provider times come from the provider.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, String, bindparam, exc, func, select
from sqlalchemy.orm import Session

from videoconf.db.failures import raise_translated
from videoconf.db.types import db
from videoconf.errors import InternalError

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
        raise_translated(error)
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
        raise_translated(error)
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
        raise_translated(error)
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
        raise_translated(error)
        raise
    finally:
        session.close()


def lock(transaction: Transaction, name: str) -> None:
    """Hold a named lock until the transaction ends. On SQLite the write transaction itself is the lock."""
    if dialect_of(transaction) == "postgresql":
        transaction.execute(_LOCK, {"name": name})


_LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name", type_=String), 0)))
