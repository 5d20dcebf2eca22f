"""A webhook that does not prove its sender is refused and leaves no trace."""

import json

import pytest

from tests.integration.webhooks.steps import assert_refused, connection, stored
from tests.support.service import ON_SQLITE
from videoconf.errors import ProviderTimeout


@pytest.mark.needs
def test_forged_webhook_is_refused_and_leaves_no_trace(service, app):
    link = service.api.create()
    genuine = service.made_up("connection.created", service.room(link), connection=connection())
    forgeries = service.writer.forgeries(genuine)
    answers = {forgery: service.post(genuine, **headers) for forgery, headers in forgeries.items()}
    assert {forgery: answer.status for forgery, answer in answers.items()} == dict.fromkeys(forgeries, 401)
    for answer in answers.values():
        assert_refused(answer)
    assert stored(app) == []
    assert service.api.attendees(link) == []
    assert service.post(genuine).status == 204, "unchanged it is accepted"


@ON_SQLITE
@pytest.mark.needs("signed", long=True)
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
@pytest.mark.parametrize("seconds", [-301, 301])
@pytest.mark.needs("the fake", long=True)
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
def test_any_exception_of_the_verifier_refuses_the_webhook(service, app, error):
    service.provider.script("verify_webhook", error)
    assert_refused(service.post(service.made_up("connection.created")))
    assert stored(app) == []
