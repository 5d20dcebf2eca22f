"""Participants of a real Janus, for the tests of the API: what :class:`FakeControl` does with made-up people."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence

from tests.plugins.janus.client import JanusClient
from tests.plugins.janus.events import EventSink, Posted
from tests.plugins.janus.server import JanusServer
from tests.plugins.janus.writer import JanusWriter
from videoconf.providers import RosterConnection, SessionRef
from videoconf_fake.control import Delivered, Delivery, Post
from videoconf_janus.provider import JanusProvider


class JanusBackend:
    """A Janus whose events wait here until a test delivers them."""

    provider = "janus"

    def __init__(self, server: JanusServer, sink: EventSink) -> None:
        self.server = server
        self.sink = sink
        self._controls: dict[int, list[JanusControl]] = {}

    def environment(self) -> Mapping[str, str]:
        """Return the service's variables for this Janus."""
        return self.server.environment()

    def control(self, app: object, provider: JanusProvider) -> JanusControl:
        """Give the participants of an application's test."""
        control = JanusControl(provider, self)
        self._controls.setdefault(id(app), []).append(control)
        return control

    def writer(self, provider: JanusProvider) -> JanusWriter:
        return JanusWriter(provider)

    def close(self, app: object) -> None:
        """Let the participants of an application's test leave, and remove its rooms."""
        for control in self._controls.pop(id(app), []):
            control.close()

    def take(self) -> Sequence[Posted]:
        return self.sink.take(self.server)


class JanusControl:
    """Drives the participants of a test. Its events are those since it was made."""

    def __init__(self, provider: JanusProvider, backend: JanusBackend) -> None:
        self.provider = provider
        self._backend = backend
        self._clients: dict[str, JanusClient] = {}
        self._waiting: list[Posted] = []
        self._rooms_before = set(backend.server.list_rooms())
        backend.take()

    def join(self, token: str) -> str:
        """Join with a join token, as a page does; return the connection's id."""
        payload = token.rpartition("~")[2].split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(payload + "=="))
        client = JanusClient(self._backend.server.client_url, token, {"room": said["room"], "idPrefix": said["id"]})
        self._clients[client.join()] = client
        return client.id

    def leave(self, connection_id: str) -> None:
        self._clients[connection_id].leave()

    def drop(self, connection_id: str) -> None:
        self._clients[connection_id].close()

    def publish(self, connection_id: str, stream_id: str = "0") -> None:
        self._clients[connection_id].publish(stream_id)

    def is_muted(self, connection_id: str) -> bool:
        client = self._clients[connection_id]
        return bool(client.mids) and client.muted() == set(client.mids)

    def list_sessions(self) -> list[str]:
        return sorted(set(self._backend.server.list_rooms()) - self._rooms_before)

    def list_connections(self, session_id: str) -> Sequence[RosterConnection]:
        return self.provider.list_connections(SessionRef(self.provider.account, session_id)).connections

    def list_events(self, *, waiting: bool = False) -> Sequence[Posted]:
        self._waiting += self._backend.take()
        return list(self._waiting)

    def signed(self, event: Posted) -> Delivery:
        digest = hashlib.sha256(event.body).hexdigest()
        return Delivery(digest, "session", event.path, dict(event.headers), event.body)

    def deliver(self, post: Post) -> Delivered:
        """Post what waits, once each, as Janus does."""
        events = self.list_events(waiting=True)
        self._waiting.clear()
        statuses = [post(self.signed(event)) for event in events]
        assert all(status == 200 for status in statuses), statuses
        return Delivered(len(events), 0)

    def close(self) -> None:
        """Let all participants leave, and remove the rooms that the test has made."""
        for client in self._clients.values():
            client.close()
        for room in self.list_sessions():
            self.provider.end_session(SessionRef(self.provider.account, room), [])
