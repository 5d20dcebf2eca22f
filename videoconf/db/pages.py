"""One page of a list that is sorted by id, newest first."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, literal_column, select

from videoconf.db.transactions import read

COUNTED = 10_000
"""A total is exact up to here. Counting a whole large table would take longer than a statement may."""


def newest_first(statement: Select[Any], key: Any, page: int, page_size: int) -> tuple[list[Any], int]:
    """Return one page of a statement's rows, and how many there are, counted up to :data:`COUNTED`.

    :param key: the column that the list is sorted by.
    """
    # Inlined: with a bound LIMIT PostgreSQL assumes that it cuts off nine tenths, and scans the table.
    counted = statement.with_only_columns(key).limit(literal_column(str(COUNTED))).subquery()
    some = statement.order_by(key.desc()).limit(page_size).offset((page - 1) * page_size)
    with read() as session:
        total = session.execute(select(func.count()).select_from(counted)).scalar_one()
        return list(session.execute(some).all()), total
