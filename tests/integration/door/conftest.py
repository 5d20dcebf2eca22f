"""The service, whose application the tests of the door look into."""

import pytest

from tests.support.service import Service, service_of


@pytest.fixture
def service(app, headers) -> Service:
    made = service_of(app, headers)
    made.app = app
    return made
