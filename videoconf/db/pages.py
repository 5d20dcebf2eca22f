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


def list_objects(statement: Select[Any], order: Order, part: Part) -> Listed[Any]:
    """Return a part of the objects that a statement selects, in an order by one column."""
    found = listed(statement, order, part)
    return replace(found, items=[one for (one,) in found.items])
