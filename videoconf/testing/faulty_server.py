"""An HTTP server on the loopback that misbehaves on demand, and counts what reached it.

::

    with FaultyServer() as server:
        server.on("/meetings", reply(503, headers={"Retry-After": "1"}), reply(200, b"{}"))
        client.get(server.url("/meetings"))
        assert server.count("/meetings") == 2

A path has a script of behaviours; each request takes the next one, and the last one stays. A behaviour is any callable
that takes an :class:`Exchange` and says with its return value whether the connection may be used again. It needs
nothing but the standard library, knows no test framework, and listens on 127.0.0.1 alone. A client that sends
``Expect: 100-continue`` is answered before its body is read, as by any server.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO

CHUNK_BYTES = 1 << 16
ANY = "*"
"""In place of a path: every path that has no script of its own."""


@dataclass(frozen=True)
class Received:
    """One request that came in whole."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """Names in lower case; repeated ones joined by a comma."""
    body: bytes


@dataclass
class Exchange:
    """What a behaviour works with: the request, the connection that it came on, and the server's life."""

    request: Received
    connection: socket.socket
    stopping: threading.Event

    def send(self, data: bytes) -> bool:
        """Send; False when the peer has gone."""
        try:
            self.connection.sendall(data)
        except OSError:
            return False
        return True

    def drip(self, data: bytes, interval_seconds: float) -> bool:
        """Send byte by byte; False when the peer or the server has gone."""
        return all(self.send(data[i : i + 1]) and not self.stopping.wait(interval_seconds) for i in range(len(data)))


Behaviour = Callable[[Exchange], bool]


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def reply(
    status: int = 200,
    body: bytes = b"",
    *,
    headers: Mapping[str, str] | None = None,
    delay_seconds: float = 0.0,
    keep_alive: bool = True,
) -> Behaviour:
    """A well-formed answer, late where asked to."""

    def behave(exchange: Exchange) -> bool:
        exchange.stopping.wait(delay_seconds)
        framing = {} if status in (204, 304) else {"Content-Length": str(len(body))}
        closing = {} if keep_alive else {"Connection": "close"}
        return exchange.send(_head(status, {**framing, **closing, **(headers or {})}) + body) and keep_alive

    return behave


def raw(data: bytes) -> Behaviour:
    """These bytes, whatever they are, and the end of the connection."""

    def behave(exchange: Exchange) -> bool:
        exchange.send(data)
        return False

    return behave


def truncated(
    body: bytes, *, missing: int = 1, status: int = 200, headers: Mapping[str, str] | None = None
) -> Behaviour:
    """An answer that ends ``missing`` bytes before its ``Content-Length``."""
    return raw(_head(status, {"Content-Length": str(len(body) + missing), **(headers or {})}) + body)


def drip_head(interval_seconds: float) -> Behaviour:
    """A status line at once, then header fields without end, a byte at a time."""

    def behave(exchange: Exchange) -> bool:
        exchange.send(b"HTTP/1.1 200 OK\r\n")
        while exchange.drip(b"X-Field: value\r\n", interval_seconds):
            pass
        return False

    return behave


def drip_body(interval_seconds: float, *, status: int = 200, length: int = 1 << 16) -> Behaviour:
    """A whole head, then the body a byte at a time."""

    def behave(exchange: Exchange) -> bool:
        exchange.send(_head(status, {"Content-Length": str(length)}))
        return exchange.drip(b"x" * length, interval_seconds)

    return behave


def hang() -> Behaviour:
    """No answer at all, for as long as the server lives."""

    def behave(exchange: Exchange) -> bool:
        exchange.stopping.wait()
        return False

    return behave


def reset(after: bytes = b"") -> Behaviour:
    """A TCP reset after the request was read and ``after`` was sent."""

    def behave(exchange: Exchange) -> bool:
        exchange.send(after)
        _reset(exchange.connection)
        return False

    return behave


def endless(chunk: bytes = b"x" * CHUNK_BYTES, *, status: int = 200) -> Behaviour:
    """A chunked body that does not end."""

    def behave(exchange: Exchange) -> bool:
        exchange.send(_head(status, {"Transfer-Encoding": "chunked"}))
        framed = b"%x\r\n%b\r\n" % (len(chunk), chunk)
        while not exchange.stopping.is_set() and exchange.send(framed):
            pass
        return False

    return behave


def gzip_bomb(decompressed_bytes: int = 1 << 30) -> Behaviour:
    """A small gzip body that grows a thousandfold."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    zeros = bytes(1 << 20)
    packed = b"".join(packer.compress(zeros) for _ in range(decompressed_bytes >> 20)) + packer.flush()
    return reply(200, packed, headers={"Content-Encoding": "gzip"})


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class FaultyServer:
    """The server. Thread-safe. A path without a script answers 404.

    :param tls: serve TLS with this context.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        self._scripts: dict[str, list[Behaviour]] = {}
        self._received: defaultdict[str, list[Received]] = defaultdict(list)
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connection_count = 0
        """Connections that were accepted."""
        self.resets_before_reading = False
        """Reset every connection when its first byte has come, and read nothing."""

    def on(self, path: str, *script: Behaviour) -> None:
        """Give a path, or :data:`ANY`, its behaviours in place of those it had. What it received stays counted."""
        with self._lock:
            self._scripts[path] = list(script)

    def url(self, path: str, *, host: str = "127.0.0.1") -> str:
        """Return the URL of a path."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def requests(self, path: str) -> list[Received]:
        """Return what was received for a path, in order."""
        with self._lock:
            return list(self._received[path])

    def count(self, path: str) -> int:
        """Return how many requests a path has received."""
        return len(self.requests(path))

    @property
    def open_connection_count(self) -> int:
        """Connections that have not ended."""
        with self._lock:
            return len(self._connections)

    def __enter__(self) -> FaultyServer:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering, drop all connections, wait for the threads."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(timeout=5)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="faulty-server", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connection_count += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
        except OSError:
            connection.close()
            return
        with self._lock:
            self._connections.add(connection)
        try:
            if self.resets_before_reading:
                connection.recv(1, socket.MSG_PEEK)
                _reset(connection)
                return
            with connection, connection.makefile("rb") as stream:
                while not self._stopping.is_set():
                    request = _read_request(stream, connection)
                    if request is None or not self._behaviour(request)(Exchange(request, connection, self._stopping)):
                        return
        except OSError:
            return
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _behaviour(self, request: Received) -> Behaviour:
        with self._lock:
            self._received[request.path].append(request)
            script = self._scripts.get(request.path) or self._scripts.get(ANY)
            if not script:
                return reply(404)
            return script.pop(0) if len(script) > 1 else script[0]


def _read_request(stream: BinaryIO, connection: socket.socket) -> Received | None:
    first = stream.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        key, value = name.lower(), value.strip()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    path, _, query = first[1].partition("?")
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    return Received(first[0], path, query, headers, stream.read(int(headers.get("content-length", 0))))


@contextlib.contextmanager
def black_hole(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Give a port, by default a free one of 127.0.0.1, that answers no SYN: a listener whose backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, port), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
