"""How a revision reaches the database. Flask-Migrate runs this inside an application context; no provider is needed."""

from __future__ import annotations

import time
from typing import Any, Literal

import click
from alembic import context
from alembic.autogenerate.api import AutogenContext
from flask import current_app
from sqlalchemy import JSON, Connection, Engine, func, select
from sqlalchemy.exc import OperationalError
from videoconf_migrations import OWN, SHARED, version_table
from videoconf_migrations.online import LOCK_TIMEOUT

from videoconf.api.database import POOLER
from videoconf.db.engine import DIRECT_BIND
from videoconf.db.faults import WITHOUT_DIRECT_URL, look
from videoconf.db.transactions import ATOMIC
from videoconf.db.types import UTCDateTime, db

LOCK = 0x766964656F636F6E  # "videocon": one lock of the database, known to every node
TIMEOUTS = (
    f"SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '{LOCK_TIMEOUT}'"
)
POLL_SECONDS = 0.2
ATTEMPTS = 8
PAUSE_SECONDS = 0.5
LOCK_NOT_AVAILABLE = "55P03"


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write our column types as plain ones: a revision must mean the same when the code has long moved on."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, JSON):
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return "sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')"
    return False


def fit_engine() -> Engine:
    """Return the engine of the connection that migrates: past the pooler, where there is one.

    :raises click.ClickException: nothing can be migrated there.
    """
    if (engine := db.engines.get(DIRECT_BIND)) is None:
        engine = db.engine
        if current_app.config[POOLER] == "transaction":
            raise click.ClickException(str(WITHOUT_DIRECT_URL))
    if faults := [str(fault) for fault in look(engine, to_migrate=True).faults]:
        raise click.ClickException(" ".join(faults))
    return engine


def leave_out(name: str | None, kind: str, parents: Any) -> bool:
    """Leave a table out of comparisons that no model declares and that we write."""
    return (kind, name) != ("table", SHARED)


def prepare(connection: Connection) -> Connection:
    """Make a connection fit for changing a schema, alone among all nodes."""
    if connection.dialect.name == "sqlite":
        connection.detach()  # closing it really closes it, and with it go the settings made here
        # Batch mode replaces a table by a copy, and dropping the original would delete the rows that refer to it. The
        # switch does nothing inside a transaction, and SQLAlchemy's connection would begin one.
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA foreign_keys=OFF")
        cursor.execute("PRAGMA busy_timeout=60000")  # a second node waits, and longer than a request would
        return connection.execution_options(**ATOMIC["sqlite"])
    connection.execution_options(**ATOMIC["postgresql"])
    connection.exec_driver_sql(TIMEOUTS)
    connection.commit()
    # A node that migrates waits for another as long as that takes. It asks again and again, each time in a transaction
    # of its own: an index that is built beside the writers waits for all statements that began before, and would wait
    # for this one, which waits for it.
    while not connection.scalar(select(func.pg_try_advisory_lock(LOCK))):
        connection.commit()
        time.sleep(POLL_SECONDS)
    connection.commit()
    return connection


def configure(*, writes_shared: bool = True, **where: Any) -> None:
    is_sqlite = db.engine.dialect.name == "sqlite"
    context.configure(
        target_metadata=db.metadata,
        render_as_batch=True,
        compare_type=True,
        render_item=render_item,
        include_name=leave_out,
        version_table=OWN,
        on_version_apply=version_table.write_shared if writes_shared else None,
        transactional_ddl=True,  # SQLite has it too, once the driver no longer begins transactions by itself
        # On SQLite the one transaction of all revisions is what other nodes wait for.
        transaction_per_migration=not is_sqlite,
        **where,
    )
    with context.begin_transaction():
        if context.is_offline_mode() and not is_sqlite:
            context.execute(TIMEOUTS)
            if revision := context.get_starting_revision_argument():
                version_table.adopt_offline(str(revision))
        context.run_migrations()


def migrate(connection: Connection) -> None:
    """Run the revisions. One that does not get a table's lock soon gives up, and is tried again."""
    writes_shared = version_table.adopt(connection)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            configure(connection=connection, writes_shared=writes_shared)
        except OperationalError as error:
            connection.rollback()
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE or attempt == ATTEMPTS:
                raise
            time.sleep(PAUSE_SECONDS)  # those who waited behind it go on meanwhile
        else:
            return


if context.is_offline_mode():
    configure(url=db.engine.url, literal_binds=True)
else:
    with fit_engine().connect() as connection:
        try:
            migrate(prepare(connection))
        finally:
            if not connection.connection.is_detached:  # the pool must not lend it again, with its lock and its settings
                connection.invalidate()
