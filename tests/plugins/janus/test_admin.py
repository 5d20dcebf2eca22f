"""How answers of the Admin API become errors, at a server that answers anything."""

import json
from datetime import UTC, datetime

import pytest

from tests.plugins.janus.test_settings import GOOD
from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderConflict,
    ProviderRejected,
    ProviderResourceNotFound,
    ProviderUnavailable,
)
from videoconf.providers import GuardedClient, ProviderContext, SessionRef
from videoconf.testing import FaultyServer
from videoconf.testing.faulty_server import reply
from videoconf_janus.admin import JanusAdmin
from videoconf_janus.provider import JanusProvider
from videoconf_janus.settings import JanusSettings

SECRET = GOOD["admin_secret"].reveal()


@pytest.fixture
def server():
    with FaultyServer() as server:
        yield server


@pytest.fixture
def admin(server):
    client = GuardedClient(provider="janus", account="janus-1")
    yield JanusAdmin(JanusSettings(**{**GOOD, "admin_url": server.url("/admin")}), client)
    client.close()


@pytest.fixture
def answers(server):
    """Give a function that sets what the server answers."""
    return lambda body: server.on("/admin", reply(200, json.dumps(body).encode()))


def core_error(code):
    return {"janus": "error", "transaction": "t", "error": {"code": code, "reason": f"wrong: {SECRET}"}}


def plugin_error(code):
    return {"janus": "success", "response": {"videoroom": "event", "error_code": code, "error": f"wrong: {SECRET}"}}


@pytest.mark.parametrize(
    ("kind", "code", "error"),
    [
        (core_error, 403, ProviderAuthFailed),
        (core_error, 458, ProviderResourceNotFound),
        (core_error, 460, ProviderUnavailable),
        (core_error, 490, ProviderBadResponse),
        (plugin_error, 423, ProviderRejected),
        (plugin_error, 426, ProviderResourceNotFound),
        (plugin_error, 427, ProviderConflict),
        (plugin_error, 428, ProviderResourceNotFound),
        (plugin_error, 429, ProviderRejected),
        (plugin_error, 430, ProviderRejected),
        (plugin_error, 433, ProviderAuthFailed),
        (plugin_error, 436, ProviderConflict),
        (plugin_error, 499, ProviderBadResponse),
    ],
)
def test_error_with_status_200_has_its_class(admin, answers, kind, code, error):
    answers(kind(code))
    with pytest.raises(error) as raised:
        admin.ask_plugin("list", "test")
    assert (raised.value.provider_status, raised.value.provider_code) == (200, str(code))
    assert raised.value.provider_message == "wrong: ***"


@pytest.mark.parametrize(("status", "error"), [(300, ProviderBadResponse), (404, ProviderResourceNotFound)])
def test_any_other_status_has_its_own_class(admin, server, status, error):
    """A proxy before Janus answers with statuses of its own, and may repeat what Janus said."""
    server.on("/admin", reply(status, json.dumps(core_error(403)).encode()))
    with pytest.raises(error):
        admin.ask("info", "test")


def test_wrong_secret_of_a_room_is_a_conflict(admin, answers):
    answers(plugin_error(433))
    with pytest.raises(ProviderConflict):
        admin.ask_plugin("kick", "test", room="m1", secret="of-the-room", id="x")
    with pytest.raises(ProviderAuthFailed):
        admin.create_room("m1", "of-the-room")


def test_expected_error_is_an_answer(admin, answers):
    answers(core_error(490))
    assert admin.ask("list_tokens", "test", expected_error=490)["janus"] == "error"


@pytest.mark.parametrize(
    "body",
    [
        [],
        17,
        {},
        {"janus": "ack"},
        {"janus": "error"},
        {"janus": "error", "error": {"code": "403", "reason": "x"}},
        {"janus": "error", "error": {"code": 403, "reason": 17}},
        {"janus": "success", "response": {"error_code": 426, "error": 17}},
        {"janus": "ack", "response": {"error_code": 426, "error": "x"}},
        {"janus": "ack", "error": {"code": 403, "reason": "x"}},
        {"janus": "ack", "response": {"participants": []}},
        {"janus": "success"},
        {"janus": "success", "response": []},
        {"janus": "success", "response": {}},
        {"janus": "success", "response": {"participants": {}}},
        {"janus": "success", "response": {"participants": [[]]}},
        {"janus": "success", "response": {"participants": [{"id": 17}]}},
    ],
    ids=str,
)
def test_answer_of_another_shape_is_a_bad_response(admin, answers, body):
    answers(body)
    with pytest.raises(ProviderBadResponse):
        admin.list_participants("m1")


@pytest.mark.parametrize("others", [0, 1])
def test_muting_reports_a_stream_of_an_unknown_name(server, others):
    """A participant sends, and Janus knows none of the names that are tried."""

    def janus(exchange):
        request = json.loads(exchange.request.body)["request"]
        if request["request"] == "listparticipants":
            found = {"participants": [{"id": "odd", "publisher": True}, *[{"id": "ann", "publisher": True}] * others]}
        else:
            known = (request["id"], request["mid"]) == ("ann", "0")
            found = {"videoroom": "success"} if known else {"error_code": 428, "error": "No such stream"}
        return reply(200, json.dumps({"janus": "success", "response": found}).encode())(exchange)

    server.on("/admin", janus)
    client = GuardedClient(provider="janus", account="janus-1")
    context = ProviderContext(lambda: datetime.now(UTC), lambda account: client)
    provider = JanusProvider(JanusSettings(**{**GOOD, "admin_url": server.url("/admin")}), context)
    with pytest.raises(ProviderConflict) as raised:
        provider.mute(SessionRef("janus-1", "m1"), None, {"odd": ["gone"]})
    assert raised.value.outcome_unknown is bool(others), "then the audit trail has an entry"
    provider.close()
