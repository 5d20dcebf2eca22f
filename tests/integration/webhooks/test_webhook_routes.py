"""The routes that webhooks are sent to, and what each answers."""

from dataclasses import replace

import pytest

from tests.integration.webhooks.steps import assert_refused, connection, stored
from tests.support.service import ON_SQLITE, plugins_with, service_of
from videoconf.providers import WebhookReply
from videoconf_fake.provider import CAPABILITIES, FakeProvider


@ON_SQLITE
@pytest.mark.needs
def test_both_webhook_routes_accept_the_same(service, app):
    channels = service.provider.capabilities.webhook_channels
    for path in ("/webhooks/session", *(f"/webhooks/{service.provider.key}/{channel}" for channel in channels)):
        answer = service.post(service.made_up("connection.created", connection=connection()), path)
        assert (answer.status, answer.body) == (204 if path == "/webhooks/session" else service.taken, b"")
    assert len(stored(app)) == 1 + len(channels)


@ON_SQLITE
@pytest.mark.parametrize("path", ["/webhooks/unknown/session", "/webhooks/{key}/nothing", "/webhooks/{KEY}/session"])
def test_unknown_provider_or_channel_answers_404(service, app, path):
    key = service.provider.key
    assert service.post(service.made_up("connection.created"), path.format(key=key, KEY=key.upper())).problem[0] == 404
    assert stored(app) == []


@ON_SQLITE
def test_webhook_route_accepts_post_alone(service):
    for path in ("/webhooks/session", service.webhook_path):
        assert service.stranger("GET", path).problem == (405, "method_not_allowed")


@ON_SQLITE
@pytest.mark.needs("the fake", long=True)
def test_own_route_answers_the_providers_success_status(make_app, headers):
    class Picky(FakeProvider):
        capabilities = replace(CAPABILITIES, webhook_success_status=200)

    service = service_of(make_app(plugins=plugins_with(Picky)), headers)
    assert service.post(service.made_up("a"), "/webhooks/fake/session").status == 200
    assert service.post(service.made_up("b"), "/webhooks/session").status == 204, "as documented, whatever the provider"


@ON_SQLITE
def test_handshake_is_answered_after_verification(service, app):
    def answer(request):
        return WebhookReply(201, request.body[::-1], "text/x-echo")

    service.provider.script("answer_handshake", answer, always=True)
    shake = service.signed(b"challenge")
    answer = service.post(shake)
    assert (answer.status, answer.body) == (201, b"egnellahc")
    assert answer.headers["Content-Type"].startswith("text/x-echo")
    assert_refused(service.post(shake, **service.writer.forgeries(shake)["another secret"]))
    assert stored(app) == []


@ON_SQLITE
def test_verification_uses_the_configured_url(make_app, headers):
    service, seen = service_of(make_app(public_url="https://meet.example"), headers), []

    def look(request):
        seen.append(request)
        return service.provider.real.verify_webhook(request)

    service.provider.script("verify_webhook", look)
    path, forged = f"{service.webhook_path}?a=1&b=%20", {"Host": "evil.example", "X_Forwarded_Host": "evil.example"}
    assert service.post(service.made_up("a"), path, **forged).status == service.taken
    [request] = seen
    assert (request.url, request.method, request.channel) == (f"https://meet.example{path}", "POST", "session")
    assert set(request.headers) == {name.lower() for name in request.headers}
    assert isinstance(request.body, bytes)
