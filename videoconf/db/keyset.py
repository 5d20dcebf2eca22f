"""Lists that cost the same however many rows a tenant has: by cursor, or by pages with totals up to a cap.

A list has a total order (:class:`Order`), and an index that holds the rows of its filters in this order. A cursor is
the position of the last row that a client has: the next part begins behind it by one step in the index, whatever was
added or removed meanwhile. An offset would read what it skips.

Statements are built once for each shape, so all values are bound by name. LIMIT is written into the statement: with a
bound one PostgreSQL assumes a tenth of the table, and sorts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Integer,
    ScalarSelect,
    Select,
    bindparam,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.sql.selectable import GenerativeSelect

COUNTED = 10_000
"""Totals are exact up to this number, and pages end here."""

Item = TypeVar("Item")
Position = tuple[int | str | datetime, ...]
"""The values of an order's columns in one row."""


@dataclass(frozen=True)
class Order:
    """A total order: columns of which none is NULL in the list, the last one unique, all in one direction."""

    columns: tuple[Any, ...]
    descending: bool
    fixed: tuple[tuple[Any, Any], ...] = ()
    """Columns that stand directly before these in the index, each with the value that it has in the whole list.

    The list is asked for as a range of these columns, and sorted by them first: no other index has this order. By
    equality, PostgreSQL knows that they decide nothing in the order. It may then go by the primary key and read the
    rows with all other values; or it expects few rows, since most values have few, and reads and sorts all.
    """

    def within(self, values: Mapping[Any, Any]) -> Order:
        """Return the order of the rows in which these columns have these values."""
        return replace(self, fixed=tuple((column, literal(value, column.type)) for column, value in values.items()))

    @property
    def kinds(self) -> tuple[type, ...]:
        """The Python types of a position's values."""
        return tuple(column.type.python_type for column in self.columns)

    @property
    def sorted(self) -> list[ColumnElement[Any]]:
        """The ORDER BY of a SELECT from the table itself."""
        return self.by([*(column for column, _ in self.fixed), *self.columns])

    def by(self, columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
        """Return the ORDER BY of these columns, which stand for the order's own."""
        return [column.desc() if self.descending else column.asc() for column in columns]


@dataclass(frozen=True)
class Part:
    """Which part of a list a caller asks for: the rows behind a position, or a page."""

    limit: int
    after: Position | None = None
    """None: from the beginning."""
    offset: int | None = None
    """Not None: a page, with totals."""

    @property
    def shape(self) -> str:
        """What decides on the statement's text: ``page``, ``first`` or ``after``."""
        if self.offset is not None:
            return "page"
        return "first" if self.after is None else "after"

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of :func:`cut`."""
        if self.offset is not None:
            return {"list_limit": self.limit, "list_offset": self.offset}
        position = {f"after_{number}": value for number, value in enumerate(self.after or ())}
        return {"list_limit": self.limit + 1, **position}  # one more shows whether there are more


@dataclass(frozen=True)
class Listed(Generic[Item]):
    """A part of a list."""

    items: list[Item]
    next: Position | None = None
    """The position of the last item, where the list goes on behind it; None of a page."""
    total: int | None = None
    """How many there are, at most :data:`COUNTED`; None of a part by cursor."""
    is_capped: bool = False
    """There are more than ``total``."""


def cut(source: Select[Any], order: Order, shape: str) -> Select[Any]:
    """Cut a part of this shape out of a SELECT; :attr:`Part.values` are its parameters."""
    return rows_of(_ordered(source, order, shape), shape)


def cut_merged(sources: Sequence[tuple[Select[Any], Order]], shape: str) -> CompoundSelect[Any]:
    """Cut a part out of the rows of several SELECTs of the same columns, which go into one order.

    Each is cut by itself, so that it reads no more than its index has of the part.
    """
    limit, offset = (bindparam(f"list_{name}", type_=Integer, literal_execute=True) for name in ("limit", "offset"))
    some = _union([_ordered(*source, shape).limit(limit + offset if shape == "page" else limit) for source in sources])
    by_name: list[ColumnElement[Any]] = [literal_column(column.key) for column in sources[0][1].columns]
    some = some.order_by(*sources[0][1].by(by_name)).limit(limit)
    return some.offset(offset) if shape == "page" else some


def _union(parts: Sequence[Select[Any]]) -> CompoundSelect[Any]:
    return union_all(*(select(part.subquery()) for part in parts))  # SQLite wants a SELECT around each that is limited


def _ordered(source: Select[Any], order: Order, shape: str) -> Select[Any]:
    """Put a SELECT in order, from where a part of this shape begins."""
    columns, last = order.columns, position_binds(order)
    if order.fixed:
        before, values = [tuple(one) for one in zip(*order.fixed, strict=True)]
        bounds = [tuple_(*before) >= tuple_(*values), tuple_(*before) <= tuple_(*values)]
        # The position is within the bound at which the list begins. With both, PostgreSQL begins at the bound.
        source = source.where(*(bounds if shape != "after" else bounds[:1] if order.descending else bounds[1:]))
        columns, last = (*before, *columns), [*values, *last]
    if shape == "after":
        here, behind = tuple_(*columns), tuple_(*last)
        source = source.where(here < behind if order.descending else here > behind)
    return source.order_by(*order.sorted)


def rows_of(source: Select[Any], shape: str) -> Select[Any]:
    """Limit a SELECT that is in order already, and begins where the part does, if that is not a page."""
    source = source.limit(bindparam("list_limit", type_=Integer, literal_execute=True))
    return source.offset(bindparam("list_offset", type_=Integer)) if shape == "page" else source


def position_binds(order: Order) -> list[BindParameter[Any]]:
    """Return the parameters that hold a position."""
    # A cursor's number may be beyond the 32 bits of an id: it is then larger than every id, and not an error.
    kinds = (BigInteger() if column.type.python_type is int else column.type for column in order.columns)
    return [bindparam(f"after_{number}", type_=kind) for number, kind in enumerate(kinds)]


def total(source: Select[Any], order: Order) -> ScalarSelect[Any]:
    """Count a SELECT's rows up to one more than :data:`COUNTED`, as an expression of a page's statement.

    Sorted, so that PostgreSQL goes by the index: looking for rows that may be few, it would read the table.
    """
    return count_of(_ordered(source, order, "first"))


def total_merged(sources: Sequence[tuple[Select[Any], Order]]) -> ScalarSelect[Any]:
    """Count the rows of several SELECTs, as :func:`total` does those of one."""
    return count_of(_union([_ordered(*source, "first").limit(_COUNTED) for source in sources]))


def count_of(source: GenerativeSelect) -> ScalarSelect[Any]:
    """Count the rows of a SELECT that is in order already."""
    counted = source.limit(_COUNTED).subquery("counted")
    return select(func.count()).select_from(counted).scalar_subquery()


_COUNTED: ColumnElement[Any] = literal_column(str(COUNTED + 1))


def part_of(part: Part, rows: Sequence[Item], positions: Sequence[Position], counted: int | None) -> Listed[Item]:
    """Return what the rows of :func:`cut` are: a page, or a part and where the next one begins.

    :param counted: the value of :func:`total`, of a page.
    """
    if counted is not None:
        return Listed(list(rows), total=min(counted, COUNTED), is_capped=counted > COUNTED)
    more = len(rows) > part.limit
    return Listed(list(rows[: part.limit]), next=positions[part.limit - 1] if more else None)
