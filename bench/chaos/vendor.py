"""The video vendor of ``make chaos``: it keeps sessions, who is connected, and archives, and can be cut off."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench.vendor import API_KEY, Vendor, session_id

AVAILABLE_SECONDS = 1.0
"""How long after its stop an archive is in the storage target. Nothing is really put there: the service can delete a
copy that is missing, too."""

Reply = tuple[int, object]

DAY = 86_400_000
YEAR_9999 = 253_370_764_800_000


def right(time_ms: int) -> int:
    return time_ms


WRONG = (
    lambda time_ms: 0,
    lambda time_ms: time_ms // 1000,  # seconds
    lambda time_ms: time_ms * 1000,
    lambda time_ms: YEAR_9999,
    lambda time_ms: time_ms - 400 * DAY,
    lambda time_ms: time_ms + DAY,
)
"""Clocks that vendors were seen to have, or might."""


class ChaosVendor(Vendor):
    """The server. ``is_down`` drops connections: half of the requests are dropped after they were carried out.

    ``bend`` gives it a wrong clock.
    """

    def __init__(self, seed: int) -> None:
        self.sessions: set[str] = set()
        self.connected: dict[str, dict[str, int]] = {}
        """By session: connections, and since when in milliseconds since 1970."""
        self.archives: dict[str, dict[str, Any]] = {}
        self.bend: Callable[[int], int] = right
        """What its clock makes of a time, in milliseconds since 1970."""
        self.lock = threading.Lock()
        self._chance = random.Random(seed)
        super().__init__()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lines = head.split("\r\n")
                length = next((line[15:] for line in lines if line.lower().startswith("content-length:")), "0")
                body = await reader.readexactly(int(length))
                await asyncio.sleep(self.latency_seconds)
                if self.is_down and self._chance.random() < 0.5:
                    break
                method, target, _ = lines[0].split(" ")
                with self.lock:
                    status, answer = self._carry_out(method, target, body)
                if self.is_down:
                    break
                content = b"" if status == HTTPStatus.NO_CONTENT else json.dumps(answer).encode()
                writer.write(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode())
                writer.write(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _carry_out(self, method: str, target: str, body: bytes) -> Reply:
        url = urlsplit(target)
        match method, url.path.strip("/").split("/"):
            case "POST", ["session", "create"]:
                made = session_id()
                self.sessions.add(made)
                return 200, [{"session_id": made, "project_id": API_KEY, "partner_id": API_KEY, "create_dt": "x"}]
            case "GET", ["v2", "project", _, "session", session, "connection"]:
                there = self.connected.get(session, {})
                items = [
                    {"connectionId": one, "connectionState": "Connected", "createdAt": self.bend(since)}
                    for one, since in there.items()
                ]
                return 200, {"count": len(items), "items": items}
            case "DELETE", ["v2", "project", _, "session", session, "connection", one]:
                found = self.connected.get(session, {}).pop(one, None)
                return (404, {}) if found is None else (204, None)
            case "POST", ["v2", "project", _, "archive"]:
                return 200, self._start(json.loads(body))
            case "GET", ["v2", "project", _, "archive"]:
                session = parse_qs(url.query).get("sessionId", [""])[0]
                items = [self._shown(one) for one in self.archives.values() if one["sessionId"] == session]
                return 200, {"count": len(items), "items": items}
            case "PUT" | "DELETE", ["v2", "project", _, "archive", "storage"]:
                return 200, {}
            case "GET", ["v2", "project", _, "archive", one] if one in self.archives:
                return 200, self._shown(self.archives[one])
            case "POST", ["v2", "project", _, "archive", one, "stop"] if one in self.archives:
                archive = self.archives[one]
                if archive["status"] != "started":
                    return 409, {"message": "not recording"}
                archive["status"], archive["stopped"] = "stopped", time.monotonic()
                return 200, self._shown(archive)
            case "DELETE", ["v2", "project", _, "archive", one] if one in self.archives:
                if self.archives[one]["status"] == "started":
                    return 409, {"message": "recording"}
                del self.archives[one]
                return 204, None
        return 404, {"message": "not found"}

    def _start(self, wish: dict[str, Any]) -> dict[str, Any]:
        now = self._now()
        archive = {
            "id": str(uuid.UUID(int=self._chance.getrandbits(128))),
            "status": "started",
            "name": wish.get("name"),
            "sessionId": wish["sessionId"],
            "projectId": API_KEY,
            "createdAt": now,
            "updatedAt": now,
            "duration": 0,
            "size": 0,
        }
        self.archives[archive["id"]] = archive
        return archive

    def _now(self) -> int:
        return self.bend(int(time.time() * 1000))

    def _shown(self, archive: dict[str, Any]) -> dict[str, Any]:
        if archive["status"] == "stopped" and time.monotonic() > archive["stopped"] + AVAILABLE_SECONDS:
            archive |= {"status": "uploaded", "duration": 1, "size": 1000, "updatedAt": self._now()}
        return {name: value for name, value in archive.items() if name != "stopped"}
