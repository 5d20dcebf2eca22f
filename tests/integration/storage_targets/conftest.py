"""Areas of memory as storage targets, and a service with an encryption key."""

import pytest

from tests.integration.storage_targets.steps import KEYS
from videoconf_fake.memory import AREAS


@pytest.fixture(autouse=True)
def areas():
    """Forget what the areas of memory hold, before and after."""

    def forget():
        for kept in (AREAS.objects, AREAS.passwords, AREAS.missing):
            kept.clear()

    forget()
    yield AREAS
    forget()


@pytest.fixture
def app_options():
    return {"encryption_keys": KEYS[:1]}
