"""Sockets on which no server of a caller's choice holds us for ever, or makes us remember without end.

The time-outs of urllib3 hold for each read by itself, and an SDK reads an error's body into memory whatever its length.
Whoever may set a storage target names the server, so three bounds hold below every SDK: the deadline of the request,
where there is one; a minimum speed, which lets large objects take as long as they need; and a cap on what is no object.
"""

from __future__ import annotations

import math
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from videoconf.errors import StorageError, StorageTimeout
from videoconf.storage.deadline import storage_seconds_left

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

LARGEST_ANSWER_BYTES = 1 << 20
"""Of an answer that is no object: errors, lists."""
PATIENCE_SECONDS = 20.0
SLOWEST_BYTES_PER_SECOND = 16 << 10
SHORTEST_WAIT_SECONDS = 0.01
"""Timers are not exact, and what ends a moment before its time is over has ended by it."""


class Exchange:
    """What one request and its answer have taken. Time counts only while we wait: our own reader may be slow.

    :param largest_answer_bytes: how much of an answer is read; infinity where the reader bounds it.
    """

    def __init__(self, largest_answer_bytes: float) -> None:
        self._largest_answer_bytes = largest_answer_bytes
        self._waited_seconds = 0.0
        self._moved_bytes = 0
        self._received_bytes = 0

    def refuse_more(self) -> None:
        """Take no more than an error may have from now on."""
        self._largest_answer_bytes = min(self._largest_answer_bytes, self._received_bytes + LARGEST_ANSWER_BYTES)

    def seconds_left(self, silence_seconds: float) -> float:
        """Return how long the next wait may be.

        :raises StorageTimeout: not at all.
        """
        patience = PATIENCE_SECONDS + (silence_seconds if silence_seconds < math.inf else 0.0)
        at_this_speed = patience + self._moved_bytes / SLOWEST_BYTES_PER_SECOND - self._waited_seconds
        left = min(silence_seconds, at_this_speed, storage_seconds_left())
        if left < SHORTEST_WAIT_SECONDS:
            raise StorageTimeout
        return left

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count how long the block takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._waited_seconds += time.monotonic() - began

    def sent(self, count: int) -> None:
        """Count what was sent."""
        self._moved_bytes += count

    def received(self, count: int) -> None:
        """Count what came.

        :raises StorageError: it is too much.
        """
        self._moved_bytes += count
        self._received_bytes += count
        if self._received_bytes > self._largest_answer_bytes:
            raise StorageError("The storage target's answer is too long.")


class BoundedSocket(socket.socket):
    """A socket of which each wait is bounded by its exchange, once it has one. Its time-out is the longest silence."""

    exchange: Exchange | None = None
    _silence_seconds = math.inf

    def settimeout(self, value: float | None) -> None:
        """Set the longest silence; None: any."""
        self._silence_seconds = math.inf if value is None else value
        super().settimeout(value)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Receive what there is.

        :raises StorageError: the exchange takes too long, or brings too much; :class:`TimeoutError`: silence.
        """
        with self._bounded():
            count = super().recv_into(buffer, nbytes or 0, flags)
        if self.exchange is not None:
            self.exchange.received(count)
        return count

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send what can be sent at once; errors as above."""
        with self._bounded():
            count = super().send(data, flags)
        if self.exchange is not None:
            self.exchange.sent(count)
        return count

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        if self.exchange is None:
            yield
            return
        left = self.exchange.seconds_left(self._silence_seconds)
        super().settimeout(None if left == math.inf else left)
        try:
            with self.exchange.waiting():
                yield
        except TimeoutError:
            self.exchange.seconds_left(self._silence_seconds)  # raises what no SDK tries again, unless it was silence
            raise

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send all; each part of it is bounded as by :meth:`send`."""
        with memoryview(data) as view, view.cast("B") as left:
            done = 0
            while done < len(left):
                done += self.send(left[done:], flags)


class BoundedTLSSocket(BoundedSocket, ssl.SSLSocket):
    """The same under TLS."""


def bounded(plain: socket.socket) -> BoundedSocket:
    """Take a connected socket over."""
    seconds = plain.gettimeout()
    taken = BoundedSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
    taken.settimeout(seconds)
    return taken
