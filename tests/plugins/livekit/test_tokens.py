"""Join tokens: LiveKit's own verifier takes them, they let in whom they name, and they fit into a URL."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livekit.api import TokenVerifier

from videoconf.errors import ProviderAuthFailed, ValidationFailed
from videoconf.providers import Role, SessionRef, TokenRequest
from videoconf_livekit.identity import LONGEST_BYTES, find_bearer
from videoconf_livekit.tokens import LONGEST_TOKEN

text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=60)


@pytest.fixture
def standin(make_livekit_standin):
    return make_livekit_standin()


@pytest.fixture
def provider(make_provider, standin):
    return make_provider(standin)


@pytest.fixture
def session(provider):
    return SessionRef(provider.account, "videoconf-m1")


def wanted(role=Role.PUBLISHER, minutes=10, **fields):
    return TokenRequest(role, datetime.now(UTC) + timedelta(minutes=minutes), **fields)


def official(standin, token):
    return TokenVerifier(standin.api_key, standin.api_secret).verify(token)


@given(
    attendee=st.none() | text,
    name=st.none() | text,
    data=st.none() | text,
    role=st.sampled_from(Role),
    options=st.sampled_from(({}, {"maxParticipants": 3}, {"departureTimeoutSeconds": 60, "emptyTimeoutSeconds": 5})),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_official_verifier_reads_the_requested_claims(standin, provider, session, attendee, name, data, role, options):
    issued = provider.issue_token(session, wanted(role, attendee=attendee, name=name, data=data, options=options))
    claims = official(standin, issued.token)
    assert find_bearer(claims.identity, claims.attributes).attendee == attendee
    assert (claims.name, claims.metadata) == (name or "", data or "")
    video = claims.video
    assert (video.room_join, video.room, video.can_subscribe) == (True, session.session_id, True)
    assert video.can_publish is video.can_publish_data is (role is not Role.SUBSCRIBER)
    assert not any([video.room_admin, video.room_create, video.can_update_own_metadata, video.hidden])
    found = claims.room_config
    assert (found.max_participants if found else 0) == options.get("maxParticipants", 0)
    assert (found.departure_timeout if found else 0) == options.get("departureTimeoutSeconds", 0)


@given(attendee=st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=300))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_attendee_comes_back_from_the_room(standin, provider, session, attendee):
    participant = standin.join(provider.issue_token(session, wanted(attendee=attendee)).token)
    assert len(participant.identity.encode()) <= LONGEST_BYTES
    found = {one.connection_id: one.attendee for one in provider.list_connections(session).connections}
    assert found[participant.sid] == attendee


def test_two_tokens_of_one_person_are_two_connections(standin, provider, session):
    tokens = [provider.issue_token(session, wanted(attendee="ann")).token for _ in range(2)]
    sids = {standin.join(token).sid for token in tokens}
    assert {one.connection_id for one in provider.list_connections(session).connections} == sids


def test_one_token_used_twice_leaves_the_newer_connection(standin, provider, session):
    token = provider.issue_token(session, wanted(attendee="ann")).token
    first, second = standin.join(token).sid, standin.join(token).sid
    assert first != second
    assert [one.connection_id for one in provider.list_connections(session).connections] == [second]


@pytest.mark.parametrize("attendee", ["ann#aaaaaa", "#4f2c9a", "ann#", "agent-AJ_1", "EG_x#y", "a" * 255])
def test_attendee_of_any_form_is_read_back(attendee, provider, session, standin):
    standin.join(provider.issue_token(session, wanted(attendee=attendee)).token)
    assert [one.attendee for one in provider.list_connections(session).connections] == [attendee]


@pytest.mark.parametrize(
    "identity", ["agent-AJ_9sWq3ErT", "EG_yXb6exp4bnwW", "sip_+15550100", "ann", "ann#xyz", "", None]
)
def test_identity_of_another_form_is_not_a_person(identity):
    assert find_bearer(identity, {"videoconf.attendee": "ann"}) is None


def test_token_says_where_to_connect(provider, session, make_provider, standin):
    assert provider.issue_token(session, wanted()).connect == {"url": standin.url.replace("http", "ws")}
    elsewhere = make_provider(standin, client_url="https://rtc.example/base/", account=provider.account)
    issued = elsewhere.issue_token(session, wanted(end_to_end_encryption=True))
    assert issued.connect == {"url": "wss://rtc.example/base", "endToEndEncryption": True}


def test_longest_texts_fit_into_a_url(provider, session):
    issued = provider.issue_token(session, wanted(attendee="d" * 1000, name="n" * 255, data="d" * 1000))
    assert len(issued.token) < LONGEST_TOKEN


def test_token_too_long_for_a_url_is_refused(provider, session):
    with pytest.raises(ValidationFailed) as raised:
        provider.issue_token(session, wanted(attendee="é" * 900, name="👩" * 255, data="👩" * 1000))
    assert list(raised.value.errors) == ["data"]


def test_session_of_another_deployment_is_refused(provider):
    with pytest.raises(ProviderAuthFailed):
        provider.issue_token(SessionRef("other.example", "videoconf-m1"), wanted())
