"""Each tenant has a storage target of its own."""

import pytest

from tests.integration.storage_targets.steps import PATH, target
from tests.support.service import ON_SQLITE, service_of
from videoconf.api.services import services
from videoconf_fake.memory import MemoryTarget


def test_each_tenant_has_its_own(app, headers):
    service = service_of(app, headers)
    ours, theirs = service.caller_with(tenant="ours"), service.caller_with(tenant="theirs")
    ours("PUT", PATH, target("ours"))
    assert theirs("GET", PATH).problem == theirs("DELETE", PATH).problem == (404, "storage_target_not_found")
    theirs("PUT", PATH, target("theirs"))
    assert ours("GET", PATH).json["area"] == "ours"
    theirs("DELETE", PATH)
    assert ours("GET", PATH).json["area"] == "ours"


@ON_SQLITE
def test_change_does_not_block_other_tenants(app, headers):
    service = service_of(app, headers)
    ours, theirs = service.caller_with(tenant="ours"), service.caller_with(tenant="theirs")
    answers = []

    class Meddling(MemoryTarget):
        def probe(self):
            services(app).targets.kinds["memory"] = MemoryTarget
            answers.append(theirs("PUT", PATH, target("theirs")).status)
            answers.append(theirs("DELETE", PATH).status)

    services(app).targets.kinds["memory"] = Meddling
    assert ours("PUT", PATH, target("ours")).status == 200
    assert answers == [200, 204]
    assert ours("GET", PATH).json["area"] == "ours"


@ON_SQLITE
def test_each_operation_needs_its_permission(app, headers):
    service = service_of(app, headers)
    stranger, clerk = service.stranger, service.caller_with("GetMeetingArchives")
    for method in ("PUT", "GET", "DELETE"):
        assert stranger(method, PATH).problem == (401, "unauthenticated")
        assert clerk(method, PATH).problem == (403, "forbidden")


@ON_SQLITE
@pytest.mark.needs("the fake", long=True)
def test_kind_of_a_provider_is_accepted_for_that_provider_alone(make_app):
    assert "memory" in services(make_app()).targets.kinds
    assert "memory" not in services(make_app(providers=("vonage",), serving=False)).targets.kinds
