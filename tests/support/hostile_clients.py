"""Clients without a token that try to keep a server from serving others."""

import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

HEAD = b"HTTP/1.1\r\nHost: x\r\n"
RECONNECT_SECONDS = 3.0
"""After the server has closed its end."""
TICK_SECONDS = 0.25


@dataclass(frozen=True)
class Kind:
    """What a client sends: something first, then something in each tick. No client reads an answer."""

    first: bytes
    drip: bytes = b""
    half_closes: bool = False


KINDS = {
    "read nothing": Kind((b"GET /docs/swagger-ui-bundle.js " + HEAD + b"\r\n") * 20),
    "drip a head": Kind(b"GET /healthz " + HEAD + b"X-Drip: ", b"a"),
    "half-close": Kind(b"GET /healthz " + HEAD + b"\r\n", half_closes=True),
    "half-close amid a head": Kind(b"GET /healthz " + HEAD, half_closes=True),
    "keep their end open": Kind(b"GET /healthz " + HEAD + b"Connection: close\r\n\r\n"),
    "keep their end open, HTTP/1.0": Kind(b"GET /healthz HTTP/1.0\r\n\r\n"),
    "keep their end open, garbage": Kind(b"\x16\x03\x01 garbage\r\n\r\n"),
    "say nothing": Kind(b""),
    "drip a body": Kind(b"POST /session " + HEAD + b"Content-Length: 1000000\r\n\r\n", b"a"),
    "drip a short body": Kind(b"POST /session " + HEAD + b"Content-Length: 1000\r\n\r\n", b"a"),
    "drip chunks": Kind(b"POST /session " + HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
}


@dataclass
class _Client:
    kind: Kind
    sock: socket.socket | None = None
    reopen_at: float = 0.0


@dataclass
class Siege:
    """Keeps a number of hostile clients at a server, in a thread, for as long as the block lasts.

    A client whose connection the server has closed keeps its end open for some seconds, then connects again.
    """

    port: int
    counts: dict[str, int]
    closed: int = 0
    """How many connections the server has closed."""
    _clients: list[_Client] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._clients = [_Client(KINDS[kind]) for kind, count in self.counts.items() for _ in range(count)]
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Siege":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        for client in self._clients:
            if client.sock is not None:
                client.sock.close()

    @property
    def connected(self) -> int:
        """How many connections are open at this moment, as the clients see it."""
        return sum(client.sock is not None for client in self._clients)

    def _run(self) -> None:
        while not self._over.wait(TICK_SECONDS):
            poller, by_descriptor, now = select.poll(), {}, time.monotonic()
            for client in self._clients:
                if client.sock is None or 0 < client.reopen_at <= now:
                    self._connect(client)
                else:
                    self._quietly(client.sock.send, client.kind.drip)
                if client.sock is not None and client.reopen_at == 0:
                    by_descriptor[client.sock.fileno()] = client
                    poller.register(client.sock, select.POLLRDHUP)
            for descriptor, _ in poller.poll(0):
                by_descriptor[descriptor].reopen_at = now + RECONNECT_SECONDS
                self.closed += 1

    def _connect(self, client: _Client) -> None:
        if client.sock is not None:
            client.sock.close()
        client.reopen_at = 0.0
        client.sock = sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(1)
        self._quietly(sock.connect, ("127.0.0.1", self.port))
        sock.setblocking(False)
        self._quietly(sock.send, client.kind.first)
        if client.kind.half_closes:
            self._quietly(sock.shutdown, socket.SHUT_WR)

    @staticmethod
    def _quietly(act: Callable[..., object], *arguments: object) -> None:
        with suppress(OSError):
            act(*arguments)
