"""A Janus server for a module's tests, and providers for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.plugins.janus.client import JanusClient
from tests.plugins.janus.server import JanusServer
from videoconf.providers import JoinToken


@pytest.fixture(scope="module")
def janus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JanusServer]:
    """Give a Janus whose events reach no service."""
    server = JanusServer(tmp_path_factory.mktemp("janus") / "etc")
    server.start()
    yield server
    server.close()


@pytest.fixture
def make_client(janus: JanusServer) -> Iterator[Callable[[JoinToken], JanusClient]]:
    """Give a function that makes a participant of a join token. All leave at the end of the test."""
    with ExitStack() as stack:

        def make(join: Any) -> JanusClient:
            client = JanusClient.of(janus.client_url, join)
            stack.callback(client.close)
            return client

        yield make
