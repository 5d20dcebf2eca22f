"""A tenant's share of what all tenants use: no tenant takes all database connections, provider slots or storage slots.

Who is served stands in a context variable, which the edge sets for each request. Work that no tenant waits for, such as
a job, has no tenant and no bound here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

tenant: ContextVar[str | None] = ContextVar("tenant", default=None)
"""The tenant of the request that this thread serves."""


class Share:
    """At most ``limit`` threads of each key inside at once. Thread-safe; a thread that is inside may enter again.

    :param waiting: how many more of a key may wait; any number when absent.
    """

    def __init__(self, limit: int, waiting: int | None = None) -> None:
        self._limit = limit
        self._waiting = waiting
        self._changed = threading.Condition(threading.Lock())
        self._inside: dict[str, int] = {}
        self._queued: dict[str, int] = {}
        self._mine = threading.local()

    def enter(self, key: str, seconds: float) -> bool:
        """Enter, or wait for a place; return whether there was one in time."""
        depth = getattr(self._mine, "depth", 0)
        if depth == 0:
            with self._changed:
                if self._inside.get(key, 0) >= self._limit and not self._wait(key, seconds):
                    return False
                self._inside[key] = self._inside.get(key, 0) + 1
        self._mine.depth = depth + 1
        return True

    def leave(self, key: str) -> None:
        """Give the place to the next one."""
        self._mine.depth -= 1
        if self._mine.depth:
            return
        with self._changed:
            left = self._inside[key] - 1
            if left:
                self._inside[key] = left
            else:
                del self._inside[key]  # a tenant that is not served takes no memory
            if self._queued:
                self._changed.notify_all()

    def _wait(self, key: str, seconds: float) -> bool:
        queued = self._queued.get(key, 0)
        if self._waiting is not None and queued >= self._waiting:
            return False
        self._queued[key] = queued + 1
        try:
            return self._changed.wait_for(lambda: self._inside.get(key, 0) < self._limit, seconds)
        finally:
            self._queued[key] -= 1
            if not self._queued[key]:
                del self._queued[key]


@contextmanager
def own_share(share: Share, seconds: float, refusal: Exception) -> Iterator[None]:
    """Use a tenant's share of something inside the block.

    :param refusal: raised where the tenant's share is in use for longer than ``seconds``.
    """
    key = tenant.get()
    if key is None:
        yield
        return
    if not share.enter(key, seconds):
        raise refusal
    try:
        yield
    finally:
        share.leave(key)
