"""The video vendor's REST API as far as it is measured: a session is made and archives are listed, after a latency.

It is asyncio and checks nothing, so that it takes little of the processors that it shares with what is measured. Both
the service and the peer are pointed at it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import threading

API_KEY = "46000001"


class Vendor:
    """The server, in a thread of its own. Its latency, and whether it answers at all, may be changed while it runs."""

    def __init__(self, port: int = 0) -> None:
        self.latency_seconds = 0.0
        self.is_down = False
        self._port = port
        self._ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._ready.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._answer, "127.0.0.1", self._port, backlog=512)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = next((line[15:] for line in head.split("\r\n") if line.startswith("content-length:")), "0")
                await reader.readexactly(int(length))
                await asyncio.sleep(self.latency_seconds)
                if self.is_down:
                    break
                body = json.dumps(_answer_to(head.partition("\r")[0])).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def session_id() -> str:
    """Make a session id that the vendor's SDKs take: they find the API key in it."""
    text = f"1~{API_KEY}~~1700000000000~{secrets.token_urlsafe(18)}~fp~"
    return "2_" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _answer_to(line: str) -> object:
    if "/session/create" in line:
        return _session()
    return {"count": 0, "items": []} if "/connection" in line else _archives()


def _session() -> list[dict[str, object]]:
    return [{"session_id": session_id(), "project_id": API_KEY, "partner_id": API_KEY, "create_dt": "x"}]


def _archives() -> dict[str, object]:
    items = [
        {
            "id": f"00000000-0000-4000-8000-{i:012d}",
            "status": "available",
            "name": f"Archive {i}",
            "reason": "",
            "sessionId": f"2_MX40NjAwMDAwMX5-{i}",
            "projectId": int(API_KEY),
            "createdAt": 1700000000000 + i * 1000,
            "updatedAt": 1700000060000 + i * 1000,
            "size": 1234567,
            "duration": 60,
            "outputMode": "composed",
            "hasAudio": True,
            "hasVideo": True,
            "resolution": "640x480",
            "url": None,
        }
        for i in range(25)
    ]
    return {"count": len(items), "items": items}
