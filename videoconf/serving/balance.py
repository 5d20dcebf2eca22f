"""How many connections each worker of a server has, in memory that they share.

All workers wait at one socket, and the first to wake takes the connection. Of a proxy's sixteen, which it keeps open,
fourteen may go to one worker: then only that one's interpreter works, at half the rate of two.
"""

from __future__ import annotations

import mmap

SLOTS = 64

# Created in the master, so that its workers share it: the number of connections of each worker, plus one; 0 for no
# worker. Not locked, because it is a hint: a wrong number costs a few milliseconds when a client connects.
_connections = memoryview(mmap.mmap(-1, SLOTS * 4)).cast("i")


class Slot:
    """The number of connections of one worker."""

    def __init__(self, age: int) -> None:
        self._index = age % SLOTS

    def publish(self, connections: int) -> None:
        """Let the other workers know."""
        _connections[self._index] = connections + 1

    def clear(self) -> None:
        """Leave the comparison: the worker stops, or has exited."""
        _connections[self._index] = 0

    def is_busier_than_others(self, connections: int) -> bool:
        """Return whether another worker has fewer connections."""
        fewest: int = min(filter(None, _connections), default=0)
        return connections + 1 > fewest > 0
