"""How a revision reaches the database. Flask-Migrate runs this inside an application context; no provider is needed."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, Connection

from videoconf.db.types import UTCDateTime, db

LOCK = 0x766964656F636F6E  # "videocon": one lock of the database, known to every node


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write our column types as plain ones: a revision must mean the same when the code has long moved on."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, JSON):
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return "sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')"
    return False


def prepare(connection: Connection) -> Connection:
    """Make a connection fit for changing a schema, alone among all nodes."""
    # Closing a detached connection really closes it, and with it go the lock and the settings made here.
    connection.detach()
    if connection.dialect.name == "sqlite":
        # Batch mode replaces a table by a copy, and dropping the original would delete the rows that refer to it. The
        # switch does nothing inside a transaction, and SQLAlchemy's connection would begin one.
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA foreign_keys=OFF")
        cursor.execute("PRAGMA busy_timeout=60000")  # a second node waits, and longer than a request would
        return connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
    # A node that migrates may wait for another as long as that takes. A change that waits for a table's lock must give
    # up soon: all queries that came after it wait behind it.
    connection.exec_driver_sql("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
    connection.exec_driver_sql("SET lock_timeout = 0")
    connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK})")
    connection.exec_driver_sql("SET lock_timeout = '2s'")
    connection.commit()
    return connection


def configure(**where: Any) -> None:
    context.configure(
        target_metadata=db.metadata,
        render_as_batch=True,
        compare_type=True,
        render_item=render_item,
        transactional_ddl=True,  # SQLite has it too, once the driver no longer begins transactions by itself
        **where,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    configure(url=db.engine.url, literal_binds=True)
else:
    with db.engine.connect() as connection:
        configure(connection=prepare(connection))
