"""Choose the next subscription to serve: claim it under a lease, serve it for a short turn, and release it.

Turns are short, so that other subscriptions need not wait until one with many events has sent all of them. One tenant
has at most half of a process's turns. Failing subscriptions have separate threads, so that their timeouts do not delay
subscriptions that work.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update

from videoconf.db.functions import utc_in, utc_now
from videoconf.db.transactions import read, write
from videoconf.events.subscription_models import EventSubscription
from videoconf.providers import Clock

LEASE_SECONDS = 30.0
"""Longer than a turn: an attempt may begin just before its end, and takes 10 s at most."""
POLL_SECONDS = 0.1
"""How often a process looks for due subscriptions, for all its threads together."""


class Lane(StrEnum):
    """Which subscriptions a thread serves."""

    WORKING = "working"
    FAILING = "failing"


THREADS = {Lane.WORKING: 8, Lane.FAILING: 2}
MOST_OF_TENANT = {Lane.WORKING: 4, Lane.FAILING: 1}

_ROWS: Any = EventSubscription.__table__


class Turns:
    """Claims subscriptions. One instance serves all threads of a process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._busy: Counter[tuple[Lane, str]] = Counter()
        self._idle_until = dict.fromkeys(Lane, 0.0)

    @contextmanager
    def claim(self, lane: Lane) -> Iterator[Any]:
        """Yield the row of the subscription that has waited longest, or None. Holds its lease during the block."""
        row = self._find(lane)
        try:
            yield row
        finally:
            if row is not None:
                with self._lock:
                    self._busy[lane, row.tenant] -= 1
                    if not self._busy[lane, row.tenant]:
                        del self._busy[lane, row.tenant]  # a tenant that is not served takes no memory

    def ask_now(self) -> None:
        """Let the next claim ask the database, also right after one that found nothing due."""
        with self._lock:
            self._idle_until = dict.fromkeys(Lane, 0.0)

    def _find(self, lane: Lane) -> Any:
        with self._lock:
            if time.monotonic() < self._idle_until[lane]:
                return None
            full = [one for (of, one), count in self._busy.items() if of is lane and count >= MOST_OF_TENANT[lane]]
            due = and_(is_due(lane, self._clock()), _ROWS.c.tenant.not_in(full))
            row = _claim(due)
            if row is None:
                self._idle_until[lane] = time.monotonic() + POLL_SECONDS
                return None
            self._busy[lane, row.tenant] += 1
            return row


def is_due(lane: Lane, now: datetime) -> ColumnElement[bool]:
    """Return the condition for the subscriptions of a lane with something to send."""
    retried = and_(_ROWS.c.retry_at.is_not(None), _ROWS.c.retry_at <= now)
    if lane is Lane.FAILING:
        return and_(_ROWS.c.is_enabled, _ROWS.c.failing_since.is_not(None), retried)
    return and_(_ROWS.c.is_enabled, _ROWS.c.failing_since.is_(None), or_(_ROWS.c.newest > _ROWS.c.position, retried))


def _claim(due: ColumnElement[bool]) -> Any:
    free = or_(_ROWS.c.lease_until.is_(None), _ROWS.c.lease_until < utc_now())
    first = select(_ROWS.c.id).where(due, free).order_by(_ROWS.c.served_on.asc().nulls_first(), _ROWS.c.id).limit(1)
    with read() as session:  # most of the time nothing is due, and a reader blocks no writer
        if session.execute(first).one_or_none() is None:
            return None
    leased = (
        update(_ROWS)
        .where(_ROWS.c.id == first.with_for_update(skip_locked=True).scalar_subquery())
        .values(lease_owner=secrets.token_hex(8), lease_until=utc_in(LEASE_SECONDS), served_on=utc_now())
        .returning(*_ROWS.c)
    )
    with write() as session:
        return session.execute(leased).one_or_none()
