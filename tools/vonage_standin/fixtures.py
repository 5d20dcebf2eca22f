"""The fixture ``vonage_standin``: a test that uses it runs in both environments."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tools.vonage_standin.standin import VonageStandin
from tools.vonage_standin.world import Environment


@pytest.fixture
def make_vonage_standin() -> Iterator[Callable[..., VonageStandin]]:
    """Give a function that starts a stand-in; it takes what :class:`VonageStandin` does."""
    made: list[VonageStandin] = []

    def make(environment: Environment = "opentok", **how: object) -> VonageStandin:
        standin = VonageStandin(environment, **how)
        made.append(standin.__enter__())
        return standin

    yield make
    for standin in made:
        standin.__exit__(None, None, None)


@pytest.fixture(params=["opentok", "unified"])
def vonage_standin(request: pytest.FixtureRequest, make_vonage_standin: Callable[..., VonageStandin]) -> VonageStandin:
    """Give a running stand-in, of the OpenTok environment and then of the unified one."""
    return make_vonage_standin(request.param)
