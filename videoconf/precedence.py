"""Quick requests first: a long read pauses between blocks of rows while a quick request runs in the same process.

The threads of a process share the GIL. A quick request needs it several times, and beside a long read it would wait for
it each time. Without quick requests a long read does not pause.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

QUICK_SECONDS = 0.05
"""For how long a request takes precedence. One that takes longer waits for a provider, or is a long read itself."""
PAUSE_SECONDS = 0.01
"""How long a long read pauses at most before a block of rows, so that it advances under any load."""
ROWS_AT_ONCE = 100


class Precedence:
    """When the requests of this process began, by their thread. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._began: dict[int, float] = {}

    def begin(self) -> None:
        """Note that this thread serves a request."""
        with self._changed:
            self._began[threading.get_ident()] = time.monotonic()

    def end(self) -> None:
        """Note that the request of this thread has ended."""
        with self._changed:
            self._began.pop(threading.get_ident(), None)
            self._changed.notify_all()

    def give_way(self) -> None:
        """Wait while quick requests run, unless this thread serves one, for :data:`PAUSE_SECONDS` at most."""
        began = self._began.get(threading.get_ident())
        if began is None or _is_quick(began):
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._is_quick_running(), PAUSE_SECONDS)

    def _is_quick_running(self) -> bool:
        return _is_quick(next(reversed(self._began.values()), 0.0))  # the newest


def _is_quick(began: float) -> bool:
    return time.monotonic() - began < QUICK_SECONDS


precedence = Precedence()
"""One for all applications of the process, which share its GIL."""


def giving_way(rows: Iterable[T]) -> Iterator[T]:
    """Give rows; a long read lets quick requests pass before each block of them."""
    for number, row in enumerate(rows):
        if number % ROWS_AT_ONCE == 0:
            precedence.give_way()
        yield row
