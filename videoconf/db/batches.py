"""Change very many rows without blocking others: in small transactions, for a limited time."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Delete, Update

from videoconf.db.transactions import write

ROWS_PER_BATCH = 1000
"""Few enough that a batch takes milliseconds and blocks no other writer for long."""
RUN_SECONDS = 15.0
"""How long one recurring job may take: less than a server that stops waits for its jobs."""


def run_until() -> float:
    """Return when a run that begins now is to end, for :func:`in_batches`."""
    return time.monotonic() + RUN_SECONDS


def in_batches(statement: Delete | Update, key: Any, until: float) -> None:
    """Repeat a statement, each time in a transaction of its own, until it finds no full batch or time is up.

    :param statement: changes at most :data:`ROWS_PER_BATCH` rows, and none that it has changed before.
    :param key: a column of its table, by which they are counted.
    """
    changed = ROWS_PER_BATCH
    while changed == ROWS_PER_BATCH and time.monotonic() < until:
        with write() as session:
            changed = len(session.execute(statement.returning(key)).all())
