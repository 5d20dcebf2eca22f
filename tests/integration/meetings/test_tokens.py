"""Meeting tokens over the API: for whom, as what, for how long, and when."""

from dataclasses import replace
from datetime import datetime, timedelta

import jwt
import pytest

from tests.support.service import ON_SQLITE, Caller, in_process, plugins_with, service_of
from tests.support.settings import FAKE_SETTINGS
from videoconf.errors import ProviderUnavailable
from videoconf.providers import Role
from videoconf_fake.provider import CAPABILITIES, FakeProvider


def claims_of(token):
    """Read a token as the vendor does, without its clock."""
    secret = FAKE_SETTINGS["VIDEOCONF_FAKE_TOKEN_SECRET"]
    return jwt.decode(token, secret, algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False})


# --- what it is -----------------------------------------------------------------------------------------------------


@pytest.mark.needs("join tokens")
def test_empty_request_gives_an_anonymous_publisher_token(service, clock):
    api = service.api
    link = api.create()
    for body in (None, {}):
        answer = api("POST", f"/session/{link}/token", body)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
        session_id = api.read(link)["sessionId"]
        assert answer.json == {
            "sessionId": session_id,
            "token": answer.json["token"],
            "role": "publisher",
            "expireTime": clock.text(hours=2),
            "provider": "fake",
            "connect": {"url": f"fake://{session_id}"},
        }
    claims = claims_of(answer.json["token"])
    assert (claims["session"], claims["role"], claims["attendee"]) == (session_id, "publisher", None)
    assert claims["exp"] == (clock.now + timedelta(hours=2)).timestamp()


@pytest.mark.needs("attendee_names")
def test_token_carries_the_person_to_the_attendees(service):
    api = service.api
    link = api.create()
    connection = service.join(link, attendee="u-7", name="Ada ✓", data="free text")
    service.deliver()
    [person] = api.attendees(link)
    assert (person["attendee"], person["name"], person["active"]) == ("u-7", "Ada ✓", True)
    assert [one["id"] for one in person["connections"]] == [connection]
    assert person["sessionId"] == api.read(link)["sessionId"]


@ON_SQLITE
@pytest.mark.parametrize(
    ("sent", "role"),
    [("publisher", "publisher"), ("SUBSCRIBER", "subscriber"), ("Moderator", "moderator"), ("mODERATOR", "moderator")],
)
@pytest.mark.needs("join tokens", "subscriber", "moderator")
def test_role_is_accepted_in_any_case(api, sent, role):
    token = api.token(api.create(), role=sent)
    assert token["role"] == role
    assert claims_of(token["token"])["role"] == role


@ON_SQLITE
@pytest.mark.parametrize(
    ("wish", "attendee", "data"),
    [
        ({}, None, None),
        ({"data": "d"}, "d", "d"),
        ({"attendee": "a"}, "a", None),
        ({"attendee": "a", "data": "d"}, "a", "d"),
        ({"data": "x" * 1000}, "x" * 1000, "x" * 1000),
        ({"data": "✓" * 1000, "attendee": "a" * 255, "name": "n" * 255}, "a" * 255, "✓" * 1000),
        ({"data": None, "attendee": None, "name": None, "expireTime": None}, None, None),
        ({"data": '{"attendee": "boss"}'}, '{"attendee": "boss"}', '{"attendee": "boss"}'),
    ],
)
@pytest.mark.needs("join tokens", "data of 1000")
def test_data_alone_names_the_attendee(service, wish, attendee, data):
    link = service.api.create()
    claims = claims_of(service.api.token(link, **wish)["token"])
    assert (claims["attendee"], claims["data"]) == (attendee, data)
    service.join(link, **wish)
    service.deliver()
    assert [person["attendee"] for person in service.api.attendees(link)] == [attendee]


