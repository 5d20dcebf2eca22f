"""Transactions: the three ways into the database.

:func:`read` and :func:`write` lend a session, for entities. :func:`statements` lends a connection, for the hot paths.

SQLite is the embedded default; PostgreSQL serves more than one node. Stored times come from the database's clock
(:class:`~videoconf.db.functions.utc_now`), so nodes with different clocks agree; provider times come from the provider.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, String, bindparam, exc, func, select
from sqlalchemy.orm import Session

from videoconf.db.engine import tenant_share
from videoconf.db.failures import raise_translated
from videoconf.db.types import db
from videoconf.errors import DatabaseBusy, InternalError
from videoconf.shares import tenant

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
    with _Place():
        session.info["writing"] = True
        try:
            session.close()  # a read that is still open would lend its transaction
            session.connection(execution_options=ATOMIC[db.engine.dialect.name])
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
def read(*, snapshot: bool = False) -> Iterator[Session]:
    """Lend a session for reads, without a transaction on PostgreSQL (two round trips fewer); in :func:`write`, join it.

    What is loaded stays usable after the block, detached. No pooled connection is held afterwards.

    :param snapshot: all statements of the block see one moment, so rows may come as they are asked for (``yield_per``).
    :raises DatabaseUnavailable: it cannot be reached or is busy.
    """
    session = db.session()
    if session.info.get("writing"):
        yield session
        return
    with _Place():
        try:
            if snapshot and db.engine.dialect.name == "postgresql":
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session
        except exc.SQLAlchemyError as error:
            raise_translated(error)
            raise
        finally:
            session.close()


@contextmanager
def statements(*, atomic: bool = False) -> Iterator[Connection]:
    """Lend a connection for statements on tables alone: on the hot paths, a session costs as much as a statement.

    Each statement is a transaction of its own. Results must be read to their ends, or SQLite goes on with the snapshot
    of one. What is done here is not part of a :func:`write` around it, and on SQLite waits for it in vain. No pooled
    connection is held afterwards.

    :param atomic: the block is one transaction, as in :func:`write`.
    :raises DatabaseUnavailable: it cannot be reached; :class:`DatabaseBusy`, :class:`DatabaseFull`: nothing was stored.
    :raises InternalError: an atomic block suppressed a failure that rolled it back: nothing was stored.
    """
    try:
        with _Place(), db.engine.connect() as connection:
            if options := (ATOMIC if atomic else _AUTOCOMMIT)[connection.dialect.name]:
                connection.execution_options(**options)
            if not atomic:
                yield connection
                return
            with connection.begin() as transaction:
                yield connection
                if not transaction.is_active:
                    raise InternalError("a failure within the transaction was suppressed")
    except exc.SQLAlchemyError as error:
        raise_translated(error)
        raise


class _Place:
    """Use one of the connections that the tenant being served may use; a block inside a block uses the outer one's."""

    __slots__ = ("_share", "_tenant")

    def __enter__(self) -> None:
        self._tenant = tenant.get()
        if self._tenant is not None:
            self._share, seconds = tenant_share(db.engine)
            if not self._share.enter(self._tenant, seconds):
                raise DatabaseBusy("This tenant uses its share of the database connections.", retry_after_seconds=1)

    def __exit__(self, *raised: object) -> None:
        if self._tenant is not None:
            self._share.leave(self._tenant)


ATOMIC: dict[str, dict[str, Any]] = {
    "postgresql": {"isolation_level": "READ COMMITTED"},
    "sqlite": {"sqlite_begin": "BEGIN IMMEDIATE"},
}
"""The options of a connection whose statements are one transaction, by database."""
# SQLAlchemy's AUTOCOMMIT of SQLite gives the connection back with the driver's own BEGIN switched on.
_AUTOCOMMIT: dict[str, dict[str, Any]] = {"postgresql": {}, "sqlite": {"sqlite_begin": None}}


def lock(transaction: Transaction, name: str) -> None:
    """Hold a named lock until the transaction ends. On SQLite the write transaction itself is the lock."""
    if dialect_of(transaction) == "postgresql":
        transaction.execute(_LOCK, {"name": name})


_LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name", type_=String), 0)))
