"""HTTP connections to providers: kept alive, each request over by a deadline.

This works on urllib3's connections rather than on its pools, because the pools log path and query of each request.
"""

from __future__ import annotations

import logging
import math
import os
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from threading import Lock
from typing import NamedTuple

from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError

from videoconf.bounded_connection import BoundedConnection, BoundedSocket, Bounds, call_within
from videoconf.forward_proxy import ForwardProxy
from videoconf.storage import EndpointGuard

# It warns of malformed response headers with our URL, query included, and with what the peer sent.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

IDLE_SECONDS = 30.0
"""An idle connection is not used again after this: load balancers drop theirs after 60 s, some without a word."""
MOST_IDLE = 64
"""How many idle connections are kept for all origins together. Tenants name the receivers of events, and could
otherwise use up the open files of the process, with one origin after another."""


class NotSent(HTTPError):
    """The connection was not established: not one byte of the request was sent."""


class Origin(NamedTuple):
    """Where a connection leads."""

    scheme: str
    host: str
    port: int | None


class _Idle(NamedTuple):
    """A connection that no request uses, and since when (monotonic seconds)."""

    origin: Origin
    connection: _Connection
    since: float


class _AnswerBounds(Bounds):
    """Also bounds how much is read of one answer, with its head: a peer can send interim answers without end."""

    def __init__(self, largest_answer_bytes: float) -> None:
        super().__init__()
        self._largest_answer_bytes = largest_answer_bytes
        self._received_bytes = 0

    def begin(self, deadline: float) -> None:
        """Begin a request."""
        self.deadline = deadline
        self._received_bytes = 0

    def received(self, count: int) -> None:
        """Count the bytes of one read.

        :raises ConnectionError: the answer is too long.
        """
        self._received_bytes += count
        if self._received_bytes > self._largest_answer_bytes:
            raise ConnectionError("the answer is too long")


class _Connection(BoundedConnection):
    bounds: _AnswerBounds
    between_bytes_seconds: float
    guard: EndpointGuard | None = None
    sock: BoundedSocket | None
    _latest: BoundedSocket | None = None
    """http.client clears ``sock`` when it hands the socket over to a response."""

    def arm(self, deadline: float) -> None:
        self.bounds.begin(deadline)

    def addresses(self, seconds: float) -> Sequence[str]:
        if self.guard is None:
            return super().addresses(seconds)
        return call_within(seconds, self.guard.addresses, self.host, self.port)

    def check_name(self) -> None:
        if self.guard is not None:
            self.guard.check_carried(self.host, self.port)

    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, HTTPError) as error:
            reason = error.__cause__ or error  # urllib3 adds the name of its class and the address
            raise NotSent(str(reason) or type(reason).__name__) from error
        assert self.sock is not None  # noqa: S101  # for mypy
        self.timeout = self.between_bytes_seconds
        self.sock.settimeout(self.timeout)
        self._latest = self.sock

    def abandon(self) -> None:
        """Close the socket too, which a response with an unreadable head keeps open."""
        self.close()
        if self._latest is not None and (descriptor := self._latest.detach()) >= 0:
            os.close(descriptor)


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class Connections:
    """Keep-alive connections, each used by one thread at a time. Thread-safe.

    Neither proxies from the environment nor ``.netrc`` are read: the settings name a proxy. Certificates
    are verified against the system's, or against what the standard ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name.

    :param size: how many idle connections are kept for one origin; for all together this many, or :data:`MOST_IDLE`
        where that is more.
    :param guard: decides on each address that is connected to; None if the operator alone names the hosts.
    :param proxy: carries connections; the guard then decides by names alone.
    :param largest_answer_bytes: how much is read of one answer, with its head; infinity where its reader bounds it.
    """

    def __init__(
        self,
        *,
        size: int,
        connect_seconds: float,
        between_bytes_seconds: float,
        guard: EndpointGuard | None = None,
        proxy: ForwardProxy | None = None,
        largest_answer_bytes: float = math.inf,
    ) -> None:
        self._largest_answer_bytes = largest_answer_bytes
        self._guard = guard
        self._proxy = proxy
        self._size = size
        self._connect_seconds = connect_seconds
        self._between_bytes_seconds = between_bytes_seconds
        self._lock = Lock()
        self._idle: list[_Idle] = []  # the latest last
        self._closed = False

    @property
    def is_guarded(self) -> bool:
        """Whether a guard decides on the addresses."""
        return self._guard is not None

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
            idle, self._idle = self._idle, []
        for one in idle:
            one.connection.close()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def _make(self, origin: Origin) -> _Connection:
        if origin.scheme == "https":
            connection: _Connection = _TLSConnection(
                origin.host, origin.port, timeout=self._connect_seconds, ssl_context=self._tls
            )
        else:
            connection = _Connection(origin.host, origin.port, timeout=self._connect_seconds)
        connection.bounds = _AnswerBounds(self._largest_answer_bytes)
        connection.guard = self._guard
        connection.forward_proxy = self._proxy
        connection.between_bytes_seconds = self._between_bytes_seconds
        return connection

    def _find_idle(self, origin: Origin) -> _Connection | None:
        while True:
            with self._lock:
                place = next((at for at in range(len(self._idle) - 1, -1, -1) if self._idle[at].origin == origin), None)
                if place is None:
                    return None
                _, connection, since = self._idle.pop(place)
            # Readable though nothing was asked: the peer has closed it, or talks out of turn.
            if time.monotonic() - since < IDLE_SECONDS and connection.is_connected:
                return connection
            connection.close()

    def _keep(self, origin: Origin, connection: _Connection) -> None:
        now = time.monotonic()
        with self._lock:
            is_wanted = connection.sock is not None and not self._closed
            if is_wanted and sum(one.origin == origin for one in self._idle) < self._size:
                self._idle.append(_Idle(origin, connection, now))
                old = [one for one in self._idle if now - one.since >= IDLE_SECONDS]
                surplus = max(len(old), len(self._idle) - max(self._size, MOST_IDLE))  # in order of their age
                dropped, self._idle = self._idle[:surplus], self._idle[surplus:]
            else:
                dropped = [_Idle(origin, connection, now)]
        for one in dropped:
            one.connection.close()
