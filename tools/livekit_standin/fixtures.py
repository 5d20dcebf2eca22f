"""The fixtures ``make_livekit_standin`` and ``livekit_standin``; a test with the latter runs in both modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tools.livekit_standin.standin import LiveKitStandin


@pytest.fixture
def make_livekit_standin() -> Iterator[Callable[..., LiveKitStandin]]:
    """Give a function that starts a stand-in; keywords are its switches."""
    made: list[LiveKitStandin] = []

    def make(**switches: object) -> LiveKitStandin:
        standin = LiveKitStandin(**switches)
        made.append(standin.__enter__())
        return standin

    yield make
    for standin in made:
        standin.__exit__(None, None, None)


@pytest.fixture(params=["self-hosted", "cloud"])
def livekit_standin(
    request: pytest.FixtureRequest, make_livekit_standin: Callable[..., LiveKitStandin]
) -> LiveKitStandin:
    """Give a running stand-in: a self-hosted server, and then LiveKit Cloud."""
    return make_livekit_standin(cloud=request.param == "cloud")
