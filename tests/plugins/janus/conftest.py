"""A Janus server for a module's tests, providers for it, and participants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.plugins.janus.client import JanusClient
from tests.plugins.janus.events import EventSink
from tests.plugins.janus.server import JanusServer
from videoconf.providers import GuardedClient, ProviderContext, Role, SessionRequest, TokenRequest
from videoconf_janus.provider import JanusProvider


@pytest.fixture(scope="module")
def sink() -> Iterator[EventSink]:
    """Give what Janus's events go to."""
    with EventSink() as sink:
        yield sink


@pytest.fixture(scope="module")
def janus(tmp_path_factory: pytest.TempPathFactory, sink: EventSink) -> Iterator[JanusServer]:
    """Give a running Janus."""
    server = JanusServer(tmp_path_factory.mktemp("janus") / "etc", event_url=sink.url)
    server.start()
    yield server
    server.close()


@pytest.fixture
def make_client(janus: JanusServer) -> Iterator[Callable[..., JanusClient]]:
    """Give a function that makes a participant of a join token. All leave at the end of the test."""
    with ExitStack() as stack:

        def make(join: Any) -> JanusClient:
            client = JanusClient.of(janus.client_url, join)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def make_provider(janus: JanusServer) -> Iterator[Callable[..., JanusProvider]]:
    """Give a function that makes a provider for the server; keywords are settings."""
    with ExitStack() as stack:

        def make(server: JanusServer = janus, **settings: Any) -> JanusProvider:
            context = ProviderContext(
                lambda: datetime.now(UTC), lambda account: GuardedClient(provider="janus", account=account)
            )
            provider = JanusProvider(server.settings(**settings), context)
            stack.callback(provider.close)
            return provider

        yield make


@pytest.fixture
def provider(make_provider: Callable[..., JanusProvider]) -> JanusProvider:
    return make_provider()


@pytest.fixture
def session(provider: JanusProvider) -> Iterator[Any]:
    """Give a room, which is gone after the test."""
    session = provider.ensure_session(SessionRequest("m1"))
    yield session
    provider.end_session(session, [])


def issue(provider: JanusProvider, session: Any, attendee: str | None = "ann", **fields: Any) -> Any:
    """Issue a token for ten minutes."""
    expires_at = datetime.now(UTC) + timedelta(minutes=10)
    return provider.issue_token(
        session, TokenRequest(**{"role": Role.PUBLISHER, "expires_at": expires_at, "attendee": attendee, **fields})
    )
