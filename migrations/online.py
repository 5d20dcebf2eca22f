"""Changes of large tables that let writers go on, for revisions. On SQLite, with its one writer, each is a plain one.

On PostgreSQL an index is built beside the writers (CONCURRENTLY), which is not possible in a transaction, and rows are
changed in small transactions. What a revision did here stays when it fails later: each function may be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import sqlalchemy as sa
from alembic import context, op

LOCK_TIMEOUT = "500ms"
"""How long a change may wait for a table: all queries that come after it wait behind it."""
ROWS_PER_BATCH = 1000


def is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


@contextmanager
def beside_writers() -> Iterator[None]:
    """Run statements outside a transaction, which may wait as long as others' transactions take."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        try:
            yield
        finally:
            op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column that may be NULL, which rewrites no row; one that an earlier attempt added stays."""
    op.add_column(table, column, if_not_exists=True if is_postgresql() else None)


def create_index(name: str, table: str, columns: Sequence[Any], *, where: str | None = None, **options: Any) -> None:
    """Create an index, on PostgreSQL beside the writers. One that an earlier attempt left unfinished is replaced."""
    condition: dict[str, Any] = {}
    if where is not None:
        condition = {"postgresql_where": sa.text(where), "sqlite_where": sa.text(where)}
    if not is_postgresql():
        op.create_index(name, table, columns, **condition)
        return
    with beside_writers():
        if not context.is_offline_mode() and op.get_bind().scalar(sa.text(_IS_INVALID), {"name": name}):
            op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)
        options |= {"postgresql_concurrently": True, "if_not_exists": True}
        op.create_index(name, table, columns, **condition, **options)


_IS_INVALID = """
    SELECT EXISTS (
        SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE relname = :name AND pg_table_is_visible(indrelid) AND NOT indisvalid
    )
"""


def drop_index(name: str, table: str) -> None:
    """Drop an index, on PostgreSQL beside the writers."""
    if not is_postgresql():
        op.drop_index(name, table)
        return
    with beside_writers():
        op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)


def for_each_range(table: str, key: str, statement: str) -> None:
    """Run a statement with ``:first`` and ``:last`` for each range of an integer key, each in its own transaction.

    A range has :data:`ROWS_PER_BATCH` rows, however far their keys are apart, and all rows of its last key.

    :param statement: changes the rows of one range and may be repeated.
    """
    if context.is_offline_mode():
        op.execute(f"-- for each range of {table}.{key}, first to last: {' '.join(statement.split())}")
        return
    bind = op.get_bind()
    ahead = f"SELECT {key} FROM {table} WHERE {key} > :last ORDER BY {key} LIMIT {ROWS_PER_BATCH}"  # noqa: S608  # names of ours
    bounds = sa.text(f"SELECT min({key}), max({key}) FROM ({ahead}) AS ahead")  # noqa: S608
    with beside_writers() if is_postgresql() else nullcontext():
        first, last = bind.execute(bounds, {"last": -1}).one()
        while first is not None:
            bind.execute(sa.text(statement), {"first": first, "last": last})
            first, last = bind.execute(bounds, {"last": last}).one()
