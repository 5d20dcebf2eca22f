"""The caller of the API."""

import pytest

from tests.support.service import SteppedClock, service_of


@pytest.fixture
def clock():
    return SteppedClock()


@pytest.fixture
def app(make_app, clock):
    return make_app(clock=clock)


@pytest.fixture
def service(app, headers):
    return service_of(app, headers)


@pytest.fixture
def api(service):
    return service.api
