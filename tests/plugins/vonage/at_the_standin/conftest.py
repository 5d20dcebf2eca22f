"""The provider at a stand-in for Vonage, in both environments."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.plugins.vonage.at_the_standin.steps import provider_at
from videoconf.providers import (
    SessionRequest,
)


@pytest.fixture
def standin(vonage_standin):
    return vonage_standin


@pytest.fixture
def provider(standin):
    with closing(provider_at(standin)) as provider:
        yield provider


@pytest.fixture
def session(provider):
    return provider.ensure_session(SessionRequest("m"))
