"""The socket of a client, with limits for every wait of a thread."""

from __future__ import annotations

import errno
import math
import select
import socket
import time
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, Any, NoReturn

from videoconf.serving.request import LOOKED_AT_BYTES

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SLOW_SECONDS = 30.0
"""The longest wait for one answer. Time decides, because the kernel buffers what the client has not read."""
HELD_BYTES = 2 << 20
"""How much of one answer is held in memory for a client that reads slowly."""
HELD_BYTES_OF_WORKER = 32 << 20
FILE_CHUNK_BYTES = 64 << 10


class SlowReaders:
    """What a worker spends on clients that read slowly: memory for answers, and some threads. Thread-safe.

    :param places: how many threads may wait for clients where the memory does not suffice.
    """

    def __init__(self, places: int) -> None:
        self.places = BoundedSemaphore(places)
        self._lock = Lock()
        self._held_bytes = 0

    def hold(self, count: int) -> bool:
        """Take memory; return whether there is enough."""
        with self._lock:
            if self._held_bytes + count > HELD_BYTES_OF_WORKER:
                return False
            self._held_bytes += count
            return True

    def release(self, count: int) -> None:
        """Give memory back."""
        with self._lock:
            self._held_bytes -= count


class ClientSocket(socket.socket):
    """A socket that never blocks by itself; where a thread has to wait for the client, it waits here, within bounds.

    What a client does too slowly ends as if the client had reset the connection, which gunicorn does not report.

    :ivar read_until: monotonic seconds until which a thread may wait for a body; None: it may not wait.
    """

    read_until: float | None = None
    _slow_readers: SlowReaders
    _held: bytearray
    _has_place = False
    _waited_seconds = 0.0

    @classmethod
    def take_over(cls, accepted: socket.socket, slow_readers: SlowReaders) -> ClientSocket:
        """Return the socket for a connection."""
        taken = cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        socket.socket.setblocking(taken, False)
        taken._slow_readers = slow_readers
        taken._held = bytearray()
        return taken

    @property
    def holds_answer(self) -> bool:
        """Whether the end of an answer waits for the client to read; see :meth:`flush`."""
        return bool(self._held)

    def peek(self) -> bytes:
        """Return what has arrived, without reading it; empty at the end.

        :raises BlockingIOError: nothing has arrived.
        """
        return super().recv(LOOKED_AT_BYTES, socket.MSG_PEEK)

    def end_request(self) -> None:
        """Give back what the request took. May be called twice."""
        self.read_until = None
        self._waited_seconds = 0.0
        if self._has_place:
            self._has_place = False
            self._slow_readers.places.release()

    def setblocking(self, flag: bool) -> None:
        """Do nothing: gunicorn makes a socket block for a thread, but this one waits by itself."""

    def settimeout(self, value: float | None) -> None:
        """Do nothing, for the same reason."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive; wait for a body until :attr:`read_until`.

        :raises ConnectionResetError: nothing arrived by then.
        """
        while True:
            try:
                return super().recv(size, flags)
            except BlockingIOError:
                left = 0.0 if self.read_until is None else self.read_until - time.monotonic()
                if left <= 0:
                    self._give_up("the body did not arrive in time")
                self._poll(select.POLLIN, left)
            except TimeoutError:  # the kernel gave the connection up: TCP_USER_TIMEOUT
                self._give_up("the client is gone")

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send; hold what the client is not ready to read, or wait for it where the memory does not suffice.

        :raises ConnectionResetError: the client reads too slowly.
        """
        view = memoryview(data).cast("B")
        if not self._held:
            view = view[self._send(view) :]
        if not len(view):
            return
        if len(self._held) + len(view) <= HELD_BYTES and self._slow_readers.hold(len(view)):
            self._held += view
            return
        try:
            while self._held:
                self._wait_for_reader()
                self.flush()
            while len(view):
                self._wait_for_reader()
                view = view[self._send(view) :]
        except OSError:
            self.discard()
            raise

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file by :meth:`sendall`: the system call for it cannot be bounded."""
        file.seek(offset)
        left = math.inf if count is None else count
        while left > 0 and (chunk := file.read(int(min(FILE_CHUNK_BYTES, left)))):
            self.sendall(chunk)
            left -= len(chunk)
        return int(file.tell()) - offset

    def flush(self) -> bool:
        """Send what is held, as far as the client is ready to read; return whether that was all.

        :raises OSError: the client is gone.
        """
        with memoryview(self._held) as view:
            count = self._send(view)
        del self._held[:count]
        self._slow_readers.release(count)
        return not self._held

    def discard(self) -> None:
        """Drop what is held."""
        self._slow_readers.release(len(self._held))
        self._held.clear()

    def _send(self, view: memoryview) -> int:
        try:
            return super().send(view)
        except BlockingIOError:
            return 0
        except TimeoutError:
            return self._give_up("the client is gone")

    def _wait_for_reader(self) -> None:
        if not self._has_place:
            if not self._slow_readers.places.acquire(blocking=False):
                self._give_up("too many clients read slowly")
            self._has_place = True
        left = SLOW_SECONDS - self._waited_seconds
        if left <= 0:
            self._give_up("the client reads too slowly")
        began = time.monotonic()
        self._poll(select.POLLOUT, left)
        self._waited_seconds += time.monotonic() - began

    def _poll(self, event: int, seconds: float) -> None:
        poller = select.poll()
        poller.register(self, event)
        poller.poll(seconds * 1000)

    def _give_up(self, reason: str) -> NoReturn:
        raise ConnectionResetError(errno.ECONNRESET, reason)
