"""What a plugin returns or raises is answered as the plugin's fault, whatever it is: no 500, and no other error."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.service import ON_SQLITE
from videoconf.errors import ConnectionNotFound, InternalError, ProviderUnavailable, Unauthenticated, WebhookRejected
from videoconf.providers import JoinToken, WebhookReply

pytestmark = ON_SQLITE

LATER = datetime.now(UTC) + timedelta(hours=1)
BAD_REQUESTS = [
    Unauthenticated(),
    ConnectionNotFound(),
    InternalError(),
    ProviderUnavailable(retry_after_seconds=math.nan),
]


@pytest.fixture
def link(service):
    return service.api.create()


@pytest.mark.parametrize("error", BAD_REQUESTS, ids=lambda error: error.code)
def test_errors_of_other_parts_are_the_plugins_fault(service, link, error):
    """A plugin that raised `Unauthenticated` made the caller's valid token look invalid."""
    for method in ("ensure_session", "issue_token", "start_archive"):
        service.provider.script(method, error, always=True)
    for path in ("/session", f"/session/{link}/token", f"/session/{link}/archives"):
        assert service.api("POST", path, {}).problem == (502, "provider_plugin_error")


@pytest.mark.parametrize("connect", [{"x": object()}, {"x": "\ud800"}, {"x": math.nan}, {"x": b""}], ids=range(4))
def test_token_that_is_not_json_is_a_bad_response(service, link, connect):
    """The answer could not be written: 500, after the meeting was joined."""
    service.provider.script("issue_token", JoinToken("token", LATER, connect))
    assert service.api("POST", f"/session/{link}/token", {}).problem == (502, "provider_bad_response")


def test_handshake_without_a_usable_status_is_refused(service, link):
    service.join(link)
    [joined] = service.waiting()
    service.provider.script("answer_handshake", WebhookReply("200 OK\r\nX-Admin: yes"))
    assert service.post(joined).problem == (502, "provider_plugin_error")
    assert service.post(joined).status == 204, "what was refused is taken when it comes again"


def test_refusal_without_a_message_answers_401(service, link):
    service.join(link)
    [joined] = service.waiting()
    service.provider.script("verify_webhook", WebhookRejected(7))
    assert service.post(joined).problem == (401, "webhook_rejected")


@pytest.mark.parametrize("messages", [{"a": object()}, {"a": [b""]}, {"a": {"b": 1}}], ids=range(3))
def test_schema_messages_other_than_strings_are_contained(service, monkeypatch, messages):
    monkeypatch.setattr(service.provider.options_schema, "validate", lambda self, data, **how: messages)
    answer = service.api("POST", "/session", {"providerOptions": {"a": 1}})
    assert answer.problem == (502, "provider_plugin_error")
