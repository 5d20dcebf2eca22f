"""What receives Janus's events in place of a service."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.request import urlopen

from tests.plugins.janus.server import SECRETS, JanusServer

WAIT_SECONDS = 10.0
MARKER = "videoconf.tests.marker"


@dataclass(frozen=True)
class Posted:
    """One webhook as Janus posted it."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, put: Callable[[Posted], None], *args: Any) -> None:
        self._put = put
        super().__init__(*args)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._put(Posted(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


class EventSink:
    """Accepts and gathers webhooks. Janus posts them one after the other, in order."""

    def __init__(self) -> None:
        self._posted: list[Posted] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self.put))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._marker = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def put(self, posted: Posted) -> None:
        with self._changed:
            self._posted.append(posted)
            self._changed.notify_all()

    def take(self, janus: JanusServer) -> Sequence[Posted]:
        """Return and forget what Janus has posted of all that has happened there until now."""
        self._marker += 1
        body = {
            "janus": "custom_event",
            "transaction": "t",
            "admin_secret": SECRETS["ADMIN_SECRET"],
            "schema": MARKER,
            "data": {"number": self._marker},
        }
        with urlopen(janus.admin_url, json.dumps(body).encode()) as answer:
            assert json.load(answer)["janus"] == "success"
        deadline = time.monotonic() + WAIT_SECONDS
        with self._changed:
            while not (self._posted and self._is_marker(self._posted[-1])):
                assert self._changed.wait(deadline - time.monotonic()), "Janus posts no events"
            taken = [one for one in self._posted if one.event.get("event", {}).get("schema") != MARKER]
            self._posted.clear()
        return taken

    def _is_marker(self, posted: Posted) -> bool:
        return posted.event.get("event") == {"schema": MARKER, "data": {"number": self._marker}}

    def __enter__(self) -> EventSink:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
