"""``INSERT … ON CONFLICT`` for both databases, whose dialects offer it under one name each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Insert

_INSERT = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def upserts(table: Any, build: Callable[[Any], Insert]) -> dict[str, Insert]:
    """Build an upsert once for each dialect; return the statements by dialect name.

    :param build: adds the conflict clause to a dialect's plain INSERT into the table.
    """
    return {name: build(insert(table)) for name, insert in _INSERT.items()}
