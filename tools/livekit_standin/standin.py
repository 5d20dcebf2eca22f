"""The stand-in as one object."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from livekit.protocol.models import DisconnectReason, ParticipantInfo

from tools.livekit_standin.api import PREFIX, Api, Request
from tools.livekit_standin.auth import read_token
from tools.livekit_standin.egresses import Egresses, Outcome
from tools.livekit_standin.switches import Switches
from tools.livekit_standin.webhooks import Post, Webhook, Webhooks, post_over_http
from tools.livekit_standin.world import World
from tools.vonage_standin.clock import Clock
from videoconf.testing import FaultyServer
from videoconf.testing.faulty_server import Behaviour, Exchange, reply

API_KEY = "APIstandin"
API_SECRET = "livekit-standin-secret-0123456789abcdef"  # of a server that is not there


class LiveKitStandin:
    """A LiveKit server that is not there; a context manager that serves it on the loopback.

    Methods may be called from any thread.
    """

    def __init__(self, *, clock: Clock | None = None, **switches: Any) -> None:
        self.lock = threading.RLock()
        self.clock = clock or Clock()
        self.switches = Switches(**switches)
        self.api_key, self.api_secret = API_KEY, API_SECRET
        self.keys = {API_KEY: API_SECRET}
        self.webhooks = Webhooks(self.clock, self.switches, API_KEY, API_SECRET)
        self.world = World(self.clock, self.switches, self.webhooks.emit)
        self.egresses = Egresses(self.world, self.clock, self.switches, self.webhooks.emit)
        self.api = Api(self.world, self.egresses, self.switches, self.keys, self.clock)
        self.faults: dict[str, list[Behaviour]] = {}
        """By method: what befalls its next requests, before anything is done."""
        self.received: list[Request] = []
        self._server = FaultyServer()
        self._server.on("*", self._serve)
        self.url = self._server.url("")

    def __enter__(self) -> LiveKitStandin:
        self._server.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.close()

    def _serve(self, exchange: Exchange) -> bool:
        received = exchange.request
        request = Request(received.method, received.path, received.headers, received.body)
        with self.lock:
            self.received.append(request)
            faults = self.faults.get(request.path.removeprefix(PREFIX), [])
            fault = faults.pop(0) if faults else None
        if fault is not None:
            return fault(exchange)
        with self.lock:
            answer = self.api.answer(request)
        return reply(answer.status, answer.body, headers={"Content-Type": answer.content_type})(exchange)

    def clear(self) -> None:
        """Forget rooms, recordings, webhooks and requests, as by a new server at the same address."""
        with self.lock:
            self.world.rooms.clear()
            self.world.revoked.clear()
            self.egresses.found.clear()
            self.egresses.secrets.clear()
            self.webhooks.sent.clear()
            self.received.clear()
            self.faults.clear()

    # --- participants -----------------------------------------------------------------------------------------------

    def join(self, token: str, *, aborted: bool = False) -> ParticipantInfo:
        """Join with a token, which is verified as the server does, by the stand-in's clock.

        :raises Refused: the server refuses it.
        """
        with self.lock:
            return self.world.join(read_token(token, self.keys, self.clock.now()), aborted=aborted)

    def leave(self, sid: str, reason: str = "CLIENT_INITIATED") -> None:
        """End a connection."""
        with self.lock:
            room, participant = self.world.find(sid)
            self.world.leave(room.info.name, participant.identity, DisconnectReason.Value(reason))

    def publish(self, sid: str, **how: Any) -> str:
        """Start a track; return its id."""
        with self.lock:
            return self.world.publish(sid, **how).sid

    def is_muted(self, sid: str) -> bool:
        """Return whether all that a connection sends is muted."""
        with self.lock:
            return all(track.muted for track in self.world.find(sid)[1].tracks)

    # --- time and webhooks ------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass: idle rooms close, records of recordings expire."""
        with self.lock:
            self.clock.advance(seconds)
            self.world.close_idle()
            self.egresses.forget()
            self.clock.run_due()

    def finish(self, egress_id: str, outcome: Outcome = "complete", **how: Any) -> None:
        """End a recording now."""
        with self.lock:
            self.egresses.finish(egress_id, outcome, **how)

    def deliver(self, post: Post = post_over_http, **how: Any) -> list[Webhook]:
        """Post the webhooks that are due; see :meth:`Webhooks.deliver`."""
        return self.webhooks.deliver(post, **how)
