"""HTTP in front of the stand-in: requests of servers, downloads, and the hand of whoever runs it."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from tools.vonage_standin.admin import ADMIN_PREFIX
from tools.vonage_standin.answers import Answer, video_error
from tools.vonage_standin.api import Request
from tools.vonage_standin.faults import Fault
from tools.vonage_standin.world import Refused
from videoconf.testing.faulty_server import Exchange, Received

if TYPE_CHECKING:
    from types import TracebackType

    from tools.vonage_standin.standin import VonageStandin

DOWNLOAD = re.compile(r"/downloads/[^/]+/(?P<archive_id>[^/]+)/archive\.(mp4|zip)")
IDLE_SECONDS = 30


class Server:
    """Serves a stand-in. A context manager."""

    def __init__(self, standin: VonageStandin, host: str = "127.0.0.1", port: int = 0) -> None:
        self.received: list[Request] = []
        """Every request, in order; also those that a fault befell before anything was done."""
        self.stopping = threading.Event()
        self._standin = standin
        self._connections: set[socket.socket] = set()
        self._http = ThreadingHTTPServer((host, port), self._handler(), bind_and_activate=True)
        self._http.daemon_threads = True
        self.port = self._http.server_port
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.01,), name="vonage-standin", daemon=True
        )

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        # Else a connection that is kept alive would still be answered.
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def serve(self, request: Request, connection: BaseHTTPRequestHandler) -> bool:
        """Answer one request, or let its fault befall it; say whether the connection may be used again."""
        standin = self._standin
        fault = standin.faults.take(request.method, request.path) or Fault()
        self.stopping.wait(fault.wait_seconds)
        answer = None
        with standin.lock:
            if not request.path.startswith(ADMIN_PREFIX):
                self.received.append(request)
            if fault.processed:
                answer = fault.change(self._answer(request))
        received = Received(request.method, request.path, request.query, request.headers, request.body)
        exchange = Exchange(received, connection.connection, self.stopping)
        if fault.behaviour is not None or answer is None:
            return fault.behaviour is not None and fault.behaviour(exchange)
        _send_head(connection, answer)
        if fault.drip_seconds:
            return exchange.drip(answer.body, fault.drip_seconds)
        return exchange.send(answer.body)

    def _answer(self, request: Request) -> Answer:
        if (download := DOWNLOAD.fullmatch(request.path)) is not None:
            return self._download(download["archive_id"], request)
        if request.path.startswith(ADMIN_PREFIX):
            return self._standin.admin.answer(request)
        return self._standin.api.answer(request)

    def _download(self, archive_id: str, request: Request) -> Answer:
        try:
            until_ms = int(parse_qs(request.query).get("until", ["0"])[0])
            return Answer(200, self._standin.archives.download(archive_id, until_ms), "video/mp4")
        except (Refused, ValueError):
            return video_error(403, "Request has expired")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = IDLE_SECONDS
            disable_nagle_algorithm = True  # head and body go out apart, and the second would wait for the first's ACK

            def setup(self) -> None:
                super().setup()
                server._connections.add(self.connection)

            def finish(self) -> None:
                server._connections.discard(self.connection)
                with contextlib.suppress(OSError):
                    super().finish()

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True  # whoever called has gone

            def serve(self) -> None:
                path, _, query = self.path.partition("?")
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", 0)))
                if not server.serve(Request(self.command, path, query, headers, body), self):
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: a request line tells session ids."""

        return Handler


def _send_head(connection: BaseHTTPRequestHandler, answer: Answer) -> None:
    connection.send_response(answer.status)
    if answer.status != 204:
        connection.send_header("Content-Type", answer.content_type)
        connection.send_header("Content-Length", str(len(answer.body)))
    connection.end_headers()
