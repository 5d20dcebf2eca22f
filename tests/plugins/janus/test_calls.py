"""What the provider asks of Janus, request by request, and what it makes of the answers."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.plugins.janus.test_settings import GOOD
from videoconf.errors import ProviderAuthFailed, ProviderBadResponse, ProviderConflict, ProviderRejected
from videoconf.providers import (
    Capabilities,
    Capability,
    GuardedClient,
    ProviderContext,
    Role,
    Secret,
    SessionRef,
    SessionRequest,
    TokenRequest,
    WebhookAuthentication,
)
from videoconf.testing import FaultyServer
from videoconf.testing.faulty_server import reply, reset
from videoconf_janus.admin import LARGE_ANSWER_BYTES
from videoconf_janus.provider import LONGEST_DISPLAY_NAME, LONGEST_PARTICIPANT_ID, JanusProvider
from videoconf_janus.settings import JanusSettings
from videoconf_janus.tokens import derived_key

ADMIN_KEY = GOOD["admin_key"].reveal()
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SESSION = SessionRef("janus-1", "m1")
ROOM_SECRET = derived_key(GOOD["room_key"], "room:m1")
IN_ROOM = {"room": "m1", "secret": ROOM_SECRET}
PLUGIN = "janus.plugin.videoroom"


def refused(code):
    return {"error_code": code, "error": "refused"}


class Janus:
    """Answers the Admin API: each request of the plugin by name, and those of the core by ``core``."""

    def __init__(self, server):
        self.server, self.url = server, server.url("/admin")
        self.requests, self.answers, self.core, self.operations = [], {}, {}, []
        server.on("/admin", self.answer)

    def answer(self, exchange):
        body = json.loads(exchange.request.body)
        assert body.pop("transaction")
        assert body.pop("admin_secret") == GOOD["admin_secret"].reveal()
        if body["janus"] != "message_plugin":
            self.requests.append(body)
            return self.say(exchange, self.core[body["janus"]])
        assert (body["plugin"], body.keys()) == (PLUGIN, {"janus", "plugin", "request"})
        self.requests.append(body["request"])
        said = self.answers.get(body["request"]["request"], {"videoroom": "success"})
        if isinstance(said, list):
            said = said.pop(0)
        return self.say(exchange, {"janus": "success", "response": said})

    def say(self, exchange, answer):
        return reply(200, json.dumps(answer).encode())(exchange)


@pytest.fixture
def janus():
    with FaultyServer() as server:
        yield Janus(server)


@pytest.fixture
def make_provider(janus):
    made = []

    def make(**changes):
        settings = JanusSettings(**{**GOOD, "admin_url": janus.url, **changes})
        client = GuardedClient(
            provider="janus", account="janus-1", observer=lambda call: janus.operations.append(call.operation)
        )
        made.append(JanusProvider(settings, ProviderContext(lambda: NOW, lambda account: client)))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def provider(make_provider):
    return make_provider()


def test_provider_states_the_facts_about_janus(provider):
    assert (JanusProvider.key, JanusProvider.label, provider.account) == ("janus", "Janus", "janus-1")
    assert provider.capabilities == Capabilities(
        features=frozenset({Capability.ROSTER, Capability.MODERATION, Capability.ATTENDEE_NAMES}),
        roles=frozenset({Role.PUBLISHER}),
        idempotent_create=True,
        webhook_authentication=WebhookAuthentication.SHARED_SECRET,
        webhook_success_status=200,
        retry_horizon=timedelta(hours=1),
        repeats_refused_webhooks=False,
    )


# --- rooms ----------------------------------------------------------------------------------------------------------


def test_room_is_private_signed_and_kept(provider, janus):
    janus.answers["create"] = {"videoroom": "created", "permanent": True}
    assert provider.ensure_session(SessionRequest("m1")) == SESSION
    created = {
        "request": "create",
        "admin_key": ADMIN_KEY,
        **IN_ROOM,
        "description": "m1",
        "is_private": True,
        "signed_tokens": True,
        "require_pvtid": True,
        "lock_record": True,
        "publishers": 50,
        "permanent": True,
    }
    assert (janus.requests, janus.operations) == ([created], ["session.create"])


@pytest.mark.parametrize(("permanent", "lines"), [(True, 0), (False, 1), ("yes", 1), (None, 1)])
def test_room_that_is_not_kept_is_a_warning(provider, janus, caplog, permanent, lines):
    janus.answers["create"] = {"videoroom": "created", "permanent": permanent}
    provider.ensure_session(SessionRequest("m1"))
    assert [record.args for record in caplog.records if "cannot store" in record.msg] == [("m1",)] * lines


def test_room_that_exists_is_found_by_its_secret(provider, janus):
    janus.answers["create"] = refused(427)
    assert provider.ensure_session(SessionRequest("m1")) == SESSION
    assert janus.requests[1:] == [{"request": "edit", **IN_ROOM}]
    assert janus.operations == ["session.create", "session.find"]
    janus.answers["edit"] = refused(433)
    with pytest.raises(ProviderConflict):
        provider.ensure_session(SessionRequest("m1"))


@pytest.mark.parametrize("answer", [{"videoroom": "destroyed"}, refused(426)], ids=["there", "gone"])
def test_room_is_destroyed_for_good(provider, janus, answer):
    janus.answers["destroy"] = answer
    provider.end_session(SESSION, [])
    assert janus.requests == [{"request": "destroy", **IN_ROOM, "permanent": True}]
    assert janus.operations == ["session.end"]


def test_session_of_another_server_is_refused_at_once(provider, janus):
    other = SessionRef("janus-2", "m1")
    expires_at = NOW + timedelta(minutes=10)
    for call in (
        lambda: provider.end_session(other, []),
        lambda: provider.issue_token(other, TokenRequest(Role.PUBLISHER, expires_at)),
        lambda: provider.list_connections(other),
        lambda: provider.disconnect(other, "ann"),
        lambda: provider.mute(other, None, {}),
    ):
        with pytest.raises(ProviderAuthFailed):
            call()
    assert janus.requests == []


def test_request_without_an_answer_is_repeated(provider, janus):
    janus.server.on("/admin", reset(), janus.answer)
    provider.end_session(SESSION, [])
    assert janus.server.count("/admin") == 2


# --- participants ---------------------------------------------------------------------------------------------------


def listed(*people):
    return {"participants": [{"id": one} if isinstance(one, str) else one for one in people]}


def test_roster_is_complete(provider, janus):
    janus.answers["listparticipants"] = listed("ann", {"id": "bob", "display": "Bob", "publisher": True})
    roster = provider.list_connections(SESSION)
    assert ([one.connection_id for one in roster.connections], roster.complete) == (["ann", "bob"], True)
    assert janus.requests == [{"request": "listparticipants", "room": "m1"}]
    assert janus.operations == ["roster.list"]


@pytest.mark.parametrize(
    ("person", "is_removed", "is_listed"),
    [
        ({"id": "b" * LONGEST_PARTICIPANT_ID}, False, True),
        ({"id": "b" * (LONGEST_PARTICIPANT_ID + 1)}, True, False),
        ({"id": "bell\a"}, True, False),
        ({"id": ""}, True, False),
        ({"id": "b", "display": "B" * LONGEST_DISPLAY_NAME}, False, True),
        ({"id": "b", "display": "B" * (LONGEST_DISPLAY_NAME + 1)}, True, True),
        ({"id": "b", "display": 17}, False, True),
        ({"id": "b", "display": ["B" * LONGEST_DISPLAY_NAME]}, True, True),
    ],
)
def test_participant_that_cannot_be_listed_is_removed(provider, janus, caplog, person, is_removed, is_listed):
    janus.answers["listparticipants"] = listed("ann", person)
    found = [one.connection_id for one in provider.list_connections(SESSION).connections]
    assert found == ["ann", person["id"]][: 1 + is_listed]
    assert janus.requests[1:] == [{"request": "kick", **IN_ROOM, "id": person["id"]}] * is_removed
    assert janus.operations[1:] == ["connection.delete"] * is_removed
    assert [record.args for record in caplog.records if "removing" in record.msg] == [("m1",)] * is_removed


def test_room_that_is_gone_has_no_participants(provider, janus):
    janus.answers["listparticipants"] = refused(426)
    assert list(provider.list_connections(SESSION).connections) == []
    provider.mute(SESSION, None, {})


@pytest.mark.parametrize(
    "answer", [{}, {"participants": {}}, {"participants": ["ann"]}, {"participants": [{"id": "ann"}, {"id": 17}]}]
)
def test_list_of_another_shape_is_a_bad_response(provider, janus, answer):
    janus.answers["listparticipants"] = answer
    with pytest.raises(ProviderBadResponse):
        provider.list_connections(SESSION)


def test_lists_alone_may_be_long(provider, janus):
    """Clients choose display names of any length."""
    filler = {"filler": "x" * (LARGE_ANSWER_BYTES - 1000)}
    janus.core, janus.answers = dict(WORKING), {"list": filler, "listparticipants": {**listed("ann"), **filler}}
    provider.check()
    assert len(provider.list_connections(SESSION).connections) == 1
    janus.answers |= {"kick": filler, "listparticipants": {**listed("ann"), "filler": "x" * LARGE_ANSWER_BYTES}}
    janus.core["get_status"] = {**WORKING["get_status"], **filler}
    for call in (
        lambda: provider.disconnect(SESSION, "ann"),
        lambda: provider.list_connections(SESSION),
        provider.check,
    ):
        with pytest.raises(ProviderBadResponse):
            call()


def test_participant_is_removed_under_either_id(provider, janus):
    """A connection that is kept apart from another is at Janus under the id that its client chose."""
    for answers, tried in (
        ([{"videoroom": "success"}], ["7~ann"]),
        ([refused(428), {"videoroom": "success"}], ["7~ann", "ann"]),
        ([refused(428), refused(428)], ["7~ann", "ann"]),
    ):
        janus.requests.clear()
        janus.answers["kick"] = answers
        provider.disconnect(SESSION, "7~ann")
        assert janus.requests == [{"request": "kick", **IN_ROOM, "id": one} for one in tried]


def test_client_without_a_statement_hides_its_attendee(provider):
    hiding = [provider.hides_attendee(one) for one in ("a1b2.c3", "ann", "7~a1b2.c3", "7~ann")]
    assert hiding == [False, True, True, True]


def muted(*streams):
    return [
        {"request": "moderate", **IN_ROOM, "id": one, "mid": mid, "mute": True} for one, mids in streams for mid in mids
    ]


def test_reported_and_numbered_streams_are_muted(provider, janus):
    """Streams are numbered from 0; the first number that Janus does not know ends the search."""
    janus.answers["listparticipants"] = listed({"id": "ann", "publisher": True}, {"id": "bob", "publisher": True})
    success, unknown = {"videoroom": "success"}, refused(428)
    janus.answers["moderate"] = [success, success, success, unknown]
    provider.mute(SESSION, "ann", {"ann": ["camera", "1", "camera"], "bob": ["screen"]})
    assert janus.requests[1:] == muted(("ann", ["camera", "1", "0", "2"]))
    assert set(janus.operations[1:]) == {"stream.mute"}


def test_numbers_of_streams_end(provider, janus):
    janus.answers["listparticipants"] = listed({"id": "ann", "publisher": True})
    provider.mute(SESSION, None, {})
    assert [request["mid"] for request in janus.requests[1:]] == [str(number) for number in range(64)]


def test_muting_an_absent_participant_makes_no_request(provider, janus):
    janus.answers["listparticipants"] = listed("bob")
    provider.mute(SESSION, "ann", {"ann": ["0"]})
    assert janus.requests[1:] == []
    janus.answers["moderate"] = refused(428)
    provider.mute(SESSION, None, {})  # bob sends nothing


def test_connection_kept_apart_is_muted_at_janus(provider, janus):
    janus.answers["listparticipants"] = listed({"id": "ann", "publisher": True})
    janus.answers["moderate"] = [{"videoroom": "success"}, refused(428)]
    provider.mute(SESSION, "7~ann", {"7~ann": ["camera"]})
    assert janus.requests[1:] == muted(("ann", ["camera", "0"]))


# --- tokens ---------------------------------------------------------------------------------------------------------


def issued(provider, **fields):
    request = TokenRequest(
        **{"role": Role.PUBLISHER, "expires_at": NOW + timedelta(minutes=10, microseconds=9), **fields}
    )
    return provider.issue_token(SESSION, request)


def test_client_gets_the_place_to_connect_to(provider, janus):
    join = issued(provider, name="Ann")
    [prefix] = {join.connect["idPrefix"]}
    assert join.connect == {
        "url": "wss://janus.example.com/",
        "room": "m1",
        "idPrefix": prefix,
        "iceServers": [],
        "display": "Ann",
    }
    assert len(prefix) == 16
    assert "display" not in issued(provider).connect
    assert issued(provider, name="").connect["display"] == ""
    assert join.expires_at == NOW + timedelta(minutes=10)
    assert janus.requests == []


def test_tokens_end_in_the_second_that_janus_still_accepts(provider):
    session_token, room_token, statement = issued(provider).token.split("~")
    expires_at = int((NOW + timedelta(minutes=10)).timestamp())
    assert session_token.partition(":")[0] == f"{expires_at + 24 * 3600},janus,{PLUGIN},room=m1"
    assert room_token.partition(":")[0] == f"{expires_at - 1},{PLUGIN},room=m1"
    assert statement.startswith("vc1.")


@pytest.mark.parametrize("role", [Role.MODERATOR, Role.SUBSCRIBER])
def test_role_that_janus_cannot_enforce_is_refused(provider, role):
    with pytest.raises(ProviderRejected):
        issued(provider, role=role)


def test_turn_servers_get_a_password_for_the_session(make_provider):
    urls = ("turn:turn.example.com:3478", "turns:turn.example.com")
    join = issued(make_provider(turn_urls=urls, turn_secret=Secret("turn-secret")))
    [server] = join.connect["iceServers"]
    leaves_by = int((NOW + timedelta(hours=24, minutes=10)).timestamp())
    assert server["urls"] == list(urls)
    assert server["username"] == f"{leaves_by}:{join.connect['idPrefix']}"
    assert server.keys() == {"urls", "username", "credential"}


def test_browser_may_connect_to_the_websocket_alone(provider):
    client = provider.browser_client
    assert client.connect == ("wss://janus.example.com",)
    assert client.module.is_file()


# --- the check ------------------------------------------------------------------------------------------------------

STORED_TOKENS_OFF = {"janus": "error", "error": {"code": 490, "reason": "Stored tokens are off"}}
WORKING = {
    "get_status": {"janus": "success", "status": {"token_auth": True}},
    "list_tokens": STORED_TOKENS_OFF,
    "info": {"janus": "server_info", "server-name": "janus-1", "event_handlers": True, "events": {"e": {}}},
}


def test_check_makes_five_requests(provider, janus):
    janus.core = dict(WORKING)
    provider.check()
    assert janus.requests == [
        {"janus": "get_status"},
        {"janus": "list_tokens"},
        {"request": "list", "admin_key": ADMIN_KEY},
        {"request": "exists", "room": "videoconf-check"},
        {"janus": "info"},
    ]
    assert janus.operations == ["check.status", "check.tokens", "check.rooms", "check.ids", "check.info"]


@pytest.mark.parametrize(
    ("request_name", "answer", "said"),
    [
        ("get_status", {"janus": "success", "status": {"token_auth": False}}, "token_auth"),
        ("get_status", {"janus": "success", "status": {"token_auth": "yes"}}, "token_auth"),
        ("get_status", {"janus": "success", "status": {}}, "token_auth"),
        ("list_tokens", {"janus": "success", "data": {"tokens": []}}, "token_auth_secret"),
        ("info", {**WORKING["info"], "server-name": "janus-2"}, "SERVER_NAME"),
        ("info", {"janus": "server_info"}, "SERVER_NAME"),
        ("info", {**WORKING["info"], "event_handlers": False}, "no events"),
        ("info", {**WORKING["info"], "events": {}}, "no events"),
    ],
)
def test_check_names_the_fault(provider, janus, request_name, answer, said):
    janus.core = {**WORKING, request_name: answer}
    with pytest.raises(ProviderAuthFailed, match=said):
        provider.check()


@pytest.mark.parametrize("request_name", ["list", "exists"])
def test_check_of_the_plugin_passes_on_its_refusal(provider, janus, request_name):
    janus.core, janus.answers[request_name] = dict(WORKING), refused(433 if request_name == "list" else 430)
    with pytest.raises(ProviderAuthFailed if request_name == "list" else ProviderRejected):
        provider.check()
