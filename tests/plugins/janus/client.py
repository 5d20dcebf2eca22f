"""A client of Janus without media, over its HTTP transport: joins, offers streams, gathers what it is sent."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from videoconf.providers import JoinToken

PLUGIN = "janus.plugin.videoroom"
OFFER = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE {bundle}
"""
STREAM = """m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 {fingerprint}
a=setup:actpass
a=mid:{mid}
a=sendonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
"""


class Refused(Exception):
    """Janus refuses a request.

    :param code: Janus's error code.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


class JanusClient:
    """One participant: a session and a handle.

    :param token: the three parts of a join token; a test may replace each of them.
    """

    def __init__(self, url: str, token: str, connect: Mapping[str, Any]) -> None:
        self._url = url
        self.session_token, self.room_token, self.identity = token.split("~")
        self.connect = connect
        self.id = ""
        self.private_id: int | None = None
        self.mids: list[str] = []
        self.events: list[dict[str, Any]] = []
        self._path = ""
        self._handle = 0

    @classmethod
    def of(cls, url: str, join: JoinToken) -> JanusClient:
        assert join.token is not None
        return cls(url, join.token, join.connect)

    def join(self, **members: Any) -> str:
        """Join the room; return the participant's id. ``members`` replace those of the request."""
        if not self._path:
            self._path = f"/{self._post('', janus='create')['data']['id']}"
            self._handle = self._post(self._path, janus="attach", plugin=PLUGIN, opaque_id=self.identity)["data"]["id"]
        request = {
            "request": "join",
            "ptype": "publisher",
            "room": self.connect["room"],
            "token": self.room_token,
            "id": f"{self.connect['idPrefix']}.{uuid.uuid4()}",
            **members,
        }
        joined = self.message({name: value for name, value in request.items() if value is not None})
        self.id, self.private_id = joined.get("id", ""), joined.get("private_id")
        return self.id

    def publish(self, *mids: str) -> None:
        """Offer video streams of these names. No media follow."""
        fingerprint = ":".join(["AB"] * 32)
        streams = [STREAM.format(mid=mid, fingerprint=fingerprint) for mid in mids]
        sdp = (OFFER.format(bundle=" ".join(mids)) + "".join(streams)).replace("\n", "\r\n")
        self.message({"request": "publish"}, jsep={"type": "offer", "sdp": sdp})
        self.mids += mids

    def leave(self) -> None:
        self.message({"request": "leave"})

    def muted(self) -> set[str]:
        """Return the streams that a moderator has muted, by what Janus has sent to this participant."""
        self.message({"request": "configure"})  # its answer follows all earlier events
        data = [event["plugindata"]["data"] for event in self.events if "plugindata" in event]
        return {one["mid"] for one in data if one.get("moderation") == "muted" and one["id"] == self.id}

    def message(self, body: dict[str, Any], **members: Any) -> dict[str, Any]:
        """Send a message to the plugin and wait for its event."""
        transaction = uuid.uuid4().hex
        answer = self._post(f"{self._path}/{self._handle}", transaction, janus="message", body=body, **members)
        while answer["janus"] == "ack":
            for event in self._poll():
                if event.get("transaction") == transaction:
                    answer = event
                else:
                    self.events.append(event)
        data: dict[str, Any] = answer["plugindata"]["data"]
        if "error_code" in data:
            raise Refused(data["error_code"], data["error"])
        return data

    def _poll(self) -> list[dict[str, Any]]:
        query = urlencode({"maxev": 20, "token": self.session_token})
        with urlopen(f"{self._url}{self._path}?{query}", timeout=10) as answer:
            found = json.load(answer)
        return found if isinstance(found, list) else [found]

    def again(self) -> JanusClient:
        """Return a new client with the same token, as a page that is loaded again."""
        return JanusClient(self._url, "~".join([self.session_token, self.room_token, self.identity]), self.connect)

    def close(self) -> None:
        """End the session, as a page that closes does."""
        with suppress(Refused, OSError):  # a server that was restarted does not know it
            self._post(self._path, janus="destroy")

    def _post(self, path: str, transaction: str = "t", **members: Any) -> dict[str, Any]:
        body = json.dumps({"transaction": transaction, "token": self.session_token, **members}).encode()
        with urlopen(self._url + path, body, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        if found["janus"] == "error":
            raise Refused(found["error"]["code"], found["error"]["reason"])
        return found
