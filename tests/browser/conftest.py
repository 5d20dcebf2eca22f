"""A service and a browser for the scenes of a module."""

import pytest

from tests.browser.scenes import stage


@pytest.fixture(scope="module")
def made():
    with stage() as one:
        yield one
