"""A webhook that does not prove its sender is refused and leaves no trace."""

import json

import pytest

from tests.integration.webhooks.steps import assert_refused, connection, stored
from tests.support.service import ON_SQLITE, plugins_with, service_of
from videoconf.errors import ProviderTimeout
from videoconf.providers import Secret
from videoconf_fake.provider import FakeProvider
from videoconf_fake.webhooks import sign, signer

FORGERIES = {
    "no signature": {"webhook_signature": ""},
    "no headers at all": {"webhook_signature": "", "webhook_id": "", "webhook_timestamp": ""},
    "a signature of nothing": {"webhook_signature": "v1,"},
    "another scheme": {"webhook_signature": "v0,AAAA"},
    "not base64": {"webhook_signature": "v1,✗".encode().decode("latin-1")},
    "another id": {"webhook_id": "evt_other"},
    "no time": {"webhook_timestamp": "now"},
    "a time of other digits": {"webhook_timestamp": "١٢٣".encode().decode("latin-1")},
    "a huge time": {"webhook_timestamp": "9" * 40},
    "a negative time": {"webhook_timestamp": "-1"},
}


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.needs
def test_forged_webhook_is_refused_and_leaves_no_trace(service, app, forgery):
    link = service.api.create()
    genuine = service.made_up("connection.created", service.room(link), connection=connection())
    assert_refused(service.post(genuine, **FORGERIES[forgery]))
    assert stored(app) == []
    assert service.api.attendees(link) == []
    assert service.post(genuine).status == 204, "unchanged it is taken"


@ON_SQLITE
def test_any_changed_byte_is_refused(service, app):
    genuine = service.made_up("connection.created", connection=connection())
    for position in range(0, len(genuine.body), 7):
        body = bytearray(genuine.body)
        body[position] ^= 1
        assert_refused(service.send("POST", "/webhooks/session", bytes(body), genuine.headers))
    for body in (genuine.body + b" ", genuine.body[:-1], b"", b"\xff", None):
        assert_refused(service.send("POST", "/webhooks/session", body, genuine.headers))
    assert stored(app) == []


@ON_SQLITE
def test_signature_by_another_secret_is_refused(service, app):
    genuine = service.made_up("connection.created")
    other = signer(Secret("whsec_" + "QQ" * 20))
    forged = sign(other, genuine.event_id, genuine.body, service.provider.context.clock())
    assert_refused(service.send("POST", "/webhooks/session", genuine.body, forged))
    assert stored(app) == []


@ON_SQLITE
@pytest.mark.parametrize("seconds", [-301, 301])
def test_signature_from_the_past_or_future_is_refused(service, app, clock, seconds):
    genuine = service.made_up("connection.created", connection=connection())
    clock.step(seconds=-seconds)
    assert_refused(service.post(genuine))
    assert stored(app) == []
    clock.step(seconds=1 if seconds > 0 else -1)
    assert service.post(genuine).status == 204


@ON_SQLITE
def test_bearer_token_proves_nothing_about_a_webhook(service, app):
    genuine = service.made_up("connection.created")
    answer = service.api("POST", "/webhooks/session", json.loads(genuine.body))
    assert_refused(answer)
    assert stored(app) == []


@ON_SQLITE
@pytest.mark.parametrize(
    "error",
    [RuntimeError(), KeyError("id"), UnicodeDecodeError("utf-8", b"", 0, 1, "no"), RecursionError(), ProviderTimeout()],
    ids=lambda error: type(error).__name__,
)
def test_any_exception_of_the_verifier_refuses_the_webhook(make_app, headers, error):
    class Broken(FakeProvider):
        def verify_webhook(self, request):
            raise error

    app = make_app(plugins=plugins_with(Broken))
    service = service_of(app, headers)
    assert_refused(service.post(service.made_up("connection.created")))
    assert stored(app) == []
