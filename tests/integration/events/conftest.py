"""A service whose provider's webhooks are scripted, and whose changes are projected when a test says so."""

import pytest

from tests.integration.attendance.scripted import ScriptedProvider, commit_without_flushes
from tests.support.service import plugins_with


@pytest.fixture
def app_options(clock):
    return {"clock": clock, "plugins": plugins_with(ScriptedProvider)}


@pytest.fixture
def app(app):
    commit_without_flushes(app)
    return app
