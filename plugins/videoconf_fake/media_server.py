"""An HTTP server for the vendor's archives, as vendors have one: signed URLs that expire, whole or in ranges."""

from __future__ import annotations

import json
import re
import shutil
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from videoconf.errors import VideoconfError
from videoconf_fake.media import CONTENT_TYPE, may_read

if TYPE_CHECKING:
    import socket

    from videoconf_fake.live import Acts
    from videoconf_fake.provider import FakeVendor

ACTS = "/fake/"
MAX_BODY_BYTES = 64 * 1024
HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?")
RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})")


class MediaServer(ThreadingHTTPServer):
    """Serves until it is shut down.

    :param port: 0 for a free one; ``server_port`` tells which.
    :param acts: what people do over HTTP, under ``/fake/``. Absent: nothing.
    :param listening: a socket that listens already, in place of a port.
    """

    daemon_threads = True

    def __init__(
        self,
        provider: FakeVendor,
        port: int = 0,
        acts: Acts | None = None,
        listening: socket.socket | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler, bind_and_activate=listening is None)
        if listening is not None:
            self.socket.close()
            self.socket = listening
            self.server_name, self.server_port = self.server_address = listening.getsockname()
        self.provider = provider
        self.acts = acts

    def is_of_service(self, origin: str) -> bool:
        """Return whether a page's origin is the service's, which its people reach by either name of this machine."""
        service = urlsplit(self.provider.settings.webhook_url)
        hosts = (service.netloc, f"localhost:{service.port}", f"127.0.0.1:{service.port}")
        return origin in {f"{service.scheme}://{host}" for host in hosts}


class _Handler(BaseHTTPRequestHandler):
    server: MediaServer

    def do_POST(self) -> None:
        self._act("POST")

    def _act(self, method: str) -> None:
        """Let people act. Browsers name the origin of a page that posts: the service's page may, and no other."""
        acts, length = self.server.acts, self.headers.get("Content-Length", "0")
        origin, path = self.headers.get("Origin"), urlsplit(self.path).path
        of_service = origin is None or (acts is not None and acts.may_page(path) and self.server.is_of_service(origin))
        if acts is None or not of_service or not HOST.fullmatch(self.headers.get("Host", "")):
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        status, document = acts.answer(method, path, self.rfile.read(int(length)))
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if origin is not None:
            self.send_header("Access-Control-Allow-Origin", origin)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith(ACTS):
            self._act("GET")
            return
        archive_id, provider = parts.path.removeprefix("/"), self.server.provider
        if not may_read(archive_id, parts.query, provider.settings.token_secret.reveal(), provider.context.clock()):
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        try:
            size_bytes = provider.get_archive(archive_id).size_bytes or 0
            media = provider.open_archive(archive_id)
        except VideoconfError:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        wanted = RANGE.fullmatch(self.headers.get("Range", ""))
        first = int(wanted[1]) if wanted else 0
        last = min(int(wanted[2]) if wanted and wanted[2] else size_bytes - 1, size_bytes - 1)
        if wanted and first > last:
            self.send_error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size_bytes}")
        self.end_headers()
        media.seek(first)
        if wanted:
            self.wfile.write(media.read(last - first + 1))
        else:
            shutil.copyfileobj(media, self.wfile)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a line would hold a signed URL."""
