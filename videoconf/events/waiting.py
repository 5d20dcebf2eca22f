"""Hold a request until there are new events: one poll of the database for each process, however many requests wait."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from videoconf.errors import TooManyWaiters

LONGEST_SECONDS = 25
"""Less than proxies and clients wait for an answer."""
MOST_WAITERS = 8
MOST_WAITERS_OF_TENANT = 2
POLL_SECONDS = 0.1


class Waiting:
    """Requests that wait. One instance serves all threads, and holds no database connection between two polls.

    :param newest: reads the newest position.
    """

    def __init__(self, newest: Callable[[], int]) -> None:
        self._newest = newest
        self._changed = threading.Condition()
        self._waiting: Counter[str] = Counter()
        self._polled_at = 0.0
        self._position = -1
        self._stopped = False

    @contextmanager
    def place(self, tenant: str) -> Iterator[None]:
        """Take one of the places for requests that wait.

        :raises TooManyWaiters: the process or the tenant has no place left.
        """
        with self._changed:
            if self._waiting.total() >= MOST_WAITERS or self._waiting[tenant] >= MOST_WAITERS_OF_TENANT:
                raise TooManyWaiters(retry_after_seconds=1)
            self._waiting[tenant] += 1
        try:
            yield
        finally:
            with self._changed:
                self._waiting[tenant] -= 1
                if not self._waiting[tenant]:
                    del self._waiting[tenant]  # a tenant that does not wait takes no memory

    def wait(self, position: int, until: float) -> bool:
        """Wait until the log is beyond a position; return whether it is.

        The first request that finds the last poll too old polls for all of them.

        :param until: monotonic seconds.
        """
        while True:
            with self._changed:
                if self._position > position:
                    return True
                now = time.monotonic()
                if now >= until or self._stopped:
                    return False
                due = self._polled_at + POLL_SECONDS
                if now < due:
                    self._changed.wait(min(due, until) - now)
                    continue
                self._polled_at = now  # the others see that this thread polls
            newest = self._newest()
            with self._changed:
                self._position = max(newest, self._position)
                self._changed.notify_all()

    def stop(self) -> None:
        """Let every request that waits answer now."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
