"""What is sent: the requests of each operation, for every implementation of the API, and the load generator, wrk."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import secrets
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jwt

from bench.vendor import API_KEY

HERE = Path(__file__).parent
SIGNATURE_SECRET = secrets.token_urlsafe(48)


@dataclass(frozen=True)
class Request:
    """One request as the load generator's file has it."""

    method: str
    path: str
    body: str = ""
    headers: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        return "\t".join((self.method, self.path, self.body, *self.headers))


@dataclass(frozen=True)
class Result:
    rate: float
    p50_ms: float
    p99_ms: float
    failed: int


def load(url: str, requests: list[Request], concurrency: int, seconds: int) -> Result:
    """Load a server with wrk; requests come in turn."""
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder, "requests"), Path(folder, "out")
        file.write_text("".join(one.line + "\n" for one in requests))
        command = ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", "--timeout=30s", "-s", HERE / "load.lua", url]
        environment = {**os.environ, "REQUESTS": str(file), "OUT": str(out)}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        found = json.loads(out.read_text())
    rate = found["requests"] / found["seconds"]
    return Result(rate, found["p50_ms"], found["p99_ms"], found["failed"] + found["broken"])


class Target:
    """An implementation of the API: its URL, and a bearer token that it takes."""

    def __init__(self, url: str, token: str, *, signs: bool) -> None:
        self.url = url
        self.authorization = f"Authorization: Bearer {token}"
        self._signs = signs

    def call(self, method: str, path: str, body: object = None, *headers: str) -> tuple[int, bytes]:
        sent = dict(line.split(": ", 1) for line in (self.authorization, "Content-Type: application/json", *headers))
        data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=sent)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()

    def meeting(self) -> tuple[str, str]:
        """Create a meeting that has begun; return its link and its session."""
        text = self.call("POST", "/session", {"isScheduled": False})[1].decode()
        found = json.loads(text) if text[0] in '"{' else text
        link = found["code"] if isinstance(found, dict) else found
        return link, json.loads(self.call("POST", f"/session/{link}/token", {})[1])["sessionId"]

    def webhook(self, session: str, number: int) -> Request:
        """Make the webhook of a new attendee."""
        now = int(time.time() * 1000)
        connection = {
            "id": f"{number:08x}-0000-4000-8000-{number:012d}",
            "createdAt": now,
            "data": f"attendee-{number:010d}",
        }
        document = {"sessionId": session, "projectId": API_KEY, "event": "connectionCreated", "timestamp": now}
        body = json.dumps({**document, "connection": connection}, separators=(",", ":"))
        headers = ["Content-Type: application/json"]
        if self._signs:
            digest = hashlib.sha256(body.encode()).hexdigest()
            claims = {
                "iss": "Vonage",
                "iat": now // 1000,
                "jti": str(number),
                "api_key": API_KEY,
                "payload_hash": digest,
            }
            headers.append(f"Authorization: Bearer {jwt.encode(claims, SIGNATURE_SECRET, 'HS256')}")
        return Request("POST", "/webhooks/session", body, tuple(headers))


Make = Callable[[Target], list[Request]]
numbers = itertools.count(1)


def token_requests(target: Target) -> list[Request]:
    json_type = "Content-Type: application/json"
    return [
        Request("POST", f"/session/{target.meeting()[0]}/token", "{}", (target.authorization, json_type))
        for _ in range(20)
    ]


def create_requests(target: Target) -> list[Request]:
    headers = (target.authorization, "Content-Type: application/json")
    return [Request("POST", "/session", '{"isScheduled":false}', headers)]


def attendee_requests(target: Target) -> list[Request]:
    link, session = target.meeting()
    for _ in range(50):
        one = target.webhook(session, next(numbers))
        target.call(one.method, one.path, one.body, *one.headers)
    found = json.loads(target.call("GET", f"/session/{link}/attendees")[1])
    if len(found) != 50:
        raise RuntimeError(f"{target.url} lists {len(found)} attendees of 50")
    return [Request("GET", f"/session/{link}/attendees", "", (target.authorization,))]


def archive_requests(target: Target) -> list[Request]:
    return [Request("GET", "/archives?pageSize=25" if target._signs else "/archives", "", (target.authorization,))]
