"""What GET /providers says of what is installed, and of what is wrong with it."""

import pytest

from tests.support.service import ON_SQLITE, plugins_with, service_of
from videoconf.errors import ProviderUnavailable
from videoconf.hooks import Failure, Origin, Plugins
from videoconf.providers import Capability, provider_deadline
from videoconf_fake.provider import FakeProvider

pytestmark = ON_SQLITE


class Idle(FakeProvider):
    key = "idle"
    label = "Installed, and not enabled"


def test_installed_providers_are_described(make_app, headers):
    plugins = plugins_with(FakeProvider, Idle)
    broken = Failure(Origin("broken", "acme 1.2"), "ImportError: no module named tops3cret")
    app = make_app(plugins=Plugins(plugins.manager, plugins.origins, (broken,)))
    answer = service_of(app, headers).api("GET", "/providers")

    assert b"tops3cret" not in answer.body
    assert answer.json["failures"] == [{"plugin": "broken", "distribution": "acme 1.2", "reason": "ImportError"}]
    fake, idle = answer.json["items"]
    assert idle == {
        "key": "idle",
        "label": "Installed, and not enabled",
        "distribution": "the tests",
        "enabled": False,
        "default": False,
        "capabilities": None,
        "state": None,
    }
    assert (fake["key"], fake["enabled"], fake["default"], fake["state"]) == ("fake", True, True, None)
    can = fake["capabilities"]
    assert can["features"] == sorted(Capability)
    assert (can["maxTokenTtlSeconds"], can["webhookChannels"]) == (30 * 86400, ["session", "archive"])
    assert can["storageScope"] == "archive"
    assert can["roles"] == ["moderator", "publisher", "subscriber"]


def test_providers_have_the_order_of_the_settings(make_app, headers, monkeypatch):
    for name in ("WEBHOOK_SECRETS", "TOKEN_SECRET"):
        monkeypatch.setenv(f"VIDEOCONF_IDLE_{name}", "whsec_dGVzdHMtc2lnbi13ZWJob29rcy13aXRoLXRoaXM=")
    app = make_app(plugins=plugins_with(FakeProvider, Idle), providers=("idle", "fake"))
    items = service_of(app, headers).api("GET", "/providers").json["items"]
    assert [(item["key"], item["default"]) for item in items] == [("idle", True), ("fake", False)]


def test_state_is_that_of_the_providers_clients(make_app, headers):
    class Calling(FakeProvider):
        def ensure_session(self, request):
            # No server listens on port 1 of this machine.
            client = self.context.http(self.account)
            assert client is self.context.http(self.account), "one account has one breaker"
            client.request("POST", "http://127.0.0.1:1/", operation="session.create", idempotent=False)

    service = service_of(make_app(plugins=plugins_with(Calling)), headers)
    assert service.api("GET", "/providers").json["items"][0]["state"] is None
    with provider_deadline(), pytest.raises(ProviderUnavailable):
        service.provider.ensure_session(None)
    state = service.api("GET", "/providers").json["items"][0]["state"]
    assert (state["breaker"], state["lastErrorCode"]) == ("closed", "provider_unavailable")
    assert state["since"].endswith("Z")
    for _ in range(5):
        service.api("POST", "/session")
    assert service.api("GET", "/providers").json["items"][0]["state"]["breaker"] == "open"
