"""Connections of urllib3 on which every wait is bounded, from the DNS lookup to the last byte of the answer.

The time-outs of urllib3 apply to each read separately, so a peer that sends one byte a second holds a thread for as
long as it likes. They do not cover the DNS lookup, and each address of a name gets the whole time again. Here a socket
asks the bounds of its request before each wait, so no watchdog thread is needed.

Only public names of urllib3, http.client and ssl are used. How they work together is not documented:
``tests/canaries/test_urllib3.py`` checks it.
"""

from __future__ import annotations

import math
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from http.client import HTTPResponse
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from videoconf.forward_proxy import ForwardProxy

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

T = TypeVar("T")

SHORTEST_SECONDS = 0.001
"""A time-out of 0 would mean a socket that does not block."""

_connecting_until: ContextVar[float] = ContextVar("connecting_until", default=math.inf)


class Bounds:
    """The time that one request may take: until a deadline. A subclass may bound speed and size too.

    :param deadline: monotonic seconds.
    """

    def __init__(self, deadline: float = math.inf) -> None:
        self.deadline = deadline

    def seconds_left(self, silence_seconds: float) -> float:
        """Return how long the next wait may be.

        :param silence_seconds: the longest silence that the socket's time-out allows.
        :raises TimeoutError: the deadline has passed.
        """
        left = min(self.deadline - time.monotonic(), silence_seconds)
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def waited(self, seconds: float) -> None:
        """Count the time of one wait."""

    def sent(self, count: int) -> None:
        """Count the bytes of one send."""

    def received(self, count: int) -> None:
        """Count the bytes of one read."""


