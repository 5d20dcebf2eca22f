"""Serve ``GET /metrics`` on an address of its own, apart from the API: it is for the operator's network alone.

All processes of one server publish their numbers (:mod:`videoconf.observability.shared`), so any of them can answer for
all. The first one listens; when it ends, another takes over. An address that is in use never stops a process: it logs
that once, and tries again.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from videoconf.observability.metrics import CONTENT_TYPE

logger = logging.getLogger(__name__)

SAMPLE_SECONDS = 2.0
"""How often a process measures its own state, and tries to listen while no process of its server does."""
TICK_SECONDS = 0.1
"""How often a process looks whether another one asks for its numbers."""
CLIENT_SECONDS = 10.0
"""How long a client may take to send its request, or to read a block of the answer."""
MOST_CLIENTS = 8
"""How many connections stay open. Each takes a thread and an open file of a process that serves the API."""


class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: str, collect: Callable[[], bytes]) -> None:
        self._clients: list[Any] = []
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.collect = collect
        super().__init__((host, int(port)), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a client in a thread. Of too many, the one that has been there longest ends: a scrape takes no time."""
        self._clients.append(request)
        if len(self._clients) > MOST_CLIENTS:
            with suppress(OSError, IndexError):  # its own thread has ended it
                self._clients.pop(0).shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a client's connection."""
        with suppress(ValueError):  # it made room for another
            self._clients.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that went away."""
        logger.debug("a client of the metrics went away", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = CLIENT_SECONDS
    server: _Server

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404)
            return
        try:
            body = self.server.collect()
        except Exception:
            logger.exception("the metrics cannot be collected")
            self.send_error(500)
            return
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "videoconf"

    def log_message(self, format: str, *args: object) -> None:
        pass  # a line for each scrape would say nothing


class MetricsListener:
    """Measures this process from time to time, and serves the metrics when it is this process's turn.

    :param address: ``host:port``.
    :param sample: measures this process's own state, and publishes its numbers.
    :param collect: returns all metrics as Prometheus reads them.
    :param is_our_turn: tells whether this process is the one that listens.
    :param asked_at: returns when the process that listens last asked the others to publish.
    """

    def __init__(
        self,
        address: str,
        *,
        sample: Callable[[], None],
        collect: Callable[[], bytes],
        is_our_turn: Callable[[], bool] = lambda: True,
        asked_at: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._address = address
        self._sample = sample
        self._collect = collect
        self._stopping = threading.Event()
        self._is_our_turn = is_our_turn
        self._asked_at = asked_at
        self._server: _Server | None = None
        self._told = self._failed = ""
        self._thread = threading.Thread(target=self._run, name="videoconf-metrics", daemon=True)

    def start(self) -> None:
        """Begin in a thread, and return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; another process of the server may take over."""
        self._stopping.set()
        self._thread.join(CLIENT_SECONDS)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                asked = self._asked_at()
                self._once()
                until = time.monotonic() + SAMPLE_SECONDS
                while self._asked_at() == asked and time.monotonic() < until and not self._stopping.wait(TICK_SECONDS):
                    pass
        finally:
            if self._server is not None:
                self._server.shutdown()
                self._server.server_close()

    def _once(self) -> None:
        try:
            self._sample()
        except Exception as error:
            if repr(error) != self._failed:
                logger.exception("the metrics could not be measured")
            self._failed = repr(error)
        else:
            self._failed = ""
        if self._server is None and self._is_our_turn():
            self._listen()

    def _listen(self) -> None:
        try:
            server = _Server(self._address, self._collect)
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self._told:
                remedy = "Set VIDEOCONF_METRICS_BIND to an address that is free, or to nothing."
                logger.warning("metrics are not served on %s: %s. %s", self._address, reason, remedy)
            self._told = reason
            return
        self._server = server
        threading.Thread(target=server.serve_forever, name="videoconf-metrics-server", daemon=True).start()
        logger.info("metrics are served on %s", self._address)
