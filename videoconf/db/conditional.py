"""Conditional updates: of requests that race, the one whose statement changes a row has won."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Update, update

from videoconf.db.transactions import Transaction
from videoconf.db.types import Base


def update_rows(model: type[Base]) -> Update:
    """Begin an UPDATE of a model's rows, without searching the session for objects that it changes."""
    return update(model).execution_options(synchronize_session=False)


def changes_row(transaction: Transaction, statement: Update | Delete) -> bool:
    """Execute a statement; return whether it changed a row."""
    return cast("CursorResult[Any]", transaction.execute(statement)).rowcount > 0
