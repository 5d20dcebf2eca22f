"""Providers that lack, refuse, fail or confuse something when a meeting is made."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.support.service import ON_SQLITE, count_meetings, plugins_with, service_of
from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from videoconf.providers import Capability, JoinToken, SessionCreation, SessionRef
from videoconf_fake.provider import CAPABILITIES, FakeProvider


@pytest.fixture
def with_provider(make_app, headers):
    """Give a function that makes a service whose provider is this class."""
    return lambda cls: service_of(make_app(plugins=plugins_with(cls)), headers)


@ON_SQLITE
@pytest.mark.parametrize(
    ("option", "feature"),
    [
        ("enableArchiving", Capability.AUTOMATIC_ARCHIVING),
        ("endToEndEncryption", Capability.END_TO_END_ENCRYPTION),
    ],
)
def test_unsupported_option_is_refused_without_a_provider_call(with_provider, option, feature):
    class Poor(FakeProvider):
        capabilities = replace(CAPABILITIES, features=CAPABILITIES.features - {feature})

    service = with_provider(Poor)
    answer = service.api("POST", "/session", {option: True})
    assert answer.problem == (422, "capability_unsupported")
    assert answer.wrong == [option]
    assert service.api("GET", "/session").json == []
    assert service.fake.list_sessions() == []


@ON_SQLITE
def test_provider_without_options_refuses_them(with_provider):
    class Plain(FakeProvider):
        options_schema = None

    answer = with_provider(Plain).api("POST", "/session", {"providerOptions": {"a": 1}})
    assert answer.wrong == ["providerOptions"]
    assert answer.json["detail"] == "providerOptions: The provider takes no options."


FAILURES = [
    (ProviderUnavailable(retry_after_seconds=5), 503, "provider_unavailable"),
    (ProviderRateLimited(), 503, "provider_rate_limited"),
    (ProviderTimeout(), 504, "provider_timeout"),
    (ProviderBadResponse(), 502, "provider_bad_response"),
    (ProviderAuthFailed(provider_message="our key is tops3cret"), 502, "provider_auth_failed"),
    (ProviderRejected(), 422, "provider_rejected"),
    (RuntimeError("tops3cret"), 502, "provider_plugin_error"),
]


@pytest.mark.parametrize(("error", "status", "code"), FAILURES, ids=lambda value: getattr(value, "code", None))
def test_a_provider_that_fails_at_the_create_leaves_no_meeting(make_app, headers, error, status, code):
    class Failing(FakeProvider):
        def ensure_session(self, request):
            raise error

    app = make_app(plugins=plugins_with(Failing))
    answer = service_of(app, headers).api("POST", "/session")
    assert answer.problem == (status, code)
    assert b"tops3cret" not in answer.body
    assert ("Retry-After" in answer.headers) == (code == "provider_unavailable")
    assert count_meetings(app) == 0


@pytest.mark.parametrize("session_id", ["", None, 7, "x" * 256, "a\nb", "a\x00b", "ä"])
def test_unusable_session_id_is_a_bad_response(make_app, headers, session_id):
    class Odd(FakeProvider):
        def ensure_session(self, request):
            return SessionRef(self.account, session_id)

    app = make_app(plugins=plugins_with(Odd))
    assert service_of(app, headers).api("POST", "/session").problem == (502, "provider_bad_response")
    assert count_meetings(app) == 0


@pytest.mark.parametrize("given", [None, "fs_1", 7, {"session_id": "fs_1"}, ("fake", "fs_1")], ids=repr)
def test_a_session_of_another_type_is_the_plugins_bug(make_app, headers, given):
    class Odd(FakeProvider):
        def ensure_session(self, request):
            return given

    app = make_app(plugins=plugins_with(Odd))
    api = service_of(app, headers).api
    assert api("POST", "/session").problem == (502, "provider_plugin_error")
    assert count_meetings(app) == 0
    for _ in range(2):  # the key is given back each time
        assert api("POST", "/session", Idempotency_Key="k").problem == (502, "provider_plugin_error")


@ON_SQLITE
@pytest.mark.parametrize("account", [None, 7, "", "x" * 256], ids=repr)
def test_session_without_an_account_is_a_bad_response(make_app, headers, account):
    class Odd(FakeProvider):
        def ensure_session(self, request):
            return SessionRef(account, "fs_1")

    app = make_app(plugins=plugins_with(Odd))
    assert service_of(app, headers).api("POST", "/session").problem == (502, "provider_bad_response")


@ON_SQLITE
@pytest.mark.parametrize(
    ("given", "code"),
    [
        (None, "provider_plugin_error"),
        ("token", "provider_plugin_error"),
        (JoinToken(7, datetime.now(UTC)), "provider_bad_response"),
        (JoinToken("token", None), "provider_bad_response"),
        (JoinToken("token", datetime(2030, 1, 1)), "provider_bad_response"),
        (JoinToken("token", datetime.now(UTC), None), "provider_bad_response"),
    ],
    ids=range(6),
)
def test_unusable_token_answers_502(with_provider, given, code):
    class Odd(FakeProvider):
        def issue_token(self, session, request):
            return given

    api = with_provider(Odd).api
    link = api.create()
    assert api("POST", f"/session/{link}/token", {}).problem == (502, code)
    assert api.read(link)["startTime"] is None


@ON_SQLITE
def test_failing_check_of_options_is_the_plugins_bug(with_provider):
    class Broken(FakeProvider):
        class options_schema(FakeProvider.options_schema):
            def validate(self, *args, **kwargs):
                raise RuntimeError

    assert with_provider(Broken).api("POST", "/session", {"providerOptions": {"a": 1}}).problem == (
        502,
        "provider_plugin_error",
    )


class Confused(FakeProvider):
    def ensure_session(self, request):
        return SessionRef(self.account, "always-the-same")


def test_two_meetings_never_share_a_session(with_provider):
    api = with_provider(Confused).api
    link = api.create()
    assert api("POST", "/session").problem == (502, "provider_bad_response")
    assert api("POST", "/session", Idempotency_Key="k").problem == (502, "provider_bad_response")
    assert [meeting["meetingLink"] for meeting in api("GET", "/session").json] == [link]


def test_two_meetings_never_share_a_just_in_time_room(with_provider):
    class JustInTime(Confused):
        capabilities = replace(CAPABILITIES, session_creation=SessionCreation.JUST_IN_TIME)

    api = with_provider(JustInTime).api
    first, second = api.create(), api.create()
    api.token(first)
    assert api("POST", f"/session/{second}/token", {}).problem == (502, "provider_bad_response")
    assert api.read(second)["sessionId"] is None
    api.token(first)


def test_just_in_time_room_is_made_with_the_first_token(with_provider):
    class JustInTime(FakeProvider):
        capabilities = replace(CAPABILITIES, session_creation=SessionCreation.JUST_IN_TIME)

    service = with_provider(JustInTime)
    api = service.api
    link = api.create()
    assert api.read(link)["sessionId"] is None
    assert api.attendees(link) == []
    assert service.fake.list_sessions() == []

    tokens = [api.token(link), api.token(link)]
    [session_id] = service.fake.list_sessions()
    assert {token["sessionId"] for token in tokens} == {api.read(link)["sessionId"]} == {session_id}
    unused = api.create()
    assert api("PATCH", f"/session/{unused}/end").status == 204
    assert service.fake.list_sessions() == [session_id]
