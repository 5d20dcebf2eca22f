"""Webhooks come at a service whose clock a test steps."""

import pytest


@pytest.fixture
def app_options(clock):
    return {"clock": clock}
