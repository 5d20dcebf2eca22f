"""Areas of memory as storage targets, and services that deliver there."""

import pytest

from tests.integration.storage_delivery.world import KEY, World
from tests.support.clock import SteppedClock
from videoconf_fake.memory import AREAS


@pytest.fixture(autouse=True)
def areas():
    for kept in (AREAS.objects, AREAS.passwords, AREAS.missing):
        kept.clear()
    yield AREAS
    for kept in (AREAS.objects, AREAS.passwords, AREAS.missing):
        kept.clear()


@pytest.fixture
def make_world(make_app, headers, fake_settings, monkeypatch):
    def make(scope="archive", **settings):
        monkeypatch.setenv("VIDEOCONF_FAKE_STORAGE_SCOPE", scope)
        clock = SteppedClock()
        return World(make_app(encryption_keys=(KEY,), development=True, clock=clock, **settings), headers, clock)

    return make
