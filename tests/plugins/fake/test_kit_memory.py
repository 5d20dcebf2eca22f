"""The fake's storage target in memory passes the kit."""

import pytest

from videoconf.testing import StorageConformance
from videoconf_fake.memory import AREAS, MemoryTarget

RIGHT = {"area": "kit", "password": "kit-storage-password", "fallback": "none"}


class TestMemory(StorageConformance):
    """It is reached over no network, and its objects are memory."""

    holds_objects_in_memory = True

    @pytest.fixture(autouse=True)
    def areas(self):
        AREAS.passwords["kit"] = RIGHT["password"]
        AREAS.missing.add("kit-missing")
        yield
        del AREAS.passwords["kit"]
        AREAS.missing.discard("kit-missing")

    @pytest.fixture
    def target(self, context):
        target = MemoryTarget(RIGHT, context)
        yield target
        target.close()

    def denied(self, context):
        return MemoryTarget({**RIGHT, "password": "kit-another-password"}, context)

    def without_container(self, context):
        return MemoryTarget({**RIGHT, "area": "kit-missing"}, context)

    def unreachable(self, context):
        return None