@ON_SQLITE
@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"role": "owner"}, ["role"]),
        ({"role": ""}, ["role"]),
        ({"role": None}, ["role"]),
        ({"role": 1}, ["role"]),
        ({"role": ["publisher"]}, ["role"]),
        ({"data": "x" * 1001}, ["data"]),
        ({"data": {"a": 1}}, ["data"]),
        ({"attendee": "x" * 256}, ["attendee"]),
        ({"attendee": 7}, ["attendee"]),
        ({"name": "x" * 256}, ["name"]),
        ({"name": "a\u0000b"}, None),
        ({"expireTime": "2019-08-24T14:15:22Z"}, ["expireTime"]),
        ({"expireTime": "2100-01-01T00:00:00Z"}, ["expireTime"]),
        ({"expireTime": "2100-01-01T00:00:00"}, ["expireTime"]),
        ({"expireTime": 4102444800}, ["expireTime"]),
        ({"ttl": 60, "userId": "u"}, ["ttl", "userId"]),
    ],
    ids=str,
)
def test_invalid_request_gives_no_token(api, body, paths):
    link = api.create()
    answer = api("POST", f"/session/{link}/token", body)
    if paths is None:
        assert answer.problem == (400, "malformed_request")
    else:
        assert answer.wrong == paths
    assert api.read(link)["startTime"] is None


@ON_SQLITE
@pytest.mark.needs
def test_expiry_must_be_future_and_within_the_maximum(service, api, clock):
    link = api.create()
    longest = service.provider.capabilities.max_token_ttl

    def status(**later):
        answer = api("POST", f"/session/{link}/token", {"expireTime": clock.text(**later)})
        assert answer.status == 200 or answer.wrong == ["expireTime"]
        return answer.status

    assert status() == 422, "the present is past"
    assert status(seconds=-1) == 422
    assert status(seconds=1) == 200
    assert status(seconds=longest.total_seconds()) == 200
    assert status(seconds=longest.total_seconds() + 1) == 422
    local = (clock.now + timedelta(hours=1)).isoformat().replace("+00:00", "+00:30")  # half an hour from now
    assert api.token(link, expireTime=local)["expireTime"] == clock.text(minutes=30)


@pytest.mark.needs("the fake", long=True)
@ON_SQLITE
def test_default_life_follows_setting_and_provider_maximum(make_app, headers, clock):
    class Brief(FakeProvider):
        capabilities = replace(CAPABILITIES, roles=frozenset({Role.PUBLISHER}), max_token_ttl=timedelta(minutes=5))

    api = service_of(make_app(clock=clock, token_ttl_seconds=60), headers).api
    assert api.token(api.create())["expireTime"] == clock.text(minutes=1)

    api = service_of(make_app(clock=clock, plugins=plugins_with(Brief)), headers).api
    link = api.create()
    assert api.token(link)["expireTime"] == clock.text(minutes=5)
    refused = api("POST", f"/session/{link}/token", {"role": "moderator"})
    assert refused.problem == (422, "capability_unsupported")
    assert refused.wrong == ["role"], "never widened to another role"


# --- who may give which role ----------------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.parametrize(
    ("listed", "allowed"),
    [
        (None, {"publisher", "subscriber", "moderator"}),
        (["subscriber"], {"subscriber"}),
        (["Publisher", "SUBSCRIBER"], {"publisher", "subscriber"}),
        ([], set()),
        (["owner"], set()),
    ],
)
@pytest.mark.needs("subscriber", "moderator")
def test_caller_grants_only_roles_that_its_token_lists(service, listed, allowed):
    link = service.api.create()
    back_end = service.caller_with(meetingRoles=listed)
    for role in ("publisher", "subscriber", "moderator"):
        answer = back_end("POST", f"/session/{link}/token", {"role": role})
        assert answer.status == 200 if role in allowed else answer.problem == (403, "role_forbidden")
    default = back_end("POST", f"/session/{link}/token")
    assert default.status == 200 if "publisher" in allowed else default.problem == (403, "role_forbidden")


@ON_SQLITE
@pytest.mark.parametrize("listed", ["subscriber", {"subscriber": True}, [7]])
def test_malformed_list_of_roles_answers_401(service, listed):
    link = service.api.create()
    caller = service.caller_with(meetingRoles=listed)
    assert caller("POST", f"/session/{link}/token").problem == (401, "unauthenticated")


