"""``INSERT … ON CONFLICT`` for both databases, whose dialects offer it under one name each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Insert

_INSERT: dict[str, Callable[[Any], Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def upserts(table: Any, build: Callable[[postgresql.Insert], Insert]) -> dict[str, Insert]:
    """Build an upsert once for each dialect; return the statements by dialect name.

    :param build: adds the conflict clause to a dialect's plain INSERT into the table; SQLite's has the same methods.
    """
    return {name: build(insert(table)) for name, insert in _INSERT.items()}


def inserts_once(table: Any, *key: str, returning: Any) -> dict[str, Insert]:
    """Build an INSERT that returns a column of the new row, and does nothing where a row has the same key."""
    return upserts(table, lambda statement: statement.on_conflict_do_nothing(index_elements=key).returning(returning))
