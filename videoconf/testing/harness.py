"""What a provider under test is given: a clock, and HTTP clients that are watched and can be made to fail."""

from __future__ import annotations

import dataclasses
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from unittest import mock

import pytest

from videoconf.providers import Answer, GuardedClient, ProviderContext, Secret
from videoconf.testing.faulty_server import Behaviour, Exchange, FaultyServer, reply

FAULT = "/fault"
LEAST_SECRET_CHARACTERS = 6
"""Shorter texts are found everywhere by accident."""


class SteppedClock:
    """A clock that goes forward only when told to."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        """Return the present."""
        return self.now

    def step(self, **amount: float) -> None:
        """Go forward by so much; the keywords are those of ``timedelta``."""
        self.now += timedelta(**amount)


class Harness:
    """Stands where the service stands. ``context`` is what the provider is made with.

    While :meth:`failing` is in force no request reaches the vendor: each is sent to a server that misbehaves, by a
    client of its own, so that neither a breaker nor a kept connection carries over.
    """

    def __init__(self, faults: FaultyServer, clock: SteppedClock) -> None:
        self.clock = clock
        self.context = ProviderContext(clock, self._client_for)
        self.call_count = 0
        """Calls that were made through the clients."""
        self._faults = faults
        self._lock = threading.Lock()
        self._clients: dict[str, _WatchedClient] = {}
        self._calling = threading.local()
        self._redirect: str | None = None

    @contextmanager
    def failing(self, behaviour: Behaviour) -> Iterator[None]:
        """Let every request of the block meet this behaviour in place of the vendor."""
        self._faults.on(FAULT, behaviour)
        self._redirect = self._faults.url(FAULT)
        try:
            yield
        finally:
            self._redirect = None

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Let no server listen where the block's requests go."""
        with socket.socket() as unheard:
            unheard.bind(("127.0.0.1", 0))
            self._redirect = f"http://127.0.0.1:{unheard.getsockname()[1]}{FAULT}"
            try:
                yield
            finally:
                self._redirect = None

    @property
    def fault_count(self) -> int:
        """Requests that have met a behaviour of :meth:`failing`."""
        return self._faults.count(FAULT)

    @contextmanager
    def strangers(self) -> Iterator[list[str]]:
        """Gather the addresses to which this thread connects past the clients."""
        found: list[str] = []
        thread = threading.get_ident()

        def watched(original: Callable[..., Any]) -> Callable[..., Any]:
            def connect(this: socket.socket, address: Any) -> Any:
                if threading.get_ident() == thread and not getattr(self._calling, "depth", 0):
                    found.append(str(address))
                return original(this, address)

            return connect

        with (
            mock.patch.object(socket.socket, "connect", watched(socket.socket.connect)),
            mock.patch.object(socket.socket, "connect_ex", watched(socket.socket.connect_ex)),
        ):
            yield found

    def request(self, client: GuardedClient, method: str, url: str, **how: Any) -> Answer:
        """Make a provider's call, to the vendor or to what stands in its place."""
        with self._lock:
            self.call_count += 1
        self._calling.depth = getattr(self._calling, "depth", 0) + 1
        try:
            if self._redirect is None:
                return GuardedClient.request(client, method, url, **how)
            with closing(GuardedClient(provider="kit", account="kit")) as fresh:
                return fresh.request(method, self._redirect, **how)
        finally:
            self._calling.depth -= 1

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()

    def _client_for(self, account: str) -> GuardedClient:
        with self._lock:
            return self._clients.setdefault(account, _WatchedClient(self, account))


class _WatchedClient(GuardedClient):
    def __init__(self, harness: Harness, account: str) -> None:
        super().__init__(provider="kit", account=account)
        self._harness = harness

    def request(self, method: str, url: str, **how: Any) -> Answer:
        return self._harness.request(self, method, url, **how)


def unwritten(what: str) -> NoReturn:
    """Fail a scenario for want of something that the plugin's author has to write."""
    pytest.fail(f"still to be written: {what}", pytrace=False)


def wrong(what: str) -> NoReturn:
    """Fail a scenario because of what the plugin does."""
    pytest.fail(what, pytrace=False)


def echo(exchange: Exchange) -> bool:
    """Refuse a request and repeat all of it in the message, as a careless vendor does."""
    said = " ".join(
        [*exchange.request.headers.values(), exchange.request.query, exchange.request.body.decode("latin-1")]
    )
    return reply(400, json.dumps({"code": 1, "message": said}).encode())(exchange)


def secrets_of(settings: Any) -> list[str]:
    """Return every secret of a settings object, in clear."""
    found: list[str] = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Secret) and len(item.reveal()) >= LEAST_SECRET_CHARACTERS:
                found.append(item.reveal())
    return found


def leaked(secrets: Iterable[str], *texts: object) -> bool:
    """Return whether a text repeats a secret."""
    said = " ".join(str(text) for text in texts)
    return any(secret in said for secret in secrets)


@contextmanager
def logged() -> Iterator[list[str]]:
    """Gather what is logged in the block, at any level, tracebacks included."""
    lines: list[str] = []

    class Gather(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(logging.Formatter("%(name)s %(message)s").format(record))

    root, handler = logging.getLogger(), Gather()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
