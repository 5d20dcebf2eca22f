"""Webhooks: signed, one queue for each room and each egress, retried for half a minute, and then lost."""

from __future__ import annotations

import base64
import copy
import hashlib
import http.client
import random
import re
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import jwt
from google.protobuf.json_format import MessageToDict
from livekit.protocol.models import Room
from livekit.protocol.webhook import WebhookEvent

from tools.livekit_standin.switches import Switches
from tools.livekit_standin.world import as_json, new_id
from tools.vonage_standin.clock import Clock

RETRY_SECONDS = (1, 2, 4, 8)
MOST_WAITING_SECONDS = 30
MOST_WAITING = 200
TOKEN_SECONDS = 300
TIMEOUT_SECONDS = 10

Post = Callable[[str, bytes, Mapping[str, str]], int]


@dataclass
class Webhook:
    """One event for one URL."""

    event: str
    resource: str
    body: bytes
    token: str
    queued_at: float
    due: float
    attempts: int = 0
    statuses: list[int] = field(default_factory=list)
    state: Literal["waiting", "delivered", "lost"] = "waiting"


class Webhooks:
    """The webhooks of a server. Not thread-safe, like the world."""

    def __init__(self, clock: Clock, switches: Switches, api_key: str, secret: str) -> None:
        self.urls: list[str] = []
        self.api_key, self.secret = api_key, secret
        """The one key that signs."""
        self.sent: list[Webhook] = []
        self._clock = clock
        self._switches = switches

    def emit(self, event: str, *, room_id: str = "", room_name: str = "", **members: Any) -> None:
        """Queue an event. Members are messages, as they are now."""
        now = self._clock.now()
        message = WebhookEvent(event=event, id=new_id("EV_"), created_at=int(now))
        for name, value in members.items():
            if value is not None:
                getattr(message, name).CopyFrom(value)
        if room_name:
            message.room.CopyFrom(Room(sid=room_id, name=room_name))
        egress = members.get("egress_info")
        room = members.get("room")
        name = room_name or (room.name if room is not None else "")
        resource = f"egress {egress.egress_id}" if egress is not None else f"room {name}"
        text = as_json(MessageToDict(message))
        if self._switches.spaced_webhooks:
            text = re.sub(r',(?=["{\[])', ", ", text)
        body = text.encode()
        for _ in self.urls or ("",):
            self.sent.append(Webhook(event, resource, body, self.sign(body, now), now, now))

    def sign(self, body: bytes, now: float) -> str:
        """Return the header's JWT for a body, in the form of servers since 1.13."""
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        times = {"iat": int(now), "nbf": int(now), "exp": int(now) + TOKEN_SECONDS}
        return jwt.encode({"iss": self.api_key, **times, "sha256": digest}, self.secret, "HS256")

    def headers(self, webhook: Webhook) -> dict[str, str]:
        """Return the headers of a webhook; every attempt has the same."""
        return {
            "Authorization": webhook.token,
            "Content-Type": "application/webhook+json",
            "User-Agent": "Go-http-client/1.1",  # "LiveKit" in releases after 1.13.5
        }

    def waiting(self) -> list[Webhook]:
        """Return what was neither delivered nor lost, oldest first."""
        return [one for one in self.sent if one.state == "waiting"]

    def deliver(
        self,
        post: Post,
        *,
        shuffle: random.Random | None = None,
        times: int = 1,
        lose: Callable[[Webhook], bool] = lambda webhook: False,
    ) -> list[Webhook]:
        """Post what is due and return it.

        :param shuffle: in any order, as across nodes; else each resource's in its order.
        :param lose: chooses webhooks that never arrive.
        """
        now, blocked, done = self._clock.now(), set(), []
        waiting = self.waiting()
        if shuffle is not None:
            shuffle.shuffle(waiting)
        for webhook in waiting:
            if webhook.attempts == 0 and now - webhook.queued_at > MOST_WAITING_SECONDS:
                webhook.state = "lost"
            elif webhook.resource in blocked or webhook.due > now:
                blocked.add(webhook.resource)
            elif lose(webhook):
                webhook.state = "lost"
            else:
                self._attempt(webhook, post, times)
                done.append(webhook)
                if webhook.state == "waiting":
                    blocked.add(webhook.resource)
        return done

    def _attempt(self, webhook: Webhook, post: Post, times: int) -> None:
        for _ in range(times):
            url = self.urls[0] if self.urls else ""
            status = post(url, webhook.body, self.headers(webhook))
            webhook.statuses.append(status)
        webhook.attempts += 1
        if status != 0 and status != 429 and (status < 500 or status == 501):
            webhook.state = "delivered"  # whatever the status: only these are retried
        elif webhook.attempts > len(RETRY_SECONDS):
            webhook.state = "lost"
        else:
            webhook.due = self._clock.now() + RETRY_SECONDS[webhook.attempts - 1]

    def copy_of(self, webhook: Webhook) -> Webhook:
        """Return a webhook that has not been sent."""
        return copy.replace(webhook) if hasattr(copy, "replace") else Webhook(**vars(webhook))


def post_over_http(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Post once; return the status, or 0 where no server answers."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", parts.path, body, dict(headers))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
