"""A list of a statement's rows in one order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Select, select

from videoconf.db import keyset
from videoconf.db.keyset import Listed, Order, Part
from videoconf.db.transactions import read


def by_id(key: Any) -> Order:
    """Return the order that has the newest first."""
    return Order((key,), descending=True)


def listed(statement: Select[Any], order: Order, part: Part) -> Listed[Any]:
    """Return a part of a statement's rows, in an order by one column."""
    [key] = order.columns
    some = keyset.cut(statement.add_columns(key.label("position")), order, part.shape)
    with read() as session:
        counted = None
        if part.offset is not None:
            counted = session.execute(select(keyset.total(statement.with_only_columns(key), order))).scalar_one()
        rows = session.execute(some, part.values).all()
    return keyset.part_of(part, [tuple(row[:-1]) for row in rows], [(row.position,) for row in rows], counted)


def list_counted(
    statement: Select[Any], count: Select[Any], order: Order, part: Part, values: dict[str, Any]
) -> Listed[Any]:
    """Return a part of the objects that a statement selects, whose rows carry the total; ``count`` is for no rows."""
    with read() as session:
        rows = session.execute(statement, {**values, **part.values}).all()
        total = rows[0].total if rows else 0
        if not rows and part.offset:
            total = session.execute(count, values).scalar_one()
    items = [row[0] for row in rows]
    positions = [tuple(getattr(one, column.key) for column in order.columns) for one in items]
    return keyset.part_of(part, items, positions, total if part.offset is not None else None)


def list_objects(statement: Select[Any], order: Order, part: Part) -> Listed[Any]:
    """Return a part of the objects that a statement selects, in an order by one column."""
    found = listed(statement, order, part)
    return replace(found, items=[one for (one,) in found.items])
