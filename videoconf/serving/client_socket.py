"""The socket of a client, on which no thread waits for longer than the service can afford."""

from __future__ import annotations

import errno
import math
import select
import socket
import time
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, NoReturn

from videoconf.serving.request import LOOKED_AT_BYTES

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

BRISK_SECONDS = 1.0
"""A thread waits this long for a client that reads slowly; any longer only in one of few places."""
SLOW_SECONDS = 30.0
"""The longest wait for one answer. Time decides, because the kernel buffers what the client has not read."""
FILE_CHUNK_BYTES = 64 << 10


class ClientSocket(socket.socket):
    """A socket that never blocks by itself; where a thread has to wait for the client, it waits here, within bounds.

    What a client does too slowly ends as if the client had reset the connection, which gunicorn does not report.

    :ivar read_until: monotonic seconds until which a thread may wait for a body; None: it may not wait.
    """

    read_until: float | None = None
    _slow_readers: BoundedSemaphore
    _has_place = False
    _waited_seconds = 0.0

    @classmethod
    def take_over(cls, accepted: socket.socket, slow_readers: BoundedSemaphore) -> ClientSocket:
        """Return the socket for a connection.

        :param slow_readers: places for threads that wait for clients which read slowly.
        """
        taken = cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        socket.socket.setblocking(taken, False)
        taken._slow_readers = slow_readers
        return taken

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
            self._slow_readers.release()

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
                    _give_up("the body did not arrive in time")
                self._poll(select.POLLIN, left)
            except TimeoutError:  # the kernel gave the connection up: TCP_USER_TIMEOUT
                _give_up("the client is gone")

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send everything; wait for a client that reads slowly within bounds.

        :raises ConnectionResetError: the client reads too slowly.
        """
        view = memoryview(data).cast("B")
        while True:
            try:
                sent = super().send(view, flags)
            except BlockingIOError:
                sent = 0
            except TimeoutError:
                _give_up("the client is gone")
            if sent == len(view):
                return
            view = view[sent:]
            self._wait_for_reader()

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file by :meth:`sendall`: the system call for it cannot be bounded."""
        file.seek(offset)
        left = math.inf if count is None else count
        while left > 0 and (chunk := file.read(int(min(FILE_CHUNK_BYTES, left)))):
            self.sendall(chunk)
            left -= len(chunk)
        return int(file.tell()) - offset

    def _wait_for_reader(self) -> None:
        if self._waited_seconds >= BRISK_SECONDS and not self._has_place:
            if not self._slow_readers.acquire(blocking=False):
                _give_up("too many clients read slowly")
            self._has_place = True
        left = (SLOW_SECONDS if self._has_place else BRISK_SECONDS) - self._waited_seconds
        if left <= 0:
            _give_up("the client reads too slowly")
        began = time.monotonic()
        self._poll(select.POLLOUT, left)
        self._waited_seconds += time.monotonic() - began

    def _poll(self, event: int, seconds: float) -> None:
        poller = select.poll()
        poller.register(self, event)
        poller.poll(seconds * 1000)


def _give_up(reason: str) -> NoReturn:
    raise ConnectionResetError(errno.ECONNRESET, reason)