# --- when -----------------------------------------------------------------------------------------------------------


@pytest.mark.needs
def test_the_first_token_starts_the_meeting_once(service):
    api = service.api
    link = api.create()
    assert api.read(link)["startTime"] is None
    assert api("POST", f"/session/{link}/token", {"role": "owner"}).status == 422
    assert service.caller_with("GetMeetings")("POST", f"/session/{link}/token").status == 403
    assert api.read(link)["startTime"] is None, "a refusal starts nothing"

    api.token(link)
    start = api.read(link)["startTime"]
    assert start is not None
    api.token(link)
    assert api.read(link)["startTime"] == start


def test_a_scheduled_meeting_opens_some_minutes_early(api, clock):
    link = api.create(isScheduled=True, scheduleTime=clock.text(hours=1))
    path = f"/session/{link}/token"
    refused = api("POST", path)
    assert refused.problem == (409, "meeting_not_open")
    assert refused.json["opensOn"] == clock.text(minutes=45)
    assert (api.read(link)["status"], api.read(link)["startTime"]) == ("scheduled", None)

    clock.step(minutes=45, seconds=-1)
    assert api("POST", path).problem == (409, "meeting_not_open")
    clock.step(seconds=1)
    assert api("POST", path).status == 200
    assert api.read(link)["status"] == "open"
    clock.step(days=100)
    assert api("POST", path).status == 200, "the schedule says when a meeting begins and not when it ends"


@ON_SQLITE
def test_opening_time_follows_the_setting_and_edits(make_app, headers, clock):
    api = service_of(make_app(clock=clock, join_early_minutes=0), headers).api
    link = api.create(isScheduled=True, scheduleTime=clock.text(minutes=1))
    assert api("POST", f"/session/{link}/token").json["opensOn"] == clock.text(minutes=1)
    assert api("PATCH", f"/session/{link}", {"isScheduled": False}).status == 204
    assert api("POST", f"/session/{link}/token").status == 200


def test_a_provider_that_fails_starts_no_meeting(service, api):
    service.provider.script("issue_token", ProviderUnavailable(), always=True)
    link = api.create()
    assert api("POST", f"/session/{link}/token").problem == (503, "provider_unavailable")
    assert api.read(link)["startTime"] is None


@pytest.mark.needs("the fake", long=True)
@ON_SQLITE
def test_meeting_of_a_disabled_provider_is_read_and_ended(make_app, headers, monkeypatch):
    class Other(FakeProvider):
        key = "other"

    for name, value in FAKE_SETTINGS.items():
        monkeypatch.setenv(name.replace("FAKE", "OTHER"), value)
    link = service_of(make_app(), headers).api.create()
    api = Caller(in_process(make_app(plugins=plugins_with(Other), providers=("other",))), headers())

    assert api("POST", f"/session/{link}/token").problem == (503, "provider_not_enabled")
    assert api.read(link)["provider"] == "fake"
    assert api.attendees(link) == []
    assert api("PATCH", f"/session/{link}/end").status == 204
    assert api.read(api.create())["provider"] == "other"


@ON_SQLITE
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (lambda join: None, "provider_plugin_error"),
        (lambda join: replace(join, token=7), "provider_bad_response"),
        (lambda join: replace(join, token=b"bytes"), "provider_bad_response"),
        (lambda join: replace(join, expires_at=None), "provider_bad_response"),
        (lambda join: replace(join, expires_at=datetime(2100, 1, 1)), "provider_bad_response"),
        (lambda join: replace(join, connect=None), "provider_bad_response"),
    ],
)
def test_unusable_token_answers_502(service, wrong, code):
    issue = service.provider.issue_token
    service.provider.script("issue_token", lambda *args: wrong(issue(*args)), always=True)
    link = service.api.create()
    assert service.api("POST", f"/session/{link}/token").problem == (502, code)
    assert service.api.read(link)["startTime"] is None
