"""gunicorn's threaded worker, with the connections of a server shared out evenly among its workers.

All workers wait at one socket, and whoever wakes first takes the connection. Of a proxy's sixteen, which it keeps open,
fourteen may be one worker's: then that one's interpreter is all that works, at half the rate that two would have.
"""

from __future__ import annotations

import mmap
import socket
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

SLOTS = 64
WAIT_SECONDS = 0.001
MOST_WAITS = 5

# Made in the master, so that its workers share it: how many connections each has, and one more; 0 for no worker. It is
# a hint, so that nothing locks it: a wrong number costs a few milliseconds when a client connects.
_connections = memoryview(mmap.mmap(-1, SLOTS * 4)).cast("i")


class BalancedWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Leaves a new connection to workers that have fewer, for some milliseconds; then takes it all the same."""

    def __init__(self, age: int, *args: Any) -> None:
        super().__init__(age, *args)
        self._slot = age % SLOTS
        self._waits = 0

    def accept(self, listener: socket.socket) -> None:
        """Take a connection that waits, or leave it waiting: the socket stays readable."""
        fewest = min(filter(None, _connections), default=0)
        if self.nr_conns + 1 > fewest > 0 and self._waits < MOST_WAITS:
            self._waits += 1
            time.sleep(WAIT_SECONDS)
            return
        self._waits = 0
        super().accept(listener)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Do as any threaded worker, and tell the others how many connections this one has."""
        _connections[self._slot] = self.nr_conns + 1 if self.alive else 0
        super().wait_for_and_dispatch_events(timeout)

    def leave(self) -> None:
        """Have nobody wait for this worker any more. For the master, of a worker that is gone."""
        _connections[self._slot] = 0
