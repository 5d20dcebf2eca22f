from datetime import timedelta

import pytest

from videoconf.errors import ConfigurationError, ProviderConflict, ProviderRejected, ProviderResourceNotFound
from videoconf.providers import (
    INTERFACES,
    ArchiveRequest,
    Capability,
    EventKind,
    Role,
    Secret,
    SessionRef,
    SessionRequest,
    StreamState,
    TokenRequest,
)


def test_every_capability_is_declared_and_implemented(provider):
    assert all(capability in provider.capabilities for capability in Capability)
    assert all(isinstance(provider, interface) for interface in INTERFACES.values())


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({"token_secret": Secret("short-and-private")}, "VIDEOCONF_FAKE_TOKEN_SECRET"),
        ({"webhook_secrets": ()}, "VIDEOCONF_FAKE_WEBHOOK_SECRETS"),
        ({"webhook_secrets": (Secret("whsec_private!"),)}, "VIDEOCONF_FAKE_WEBHOOK_SECRETS"),
        ({"webhook_secrets": (Secret("whsec_cHJpdmF0ZQ=="),)}, "VIDEOCONF_FAKE_WEBHOOK_SECRETS"),
        ({"webhook_secrets": (Secret("whsec_priva!" + "a" * 43),)}, "VIDEOCONF_FAKE_WEBHOOK_SECRETS"),
        ({"webhook_secrets": (Secret("cHJpdmF0ZQ" * 8),)}, "VIDEOCONF_FAKE_WEBHOOK_SECRETS"),
        ({"webhook_secrets": (Secret("whsec_privaté" + "a" * 32),)}, "VIDEOCONF_FAKE_WEBHOOK_SECRETS"),
        ({"webhook_url": "private:8000"}, "VIDEOCONF_FAKE_WEBHOOK_URL"),
        ({"state": "/nowhere/at/all/private.db"}, "VIDEOCONF_FAKE_STATE"),
    ],
)
def test_unusable_setting_is_named_without_its_value(make_provider, settings, variable):
    with pytest.raises(ConfigurationError) as refused:
        make_provider(**settings)
    assert [variable in fault for fault in refused.value.faults] == [True]
    assert "priva" not in str(refused.value)
    assert "cHJp" not in str(refused.value)


def test_all_faults_are_reported_at_once(make_provider):
    with pytest.raises(ConfigurationError) as refused:
        make_provider(webhook_secrets=(Secret("x"), Secret("y")), token_secret=Secret(""))
    assert len(refused.value.faults) == 3


def test_a_meeting_has_one_session_wherever_it_is_asked_for(make_provider):
    sessions = {make_provider().ensure_session(SessionRequest("m")) for _ in range(3)}
    assert len(sessions) == 1
    provider = make_provider()
    assert provider.ensure_session(SessionRequest("m")) == provider.ensure_session(SessionRequest("m"))
    assert make_provider(seed=2).ensure_session(SessionRequest("m")) not in sessions
    assert make_provider().ensure_session(SessionRequest("other")) not in sessions


def test_encryption_and_archiving_exclude_each_other(provider):
    with pytest.raises(ProviderRejected):
        provider.ensure_session(SessionRequest("m", archiving=True, end_to_end_encryption=True))


def test_join_and_leave_carry_the_claims_of_the_token(provider, control, session, told, clock, token_for):
    joined_at = clock()
    connection = control.join(token_for(provider, session, "ann", name="Ann", data="d"))
    clock.step(seconds=5)
    control.leave(connection)
    joined, left = told()
    assert (joined.kind, left.kind) == (EventKind.JOINED, EventKind.LEFT)
    for event in (joined, left):
        assert (event.session_id, event.connection_id) == (session.session_id, connection)
        assert (event.attendee, event.name, event.connected_at) == ("ann", "Ann", joined_at)
    assert (joined.at, left.at, left.reason) == (joined_at, joined_at + timedelta(seconds=5), "left")
    assert provider.list_connections(session).connections == []


def test_data_alone_names_the_attendee(provider, control, session, told, token_for):
    control.join(token_for(provider, session, None, data="u-7"))
    control.join(token_for(provider, session, "ann", data="u-7"))
    control.join(token_for(provider, session, None))
    assert [event.attendee for event in told()] == ["u-7", "ann", None]


def test_one_attendee_may_have_two_connections(provider, control, session, token_for):
    token = token_for(provider, session)
    first, second = control.join(token), control.join(token)
    assert first != second
    control.leave(first)
    assert [one.connection_id for one in provider.list_connections(session).connections] == [second]


def test_lost_network_is_the_reason_of_the_leave(control, connection, told):
    control.drop(connection)
    assert told()[-1].reason == "network"


def test_anonymous_person_joins_by_session(control, session, told):
    control.join_anonymously(session.session_id)
    (joined,) = told()
    assert (joined.kind, joined.attendee) == (EventKind.JOINED, None)


def test_connection_that_left_cannot_leave_again(control, connection, told):
    control.leave(connection)
    told()
    for act in (control.leave, control.drop, control.publish, control.unpublish):
        with pytest.raises(ProviderResourceNotFound):
            act(connection)
    assert told() == []


