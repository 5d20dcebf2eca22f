"""A list of a statement's rows in the order of one column, all of them or those where other columns have one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Select, literal, select

from videoconf.db import keyset
from videoconf.db.keyset import Listed, Order, Part
from videoconf.db.transactions import read


def by_id(key: Any) -> Order:
    """Return the order of such a list."""
    return Order((key,), descending=True)


def newest_first(statement: Select[Any], key: Any, part: Part, within: Mapping[Any, Any] | None = None) -> Listed[Any]:
    """Return a part of a statement's rows.

    :param key: the column that the list is sorted by.
    :param within: the columns that an index has before it, and their values in the list.
    """
    return listed(statement, by_id(key), part, within)


def listed(statement: Select[Any], order: Order, part: Part, within: Mapping[Any, Any] | None = None) -> Listed[Any]:
    """Return a part of a statement's rows, in an order by one column."""
    [key] = order.columns
    order = replace(order, within=bound(within or {}))
    some = keyset.cut(statement.add_columns(key.label("position")), order, part.shape)
    with read() as session:
        counted = None
        if part.offset is not None:
            counted = session.execute(select(keyset.total(statement.with_only_columns(key), order))).scalar_one()
        rows = session.execute(some, part.values).all()
    return keyset.part_of(part, [tuple(row[:-1]) for row in rows], [(row.position,) for row in rows], counted)


def bound(within: Mapping[Any, Any]) -> tuple[tuple[Any, Any], ...]:
    """Return columns and their values for :attr:`Order.within`."""
    return tuple((column, literal(value, column.type)) for column, value in within.items())
