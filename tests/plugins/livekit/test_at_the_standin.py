"""The provider and the stand-in together: rooms, people, and what LiveKit does that other vendors do not."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tools.livekit_standin import Refused
from tools.livekit_standin.api import Reply
from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderRejected,
    ProviderResourceNotFound,
    ProviderTimeout,
    ProviderUnavailable,
    ValidationFailed,
)
from videoconf.providers import Role, SessionRequest, TokenRequest, provider_deadline
from videoconf.testing.faulty_server import reply
from videoconf_livekit.provider import PartlyMuted


@pytest.fixture
def provider(make_provider, livekit_standin):
    return make_provider(livekit_standin)


@pytest.fixture
def session(provider):
    return provider.ensure_session(SessionRequest("m1"))


def token(provider, session, attendee="ann", role=Role.PUBLISHER, **fields):
    request = TokenRequest(role, datetime.now(UTC) + timedelta(minutes=10), attendee, **fields)
    return provider.issue_token(session, request).token


def twirp(code, message="", status=503):
    return reply(status, json.dumps({"code": code, "msg": message}).encode())


def there(provider, session):
    return [one.attendee for one in provider.list_connections(session).connections]


# --- rooms ----------------------------------------------------------------------------------------------------------


def test_options_decide_on_the_room(provider, livekit_standin):
    options = provider.options_schema().load({"maxParticipants": 2, "departureTimeoutSeconds": 60})
    session = provider.ensure_session(SessionRequest("m2", options=options))
    info = livekit_standin.world.rooms[session.session_id].info
    assert (info.max_participants, info.departure_timeout, info.empty_timeout) == (2, 60, 300)


def test_options_hold_in_the_room_that_a_later_join_opens(provider, livekit_standin):
    options = {"maxParticipants": 1}
    session = provider.ensure_session(SessionRequest("m2", options=options))
    livekit_standin.advance(400)
    assert livekit_standin.world.rooms == {}
    livekit_standin.join(token(provider, session, options=options))
    with pytest.raises(Refused):
        livekit_standin.join(token(provider, session, options=options))


@pytest.mark.parametrize(
    "options",
    [
        {"maxParticipants": 0},
        {"maxParticipants": "3"},
        {"maxParticipants": True},
        {"emptyTimeoutSeconds": -1},
        {"x": 1},
    ],
)
def test_unknown_or_invalid_options_are_refused(provider, options):
    assert provider.options_schema().validate(options)


def test_room_that_a_restart_lost_opens_again(provider, livekit_standin, session):
    livekit_standin.join(token(provider, session))
    livekit_standin.world.restart()
    assert there(provider, session) == []
    livekit_standin.join(token(provider, session, "bob"))
    assert there(provider, session) == ["bob"]


def test_subscriber_cannot_publish(provider, livekit_standin, session):
    participant = livekit_standin.join(token(provider, session, role=Role.SUBSCRIBER))
    with pytest.raises(Refused):
        livekit_standin.publish(participant.sid)


# --- people ---------------------------------------------------------------------------------------------------------


def test_roster_leaves_out_all_but_people(provider, livekit_standin, session):
    livekit_standin.join(token(provider, session))
    livekit_standin.join(token(provider, session, "carol"), aborted=True)
    for kind, identity in (("EGRESS", "EG_1"), ("AGENT", "agent-AJ_1"), ("SIP", "sip_+1555"), ("INGRESS", "in#4f2c9a")):
        livekit_standin.world.enter_by_itself(session.session_id, kind, identity)
    livekit_standin.world.enter_by_itself(session.session_id, "STANDARD", "other-software")
    roster = provider.list_connections(session)
    assert [one.attendee for one in roster.connections] == ["ann"]
    assert roster.complete


def test_large_roster_is_read_whole(make_provider, make_livekit_standin):
    livekit_standin = make_livekit_standin()
    provider = make_provider(livekit_standin)
    session = provider.ensure_session(SessionRequest("large"))
    for number in range(600):
        participant = livekit_standin.join(token(provider, session, f"person-{number}@example.org", name="N" * 80))
        livekit_standin.publish(participant.sid)
        livekit_standin.publish(participant.sid, audio=True)
    assert len(provider.list_connections(session).connections) == 600


def test_only_the_removed_connection_leaves(provider, livekit_standin, session):
    ann, bob = (livekit_standin.join(token(provider, session, who)) for who in ("ann", "bob"))
    provider.disconnect(session, ann.sid)
    assert there(provider, session) == ["bob"]
    provider.disconnect(session, ann.sid)
    provider.disconnect(session, bob.sid)
    assert there(provider, session) == []


def test_removed_person_comes_back_with_a_new_token(provider, livekit_standin, session):
    former = token(provider, session)
    provider.disconnect(session, livekit_standin.join(former).sid)
    livekit_standin.join(token(provider, session))
    if livekit_standin.switches.cloud:
        with pytest.raises(Refused):
            livekit_standin.join(former)
    else:
        livekit_standin.join(former)


def test_mute_of_one_who_has_just_left_succeeds(provider, livekit_standin, session):
    ann = livekit_standin.join(token(provider, session))
    livekit_standin.publish(ann.sid)
    livekit_standin.faults["RoomService/MutePublishedTrack"] = [twirp("unavailable", "no response from servers")]
    provider.mute(session, ann.sid, {})


def test_mute_of_all_goes_on_where_it_broke_off(provider, livekit_standin, session):
    people = [livekit_standin.join(token(provider, session, f"p{number}")).sid for number in range(12)]
    for sid in people:
        livekit_standin.publish(sid)
    fine = livekit_standin.api.answer
    calls = []

    def failing(request):
        calls.append(request.path)
        if len(calls) > 5:
            return Reply(400, "application/json", b'{"code":"invalid_argument","msg":"broken"}')
        return fine(request)

    livekit_standin.api.answer = failing
    with pytest.raises(PartlyMuted) as raised:
        provider.mute(session, None, {})
    assert raised.value.outcome_unknown
    livekit_standin.api.answer = fine
    muted = sum(livekit_standin.is_muted(sid) for sid in people)
    assert 0 < muted < len(people)
    livekit_standin.received.clear()
    provider.mute(session, None, {})
    assert all(livekit_standin.is_muted(sid) for sid in people)
    assert sum("Mute" in request.path for request in livekit_standin.received) == len(people) - muted


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (reply(404, b"<html>nothing here</html>"), ProviderRejected),
        (twirp("bad_route", "no handler", 404), ProviderRejected),
        (twirp("not_found", "requested room does not exist", 404), ProviderResourceNotFound),
        (twirp("deadline_exceeded", "request timed out", 408), ProviderTimeout),
        (reply(408), ProviderTimeout),
        (reply(401, b"invalid API key", headers={"Content-Type": "text/plain"}), ProviderAuthFailed),
        (twirp("unauthenticated", "permissions denied", 401), ProviderAuthFailed),
        (twirp("unavailable", "no response from servers"), ProviderUnavailable),
        (reply(200, b'{"name": "another"}'), ProviderBadResponse),
        (reply(200, b"[]"), ProviderBadResponse),
    ],
)
def test_error_of_the_server_has_its_class(provider, livekit_standin, fault, error):
    livekit_standin.faults["RoomService/CreateRoom"] = 3 * [fault]
    with pytest.raises(error):
        provider.ensure_session(SessionRequest("m1"))


def test_servers_message_reaches_the_log_and_not_the_caller(provider, livekit_standin):
    livekit_standin.faults["RoomService/CreateRoom"] = [twirp("invalid_argument", "name is odd", 400)]
    with pytest.raises(ProviderRejected) as raised:
        provider.ensure_session(SessionRequest("m1"))
    assert raised.value.provider_message == "name is odd"
    assert "odd" not in raised.value.detail


def test_roster_of_a_server_that_is_not_livekit_is_an_error(provider, livekit_standin, session):
    livekit_standin.faults["RoomService/ListParticipants"] = [reply(404, b"no such page")]
    with pytest.raises(ProviderRejected):
        provider.list_connections(session)


def test_request_says_how_long_it_waits(provider, livekit_standin):
    with provider_deadline(2):
        provider.check()
    [request] = livekit_standin.received
    assert 0 < int(request.headers["x-twirp-timeout-ms"]) <= 2000


def test_wrong_secret_is_reported_by_check(make_provider, livekit_standin):
    from videoconf.providers import Secret

    wrong = make_provider(livekit_standin, api_secret=Secret("another-secret-of-32-characters-or-more!"))
    with pytest.raises(ProviderAuthFailed) as raised:
        wrong.check()
    assert raised.value.provider_message.startswith("invalid token: ***")  # the server repeats the token


def test_token_request_of_odd_length_is_refused_before_a_call(provider, livekit_standin, session):
    before = len(livekit_standin.received)
    with pytest.raises(ValidationFailed):
        token(provider, session, "a" * 1000, name="👩" * 255, data="👩" * 1000)
    assert len(livekit_standin.received) == before
