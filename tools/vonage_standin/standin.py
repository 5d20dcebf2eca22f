"""The stand-in as one object."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from tools.vonage_standin.admin import Admin
from tools.vonage_standin.api import Api, Request
from tools.vonage_standin.archives import Archives
from tools.vonage_standin.auth import Credentials
from tools.vonage_standin.callbacks import Callback, Callbacks
from tools.vonage_standin.clock import Clock
from tools.vonage_standin.faults import Faults
from tools.vonage_standin.server import Server
from tools.vonage_standin.switches import Switches
from tools.vonage_standin.world import Connection, Environment, Stream, World


class VonageStandin:
    """One account at a vendor that is not there; a context manager that serves it on the loopback.

    Methods may be called from any thread.

    :param clock: what life cycles and callbacks go by; one that stands still unless given.
    :param credential_clock: what tokens are checked by; the wall clock unless given, as SDKs sign by it.
    """

    def __init__(
        self,
        environment: Environment = "opentok",
        *,
        clock: Clock | None = None,
        credential_clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.environment: Environment = environment
        self.lock = threading.RLock()
        self.switches = Switches()
        self.clock = clock or Clock()
        self.credentials = Credentials(environment, self.switches, credential_clock)
        self.account = self.credentials.account
        self.secret = self.credentials.secret
        """The API secret, or the private key as PEM."""
        self.callbacks = Callbacks(self.account, environment, self.clock, self.switches)
        self.world = World(environment, self.account, self.clock, self.switches, self.callbacks.emit)
        self.archives = Archives(self.world)
        self.api = Api(self.world, self.archives, self.credentials, self.switches)
        self.admin = Admin(self)
        self.faults = Faults()
        self.server = Server(self, host, port)
        self.url = f"http://{host}:{self.server.port}"
        self.archives.url_prefix = self.url
        self._delivering = threading.Lock()
        self._running = ExitStack()

    def __enter__(self) -> VonageStandin:
        self._running.enter_context(self.server)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.close()

    @property
    def received(self) -> list[Request]:
        """Every request, in order; also those that a fault befell before anything was done."""
        with self.lock:
            return list(self.server.received)

    # --- people -----------------------------------------------------------------------------------------------------

    def connect(self, token: str) -> Connection:
        """Join with a client token, which is verified as the vendor does.

        :raises Unauthorized: the token is invalid.
        :raises Refused: the session does not exist.
        """
        claims = self.credentials.read_client_token(token)
        with self.lock:
            session = self.world.get_session(claims["session_id"])
            return self.world.connect(session, data=claims["connection_data"], role=claims["role"])

    def connect_to(self, session_id: str, *, data: str = "", role: str = "publisher") -> Connection:
        """Join without a token, for tests that are about something else."""
        with self.lock:
            return self.world.connect(self.world.get_session(session_id), data=data, role=role)

    def disconnect(self, connection: Connection | str, reason: str = "clientDisconnected") -> None:
        """End a connection, given as such or by its id."""
        with self.lock:
            one = self.world.get_connection(connection) if isinstance(connection, str) else connection
            self.world.disconnect(one, reason)

    def publish(self, connection: Connection | str, *, video_type: str | None = "camera", name: str = "") -> Stream:
        """Start a stream of a connection, given as such or by its id."""
        with self.lock:
            one = self.world.get_connection(connection) if isinstance(connection, str) else connection
            return self.world.publish(one, video_type=video_type, name=name)

    def unpublish(self, stream: Stream, reason: str = "clientDisconnected") -> None:
        """End a stream."""
        with self.lock:
            self.world.unpublish(stream, reason)

    # --- time and callbacks -----------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass in the vendor's world: life cycles go on, retries of callbacks come due."""
        with self.lock:
            self.clock.advance(seconds)

    def finish_archive(self, archive_id: str, outcome: Any = "ready") -> None:
        """Finish the processing of a stopped archive now: ``ready``, ``failed``, ``upload_failed``."""
        with self.lock:
            self.archives.finish(self.archives.get(archive_id), outcome)

    def deliver(self, **how: Any) -> list[Callback]:
        """Post the callbacks that are due; see :meth:`Callbacks.deliver`. One delivery at a time.

        The world goes on meanwhile: who receives a callback may call the API before answering.
        """
        with self._delivering:
            return self.callbacks.deliver(**how)
