"""A clock that is moved by hand, and what is due on it."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Clock:
    """Seconds since the epoch. Stands still until it is moved, unless it runs. Thread-safe.

    :param running: go on with real time besides being moved; the caller then calls :meth:`run_due` now and then.
    """

    def __init__(self, start: float | None = None, *, running: bool = False) -> None:
        self._running = running
        self._offset = (time.time() if start is None else start) - (time.time() if running else 0)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._lock = threading.RLock()

    def now(self) -> float:
        """Return the present in seconds."""
        return self._offset + (time.time() if self._running else 0)

    def now_ms(self) -> int:
        """Return the present in milliseconds."""
        return round(self.now() * 1000)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Run the action when that much time has passed, in the thread that moves the clock."""
        with self._lock:
            heapq.heappush(self._due, (self.now() + seconds, next(self._numbers), action))

    def advance(self, seconds: float) -> None:
        """Move on, stopping at every action on the way so that it sees the time at which it was due."""
        end = self.now() + seconds
        while (due := self._pop(end)) is not None:
            at, action = due
            self._offset += max(0.0, at - self.now())
            action()
        self._offset += max(0.0, end - self.now())

    def run_due(self) -> None:
        """Run what is due by now."""
        self.advance(0)

    def _pop(self, until: float) -> tuple[float, Callable[[], None]] | None:
        with self._lock:
            if not self._due or self._due[0][0] > until:
                return None
            at, _, action = heapq.heappop(self._due)
            return at, action
