"""Quick requests first: a long read pauses between blocks of rows while a quick request runs in the same process.

The threads of a process share the GIL. A quick request needs it several times, and beside a long read it would wait for
it each time. Without quick requests a long read does not pause.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

T = TypeVar("T")

QUICK_SECONDS = 0.05
"""For how long a request takes precedence. One that takes longer waits for a provider, or is a long read itself."""
PAUSE_SECONDS = 0.01
"""How long a long read pauses at most before a block of rows, so that it advances under any load."""
ROWS_AT_ONCE = 100


class _Request(NamedTuple):
    began: float
    on_block: Callable[[], object]

    def is_quick(self) -> bool:
        return time.monotonic() - self.began < QUICK_SECONDS


class Precedence:
    """The requests of this process, by their thread. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._requests: dict[int, _Request] = {}

    def begin(self, on_block: Callable[[], object] = int) -> None:
        """Note that this thread serves a request.

        :param on_block: called in this thread before each block of rows, once the request is no longer quick.
        """
        with self._changed:
            self._requests[threading.get_ident()] = _Request(time.monotonic(), on_block)

    def end(self) -> None:
        """Note that the request of this thread has ended."""
        with self._changed:
            self._requests.pop(threading.get_ident(), None)
            self._changed.notify_all()

    def give_way(self) -> None:
        """Wait while quick requests run, unless this thread serves one, for :data:`PAUSE_SECONDS` at most."""
        mine = self._requests.get(threading.get_ident())
        if mine is None or mine.is_quick():
            return
        mine.on_block()
        with self._changed:
            self._changed.wait_for(lambda: not self._is_quick_running(), PAUSE_SECONDS)

    def _is_quick_running(self) -> bool:
        newest = next(reversed(self._requests.values()), None)
        return newest is not None and newest.is_quick()


precedence = Precedence()
"""One for all applications of the process, which share its GIL."""


def giving_way(rows: Iterable[T]) -> Iterator[T]:
    """Give rows; a long read lets quick requests pass before each block of them."""
    for number, row in enumerate(rows):
        if number % ROWS_AT_ONCE == 0:
            precedence.give_way()
        yield row