def test_streams_are_activity_and_never_end_a_connection(provider, control, session, connection, told):
    told()
    control.publish(connection)
    control.publish(connection)
    provider.mute(session, connection, {})
    provider.mute(session, None, {})
    control.unpublish(connection)
    events = told()
    assert [(event.kind, event.connection_id) for event in events] == [(EventKind.ACTIVITY, connection)] * 3
    assert [event.stream for event in events] == [StreamState("camera", there) for there in (True, True, False)]
    assert len(provider.list_connections(session).connections) == 1
    with pytest.raises(ProviderResourceNotFound):
        control.unpublish(connection)


def test_muting_reaches_only_its_session(provider, control, session, told, token_for):
    elsewhere = provider.ensure_session(SessionRequest("other"))
    here = [control.join(token_for(provider, session, name)) for name in ("ann", "bob")]
    there = control.join(token_for(provider, elsewhere))
    for connection in (*here, there):
        control.publish(connection)
    told()
    for nobody_here in (there, "unknown"):
        provider.mute(session, nobody_here, {nobody_here: ["camera"]})
    assert told() == []
    provider.mute(session, None, {})
    assert [event.connection_id for event in told()] == here


def test_a_subscriber_does_not_publish(provider, control, session, token_for):
    connection = control.join(token_for(provider, session, role=Role.SUBSCRIBER))
    with pytest.raises(ProviderRejected):
        control.publish(connection)


def test_disconnecting_is_idempotent_and_reaches_one_person(provider, control, session, connection, told):
    other = control.join_anonymously(session.session_id)
    told()
    provider.disconnect(provider.ensure_session(SessionRequest("other")), connection)
    assert told() == []
    provider.disconnect(session, connection)
    provider.disconnect(session, connection)
    provider.disconnect(session, "fc_unknown")
    (left,) = told()
    assert (left.kind, left.connection_id, left.reason) == (EventKind.LEFT, connection, "forced")
    assert [one.connection_id for one in provider.list_connections(session).connections] == [other]


def test_ending_reports_every_leave_and_stops_archives_once(provider, control, session, told, token_for):
    connections = [control.join(token_for(provider, session, name)) for name in ("ann", "bob")]
    archive = provider.start_archive(session, ArchiveRequest())
    told()
    provider.end_session(session, connections[:1])
    events = told()
    assert [(event.connection_id, event.reason) for event in events[:2]] == [(one, "forced") for one in connections]
    assert [event.archive.provider_status for event in events[2:]] == ["stopped"]
    assert provider.get_archive(archive.archive_id).provider_status == "stopped"
    provider.end_session(session, connections)
    provider.end_session(SessionRef("fake", "fs_unknown"), ["fc_unknown"])
    assert told() == []


def test_ended_session_opens_only_for_a_valid_token(provider, control, session, clock, token_for):
    token = token_for(provider, session)
    provider.end_session(session, [])
    with pytest.raises(ProviderConflict):
        control.join_anonymously(session.session_id)
    control.join(token)
    clock.step(hours=1)
    with pytest.raises(ProviderRejected) as expired:
        control.join(token)
    assert expired.value.provider_code == "token_expired"


def test_closing_a_session_reports_no_leaves(provider, control, session, connection, told):
    told()
    control.close_session(session.session_id)
    (closed,) = told()
    assert (closed.kind, closed.session_id) == (EventKind.SESSION_CLOSED, session.session_id)
    assert provider.list_connections(session).connections == []
    control.join_anonymously(session.session_id)


def test_a_session_that_never_ran_has_an_empty_complete_roster(provider):
    roster = provider.list_connections(SessionRef("fake", "fs_unknown"))
    assert (list(roster.connections), roster.complete) == ([], True)


@pytest.mark.parametrize("word", ["", "a b", "a\nb", "\x00", "\ud800", "ä", "x" * 65])
def test_typed_words_are_checked(control, connection, word):
    for act in (control.leave, control.publish, control.unpublish):
        with pytest.raises(ProviderRejected):
            act(connection, word)


def test_tampered_token_is_refused(provider, control, session, make_provider, token_for):
    foreign = make_provider(token_secret=Secret("f" * 32))
    unsigned = "eyJhbGciOiJub25lIn0.eyJzZXNzaW9uIjoieCJ9."
    for token in (token_for(foreign, session), token_for(provider, session)[:-2], unsigned, "", "ä", "\ud800", "a.b.c"):
        with pytest.raises(ProviderRejected) as refused:
            control.join(token)
        assert refused.value.provider_code == "token_invalid"


def test_a_token_of_an_unknown_session_finds_nothing(provider, control, token_for):
    with pytest.raises(ProviderResourceNotFound):
        control.join(token_for(provider, SessionRef("fake", "fs_unknown")))


def test_token_has_a_longest_life_and_longest_data(provider, session, clock):
    def issue(lives_for=timedelta(hours=1), **fields):
        return provider.issue_token(session, TokenRequest(Role.MODERATOR, clock() + lives_for, **fields))

    for lives_for in (timedelta(0), timedelta(seconds=-1), timedelta(days=30, seconds=1)):
        with pytest.raises(ProviderRejected):
            issue(lives_for)
    issue(timedelta(days=30))
    issue(data="ü" * 1000)
    with pytest.raises(ProviderRejected):
        issue(data="u" * 1001)
    issued = issue()
    assert issued.expires_at == clock() + timedelta(hours=1)
    assert session.session_id in issued.connect["url"]