class BoundedSocket(socket.socket):
    """A socket on which the bounds of a request limit each wait. Its time-out is the longest silence."""

    bounds: Bounds | None = None
    _silence_seconds = math.inf

    def settimeout(self, value: float | None) -> None:
        """Set the longest silence; None allows any."""
        self._silence_seconds = math.inf if value is None else value
        super().settimeout(value)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Receive what has arrived.

        :raises TimeoutError: after too long a silence. The bounds raise errors of their own.
        """
        count = self._wait(super().recv_into, buffer, nbytes or 0, flags)
        if self.bounds is not None:
            self.bounds.received(count)
        return count

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send what the connection accepts at once; errors as above."""
        count = self._wait(super().send, data, flags)
        if self.bounds is not None:
            self.bounds.sent(count)
        return count

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send everything; each part is bounded as in :meth:`send`."""
        with memoryview(data) as view, view.cast("B") as left:
            done = 0
            while done < len(left):
                done += self.send(left[done:], flags)

    def _wait(self, wait: Callable[..., int], *arguments: object) -> int:
        if self.bounds is None:
            return wait(*arguments)
        left = self.bounds.seconds_left(self._silence_seconds)
        super().settimeout(None if left == math.inf else left)
        began = time.monotonic()
        try:
            try:
                return wait(*arguments)
            finally:
                self.bounds.waited(time.monotonic() - began)
        except TimeoutError:
            self.bounds.seconds_left(self._silence_seconds)  # raises the bounds' own error, unless it was silence
            raise


class BoundedTLSSocket(BoundedSocket, ssl.SSLSocket):
    """The same under TLS."""

    def do_handshake(self, block: bool = False) -> None:
        """Finish the handshake within the time to connect; urllib3 would allow that time a second time."""
        left = _connecting_until.get() - time.monotonic()
        if left < math.inf:
            self.settimeout(max(left, SHORTEST_SECONDS))
        super().do_handshake(block)


class BoundedResponse(HTTPResponse):
    """An answer that never reads more into memory than its reader asks for.

    http.client reads a chunk whose size is -1 to the end of the connection, and raises ValueError for other negative
    sizes. When it reads into a buffer, such an answer is incomplete like any other that breaks chunked coding.
    """

    def read(self, amt: int | None = None) -> bytes:
        """Read at most so many bytes; everything without an amount."""
        if amt is None or not self.chunked:
            return super().read(amt)
        buffer = bytearray(amt)
        return bytes(memoryview(buffer)[: self.readinto(buffer)])


class BoundedConnection(HTTPConnection):
    """Stands before a connection class of urllib3's, plain or TLS, in the bases of a class.

    The time-out that is in force at :meth:`connect` covers lookup, all addresses and the TLS handshake together.
    urllib3's own way with proxies is not supported; a forward proxy carries the connection through a tunnel instead.
    """

    bounds: Bounds
    timeout: Any
    forward_proxy: ForwardProxy | None = None
    response_class = BoundedResponse

    def addresses(self, seconds: float) -> Sequence[str]:
        """Look the host up; a subclass may check the addresses.

        :raises TimeoutError: the lookup takes longer than this.
        """
        return call_within(seconds, _look_up, self.host, self.port)

    def check_name(self) -> None:
        """Check the host by its name alone, before a forward proxy connects to it; a subclass may refuse it."""

    def connect(self) -> None:
        """Connect to the first address of the host, or of the forward proxy, that accepts.

        TLS verifies the name, not the address, and the ``Host`` header keeps the name too.
        """
        name, port, timeout = self.host, self.port, self.timeout
        proxy = self.forward_proxy
        if proxy is not None and not proxy.carries(name):
            proxy = None
        patience = math.inf if timeout is None else timeout
        until = time.monotonic() + self.bounds.seconds_left(patience)
        if proxy is None:
            addresses = self.addresses(until - time.monotonic())
        else:
            self.check_name()
            addresses = call_within(until - time.monotonic(), _look_up, proxy.host, proxy.port)
        connection: object = self  # a subclass may derive from HTTPSConnection too
        if isinstance(connection, HTTPSConnection):
            connection.ssl_context = connection.ssl_context or create_urllib3_context()
            connection.ssl_context.sslsocket_class = BoundedTLSSocket
            connection.server_hostname = connection.server_hostname or name
        failure: Exception = NewConnectionError(self, "the name has no address")
        token = _connecting_until.set(until)
        try:
            for tried, address in enumerate(addresses):
                # Each address gets its share, so that a dead first one leaves time for the others.
                share = (until - time.monotonic()) / (len(addresses) - tried)
                self.host, self.timeout = address, None if share == math.inf else max(share, SHORTEST_SECONDS)
                if proxy is not None:
                    self.set_tunnel(name, port, proxy.headers)  # closing the connection takes it away
                    self.port = proxy.port
                try:
                    super().connect()
                    break
                except (NewConnectionError, ConnectTimeoutError) as error:
                    failure = error
                except OSError as error:
                    if proxy is None or isinstance(error, ssl.SSLError | TimeoutError):
                        raise
                    # Nothing was sent to the host: what the pools make of a bare OSError would leave that open.
                    raise NewConnectionError(self, f"the forward proxy opens no tunnel: {error}") from error
                finally:
                    self.port = port
            else:
                self.bounds.seconds_left(patience)  # raises the bounds' own error, if that is why
                raise failure
        finally:
            _connecting_until.reset(token)
            self.host, self.timeout = name, timeout
        self.sock = _take_over(cast("socket.socket", self.sock))
        self.sock.bounds = self.bounds
        self.sock.settimeout(timeout)


def call_within(seconds: float, function: Callable[..., T], *arguments: object) -> T:
    """Call a function that has no time-out, such as ``getaddrinfo``, which can block for 30 s.

    :raises TimeoutError: it has not returned by then. It goes on in a thread, and its result is dropped.
    """
    results: SimpleQueue[tuple[T | None, Exception | None]] = SimpleQueue()

    def call() -> None:
        try:
            results.put((function(*arguments), None))
        except Exception as error:
            results.put((None, error))

    # A thread rather than a pool: the threads of a pool do not survive a fork of the server.
    Thread(target=call, name="videoconf-dns", daemon=True).start()
    try:
        result, failure = results.get(timeout=None if seconds == math.inf else max(seconds, 0.0))
    except Empty:
        raise TimeoutError("the name was not resolved in time") from None
    if failure is not None:
        raise failure
    return cast("T", result)


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _take_over(connected: socket.socket) -> BoundedSocket:
    if isinstance(connected, BoundedSocket):
        return connected
    if type(connected) is not socket.socket:
        raise TypeError("urllib3 connected by a socket that has no bounds")
    return BoundedSocket(connected.family, connected.type, connected.proto, fileno=connected.detach())
