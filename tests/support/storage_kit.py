"""How the conformance kit drives the storage plugins: at servers that verify signatures."""

import pytest

from videoconf.testing import StorageConformance


class ServedKit(StorageConformance):
    """The kit, on a server of the tests; ``changes`` are of the body of ``PUT /archives/storage-target``."""

    @pytest.fixture
    def target(self, context, server):
        self.server = server
        target = self.made(context)
        yield target
        target.close()

    @pytest.fixture(autouse=True)
    def serving(self, server):
        self.server = server

    def made(self, context, **changes):
        sent = {**self.server.target, **changes}
        del sent["name"]
        return self.cls(self.cls.configuration_schema().load(sent), context)
