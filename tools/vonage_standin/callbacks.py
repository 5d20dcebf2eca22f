"""Callbacks that the vendor sends: signed or not, tried again by either of its two policies.

Nothing is sent by itself: :meth:`Callbacks.deliver` posts what is due. Time-outs apart, what a test sees is therefore
decided by the test alone. ``python -m tools.vonage_standin`` calls it all the time.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import jwt

from tools.vonage_standin.clock import Clock
from tools.vonage_standin.switches import Switches

Policy = Literal["current", "legacy"]

# "current": Vonage support article 11703629696412, Vonage guide: session monitoring.
FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 15 * 60.0
GIVE_UP_SECONDS = 24 * 3600.0
# "legacy", callbacks set up before January 2024 without a secret: Vonage guide: session monitoring (2022), Vonage
# support article 6646236108700.
LEGACY_RETRIES = 4
LEGACY_RETRY_SECONDS = 1.0
"""Own choice; the time between them is not documented."""
LEGACY_FAILURES = 50
LEGACY_WINDOW_SECONDS = 30 * 60.0

NAMES = (
    "archive_status",
    "connection_created",
    "connection_destroyed",
    "session_created",
    "session_destroyed",
    "session_notification",
    "stream_created",
    "stream_destroyed",
)
"""As ``capabilities.video.webhooks`` of the Application API spells them (test data of the .NET SDK)."""


@dataclass
class Registered:
    """Where callbacks of one name go."""

    url: str
    secret: str | None = None
    """Signs them; None: they are not signed."""


@dataclass
class Callback:
    """One thing to be told."""

    name: str
    body: dict[str, Any]
    first_due: float
    due: float
    number: int
    attempts: int = 0
    statuses: list[int] = field(default_factory=list)
    """The statuses of the attempts; 0: no answer."""
    state: Literal["waiting", "held", "delivered", "abandoned"] = "waiting"
    signature: str | None = None


class Callbacks:
    """The vendor's callback service. Not thread-safe; the stand-in holds a lock around each of its methods."""

    def __init__(self, account: str, environment: str, clock: Clock, switches: Switches) -> None:
        self.registered: dict[str, Registered] = {}
        self.policy: Policy = "current"
        self.disabled = False
        """The legacy policy has switched forwarding off; a person must switch it on again in the portal."""
        self.uploaded_before_stopped = False
        """Tell that an archive stopped only after telling what came next, as small archives do."""
        self.sent: list[Callback] = []
        """Everything there was to tell, in the order in which it happened."""
        self._account = account
        self._environment = environment
        self._clock = clock
        self._switches = switches
        self._failures: list[float] = []

    def register(self, session_url: str | None = None, archive_url: str | None = None, **how: Any) -> None:
        """Register URLs as the dashboard does: one for session monitoring and one for archives.

        :param how: ``secret=…`` signs both.
        """
        for name in NAMES:
            url = archive_url if name == "archive_status" else session_url
            if url is not None:
                self.registered[name] = Registered(url, **how)

    def emit(self, name: str, body: dict[str, Any]) -> None:
        """Queue what happened, if anybody wants to know it."""
        if name not in self.registered or self.disabled:
            return
        now = self._clock.now()
        callback = Callback(name, body, now, now, len(self.sent))
        if self.uploaded_before_stopped and name == "archive_status":
            if body["status"] == "stopped":
                callback.state = "held"
            else:
                self._release(body["id"])
        self.sent.append(callback)

    def due(self) -> list[Callback]:
        """Return what is to be posted now, oldest first; those that were held come last."""
        found = [one for one in self.sent if one.state == "waiting" and one.due <= self._clock.now()]
        return sorted(found, key=lambda one: (one.due, one.number))

    def deliver(
        self,
        *,
        shuffle: random.Random | None = None,
        times: int = 1,
        post: Callable[[str, bytes, Mapping[str, str], float], int] | None = None,
    ) -> list[Callback]:
        """Post what is due and return it.

        :param shuffle: in an order of this generator's (no order is documented).
        :param times: each so many times, as when an answer was lost on its way back.
        :param post: takes URL, body, headers and time-out; returns the status, or 0 without an answer.
        """
        callbacks = self.due()
        if shuffle is not None:
            shuffle.shuffle(callbacks)
        for callback in callbacks:
            if self.disabled:
                break
            for _ in range(times):
                self._attempt(callback, post or post_over_http)
        return callbacks

    def request_of(self, callback: Callback) -> tuple[bytes, dict[str, str]]:
        """Return body and headers of the next attempt."""
        spaced = self._switches.callback_body_has_spaces
        body = json.dumps(callback.body, indent=2 if spaced else None, separators=None if spaced else (",", ":"))
        headers = {"Content-Type": "application/json"}
        secret = self.registered[callback.name].secret
        if secret is not None:
            if callback.signature is None or self._switches.retries_are_signed_again:
                callback.signature = self._sign(callback, body.encode(), secret)
            headers["Authorization"] = f"Bearer {callback.signature}"
        return body.encode(), headers

    def _attempt(self, callback: Callback, post: Callable[[str, bytes, Mapping[str, str], float], int]) -> None:
        body, headers = self.request_of(callback)
        callback.attempts += 1
        url = self.registered[callback.name].url
        status = post(url, body, headers, self._switches.callback_timeout_seconds)
        callback.statuses.append(status)
        if status == 200 or (self._switches.success_statuses == "2xx" and 200 <= status <= 299):
            callback.state = "delivered"
        elif callback.state != "delivered":
            self._plan_retry(callback)

    def _plan_retry(self, callback: Callback) -> None:
        now = self._clock.now()
        if self.policy == "legacy":
            callback.due = now + LEGACY_RETRY_SECONDS
            if callback.attempts > LEGACY_RETRIES:
                callback.state = "abandoned"
            self._failures = [at for at in self._failures if at > now - LEGACY_WINDOW_SECONDS] + [now]
            self.disabled = len(self._failures) > LEGACY_FAILURES
            return
        wait = min(FIRST_RETRY_SECONDS * 2 ** (callback.attempts - 1), LONGEST_RETRY_SECONDS)
        callback.due = now + wait
        if callback.due > callback.first_due + GIVE_UP_SECONDS:
            callback.state = "abandoned"

    def _release(self, archive_id: str) -> None:
        """Let the word that an archive stopped follow what comes after it."""
        for callback in self.sent:
            if callback.state == "held" and callback.body["id"] == archive_id:
                callback.state = "waiting"
                callback.number = len(self.sent) + 1
                callback.due = self._clock.now()

    def _sign(self, callback: Callback, body: bytes, secret: str) -> str:
        """Sign as the announcement of secure callbacks of July 2023 and the Vonage guide to signed webhooks say."""
        compact = json.dumps(callback.body, separators=(",", ":")).encode()
        hashed = body if self._switches.payload_hash_covers == "raw" else compact
        claims = {
            "iat": int(self._clock.now()),
            "jti": str(uuid.uuid4()),
            "iss": "Vonage",
            "payload_hash": hashlib.sha256(hashed).hexdigest(),
            "api_key": self._account,
        }
        if self._environment == "unified":
            # The api key of the account that owns the application is another number; own choice.
            claims |= {"api_key": "a1b2c3d4", "application_id": self._account}
        return jwt.encode(claims, secret, algorithm="HS256")


def post_over_http(url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float) -> int:
    """Post once, following nothing; return the status, or 0 without an answer in time."""
    parts = urllib.parse.urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_seconds)
    try:
        connection.request("POST", urllib.parse.urlunsplit(("", "", *parts[2:4], "")), body, dict(headers))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
