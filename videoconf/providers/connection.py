"""HTTP connections on which everything, from the look-up of the name to the last byte of the body, ends by a deadline.

The time-outs of urllib3 hold for each read by itself: a peer that drips a byte a second keeps a thread as long as it
likes. Nor do they bound the look-up of a name, and they hold for each of its addresses anew. Here a socket gives every
read and write only what is left of one deadline, so that no watchdog thread is needed.

This works on urllib3's connections rather than on its pools, because the pools log path and query of each request.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import ssl
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

# It warns of malformed response headers with our URL, query included, and with what the peer sent.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

IDLE_SECONDS = 30.0
"""An idle connection is not used again after this: load balancers drop theirs after 60 s, some without a word."""


class NotSent(HTTPError):
    """No connection came to be: not one byte of the request was sent."""


class Origin(NamedTuple):
    """Where a connection leads."""

    scheme: str
    host: str
    port: int | None


class _DeadlineSocket(socket.socket):
    deadline = math.inf
    between_bytes_seconds = math.inf

    def _arm(self) -> None:
        left = min(self.deadline - time.monotonic(), self.between_bytes_seconds)
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        self.settimeout(left)

    def settimeout(self, value: float | None) -> None:
        if value != self.gettimeout():  # the same again would be a system call all the same, and urllib3 makes two
            super().settimeout(value)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        self._arm()
        return super().recv_into(buffer, nbytes or 0, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        self._arm()
        super().sendall(data, flags)


class _DeadlineTLSSocket(_DeadlineSocket, ssl.SSLSocket):
    pass


class _Connection(HTTPConnection):
    deadline: float
    connect_seconds: float
    between_bytes_seconds: float
    sock: _DeadlineSocket | None
    wire: _DeadlineSocket | None = None
    """The latest ``sock``, which http.client forgets when it hands it over to a response."""
    _held: bytearray | None = None

    def arm(self, deadline: float) -> None:
        self.deadline = deadline
        if self.wire is not None:
            self.wire.deadline = deadline

    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, HTTPError) as error:
            raise NotSent(str(error) or type(error).__name__) from error
        assert self.sock is not None  # noqa: S101  # for mypy
        self.sock.between_bytes_seconds = self.between_bytes_seconds
        self.sock.deadline = self.deadline
        self.wire = self.sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send head and body together: in two pieces they cost a system call more, and wake the peer twice."""
        self._held = bytearray()
        try:
            super().request(*args, **kwargs)
        finally:
            held, self._held = self._held, None
        self.send(held)

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held += data

    def abandon(self) -> None:
        """Close, also under a response that nobody has got to close: its head was readable, but not to urllib3."""
        self.close()
        if self.wire is not None and (descriptor := self.wire.detach()) >= 0:
            os.close(descriptor)

    def _new_conn(self) -> socket.socket:
        until = min(time.monotonic() + self.connect_seconds, self.deadline)
        addresses = _look_up(self._dns_host, self.port, until - time.monotonic())
        failure: OSError = socket.gaierror("the name has no address")
        for tried, (family, kind, protocol, _, address) in enumerate(addresses):
            connecting = _DeadlineSocket(family, kind, protocol)
            try:
                connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # Each address gets its share, so that a dead first one leaves time for the others.
                connecting.settimeout(max((until - time.monotonic()) / (len(addresses) - tried), 0.001))
                connecting.connect(address)
            except OSError as error:
                connecting.close()
                failure = error
            else:
                # A TLS handshake takes the time-out over, and takes it for the whole of itself.
                connecting.settimeout(max(until - time.monotonic(), 0.001))
                return connecting
        raise failure


class _TLSConnection(_Connection, HTTPSConnection):
    pass


def _look_up(host: str, port: int, seconds: float) -> list[Any]:
    """Resolve a name within a time that the system's resolver, which may take half a minute, knows nothing of."""
    results: SimpleQueue[list[Any] | Exception] = SimpleQueue()

    def look_up() -> None:
        try:
            results.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            results.put(error)

    # A thread and no pool: the threads of a pool do not survive a fork of the server, and then nothing resolves.
    Thread(target=look_up, name="videoconf-dns", daemon=True).start()
    try:
        result = results.get(timeout=max(seconds, 0.0))
    except Empty:
        raise TimeoutError("the name was not resolved in time") from None
    if isinstance(result, Exception):
        raise result
    return result


class Connections:
    """Keep-alive connections, each used by one thread at a time. Thread-safe.

    Neither proxies from the environment nor ``.netrc`` are read. Certificates are verified against the system's, or
    against what the standard ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name.

    :param size: how many idle connections are kept for one origin.
    """

    def __init__(self, *, size: int, connect_seconds: float, between_bytes_seconds: float) -> None:
        self._size = size
        self._connect_seconds = connect_seconds
        self._between_bytes_seconds = between_bytes_seconds
        self._lock = Lock()
        self._idle: defaultdict[Origin, list[tuple[_Connection, float]]] = defaultdict(list)
        self._closed = False

    @contextmanager
    def use(self, origin: Origin, deadline: float) -> Iterator[_Connection]:
        """Lend a connection, which connects when it is first used. It is kept unless the block raises.

        :param deadline: monotonic seconds, at which the request must be over.
        :raises NotSent: inside the block, when no connection comes to be.
        :raises TimeoutError: inside the block, at the deadline or after too long a silence.
        """
        connection = self._find_idle(origin) or self._make(origin)
        connection.arm(deadline)
        try:
            yield connection
        except BaseException:
            connection.abandon()
            raise
        self._keep(origin, connection)

    def close(self) -> None:
        """Close what is idle, and from now on whatever comes back. May be called twice."""
        with self._lock:
            self._closed = True
            idle = [connection for kept in self._idle.values() for connection, _ in kept]
            self._idle.clear()
        for connection in idle:
            connection.close()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.sslsocket_class = _DeadlineTLSSocket
        return context

    def _make(self, origin: Origin) -> _Connection:
        if origin.scheme == "https":
            connection: _Connection = _TLSConnection(
                origin.host, origin.port, timeout=self._between_bytes_seconds, ssl_context=self._tls
            )
        else:
            connection = _Connection(origin.host, origin.port, timeout=self._between_bytes_seconds)
        connection.connect_seconds = self._connect_seconds
        connection.between_bytes_seconds = self._between_bytes_seconds
        return connection

    def _find_idle(self, origin: Origin) -> _Connection | None:
        while True:
            with self._lock:
                kept = self._idle[origin]
                if not kept:
                    return None
                connection, since = kept.pop()
            # Readable though nothing was asked: the peer has closed it, or talks out of turn.
            if time.monotonic() - since < IDLE_SECONDS and connection.is_connected:
                return connection
            connection.close()

    def _keep(self, origin: Origin, connection: _Connection) -> None:
        with self._lock:
            kept = self._idle[origin]
            if connection.sock is not None and not self._closed and len(kept) < self._size:
                kept.append((connection, time.monotonic()))
                return
        connection.close()
