"""Where the database's revision is written: a table of our own name, and Alembic's usual one beside it.

``alembic_version`` is what every program with Alembic writes: two of them in one database read each other's revision.
Releases before 0.3 wrote it alone, so a revision of ours there is copied, and it is written as well until the next
major release: nodes that are still old, and a rollback, read on. One that belongs to another program is left alone.
"""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from videoconf_migrations import OWN, READ, READ_BEFORE, SHARED, is_ours

CREATE = f"CREATE TABLE IF NOT EXISTS {OWN} (version_num VARCHAR(32) NOT NULL CONSTRAINT {OWN}_pkc PRIMARY KEY)"


def adopt(connection: Connection) -> bool:
    """Copy the revision that releases before the own table wrote; return whether to write ``alembic_version`` too."""
    has_shared = inspect(connection).has_table(SHARED)
    own = _find(connection, READ)
    before = _find(connection, READ_BEFORE) if has_shared else None
    if own is None and is_ours(before):
        connection.execute(text(CREATE))
        connection.execute(text(f"INSERT INTO {OWN} VALUES (:revision)"), {"revision": before})  # noqa: S608  # a name of ours
        connection.commit()
        own = before
    return own is not None and own == before if has_shared else own is None


def _find(connection: Connection, statement: str) -> str | None:
    try:
        found: str | None = connection.scalar(text(statement))
    except DBAPIError:  # the table does not exist, or is another program's, which this role may not read
        found = None
    connection.rollback()
    return found


def adopt_offline(revision: str) -> None:
    """Write the SQL that copies the revision from which an upgrade begins."""
    context.execute(CREATE)
    context.execute(f"INSERT INTO {OWN} SELECT '{revision}' WHERE NOT EXISTS (SELECT FROM {OWN})")  # noqa: S608  # names of ours


def write_shared(*, step: Any, heads: set[str], **others: Any) -> None:
    """Write ``alembic_version`` as a revision was written to the own table. Called by Alembic after each."""
    [before] = step.source_revision_ids or [None]
    [now] = heads or [None]
    if before is None:
        context.execute(CREATE.replace(OWN, SHARED))
        context.execute(f"INSERT INTO {SHARED} VALUES ('{now}')")  # noqa: S608  # names of ours
    elif now is None:
        context.execute(f"DROP TABLE {SHARED}")
    else:
        context.execute(f"UPDATE {SHARED} SET version_num = '{now}' WHERE version_num = '{before}'")  # noqa: S608  # names of ours
