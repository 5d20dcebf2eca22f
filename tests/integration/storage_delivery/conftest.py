"""Areas of memory as storage targets, and services that deliver there."""

import pytest

from tests.integration.storage_delivery.world import KEY, Areas, Buckets, World
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
def make_world(make_app, headers, fake_settings, monkeypatch, preset, request):
    """Give a function that makes a service. The scope is that of the fake's storage; LiveKit has one alone."""
    storage = Buckets(request.getfixturevalue("s3_server")) if preset == "livekit-standin" else Areas()

    def make(scope="archive", **settings):
        monkeypatch.setenv("VIDEOCONF_FAKE_STORAGE_SCOPE", scope)
        clock = SteppedClock()
        app = make_app(encryption_keys=(KEY,), development=True, clock=clock, **settings)
        return World(app, headers, clock, storage)

    return make
