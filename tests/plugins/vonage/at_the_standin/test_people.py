"""The roster, disconnecting and muting, at a stand-in for Vonage."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.plugins.vonage.at_the_standin.steps import in_world, join, requests
from tools.vonage_standin import faults
from videoconf.errors import (
    ProviderConflict,
    ProviderRejected,
)
from videoconf.providers import (
    SessionRef,
)


def test_token_admits_its_bearer_and_names_them(standin, provider, session):
    connection = join(standin, provider, session, attendee="u-7", name="Ada")
    assert connection.data == 'videoconf:1:{"attendee":"u-7","name":"Ada"}'
    assert join(standin, provider, session, data="role=doctor").data == "role=doctor"


def test_roster_lists_connected_participants(standin, provider, session):
    assert (list(provider.list_connections(session).connections), provider.list_connections(session).complete) == (
        [],
        True,
    )
    stays, leaves = (join(standin, provider, session) for _ in range(2))
    standin.disconnect(leaves)
    roster = provider.list_connections(session)
    assert [one.connection_id for one in roster.connections] == [stays.connection_id]
    assert roster.connections[0].connected_at == datetime.fromtimestamp(stays.created_ms / 1000, UTC)
    assert roster.complete


def test_roster_omits_disconnected_and_reports_incompleteness(standin, provider, session):
    stays, fades = (join(standin, provider, session) for _ in range(2))
    stays.state, fades.state = "Connecting", "Disconnected"
    assert [one.connection_id for one in provider.list_connections(session).connections] == [stays.connection_id]

    def miss_one(answer):
        document = json.loads(answer.body)
        return type(answer)(200, json.dumps({**document, "items": document["items"][:1]}).encode(), answer.content_type)

    standin.faults.add("GET", "/connection$", faults.Fault(change=miss_one))
    assert not provider.list_connections(session).complete


def test_unknown_session_has_an_empty_roster(provider, session):
    unknown = SessionRef(session.account, session.session_id + "x")
    assert provider.list_connections(unknown).connections == []
    provider.end_session(unknown, ["c"])
    provider.disconnect(unknown, "c")
    provider.mute(unknown, None, {})
    provider.mute(unknown, "c", {"c": ["s"]})
    assert provider.list_archives(unknown) == []


def test_disconnecting_twice_is_success(standin, provider, session):
    connection = join(standin, provider, session)
    for _ in range(2):
        provider.disconnect(session, connection.connection_id)
    assert in_world(standin, session).connections == {}


def test_mute_of_all_mutes_each_present_stream(standin, provider, session):
    people = [join(standin, provider, session) for _ in range(2)]
    streams = [standin.publish(one) for one in people]
    provider.mute(session, None, {})
    assert all(stream.muted for stream in streams)
    assert not standin.publish(people[0], video_type="screen").muted


@pytest.fixture
def ann(standin, provider, session):
    return join(standin, provider, session)


@pytest.fixture
def bob(standin, provider, session):
    return join(standin, provider, session)


def told_of(*streams):
    """Give streams as the core knows them when their callbacks have come."""
    known = {}
    for stream in streams:
        known.setdefault(stream.connection.connection_id, []).append(stream.stream_id)
    return known


def test_mute_covers_all_streams_of_one_participant_alone(standin, provider, session, ann, bob):
    camera, screen = standin.publish(ann), standin.publish(ann, video_type="screen")
    other = standin.publish(bob)
    for _ in range(2):
        provider.mute(session, ann.connection_id, told_of(camera, screen, other))
        assert (camera.muted, screen.muted, other.muted) == (True, True, False)
    path = f"/session/{session.session_id}/stream/{camera.stream_id}/mute"
    assert [one.body for one in requests(standin, "POST", path)] == [b"", b""]
    assert not standin.publish(bob).muted, "later participants are not muted"


@pytest.mark.parametrize("status", [404, 400])
def test_mute_skips_a_gone_stream_and_mutes_the_next(standin, provider, session, ann, status):
    standin.switches.mute_of_gone_stream_status = status
    gone, camera = standin.publish(ann), standin.publish(ann)
    known = told_of(gone, camera)
    standin.unpublish(gone)
    provider.mute(session, ann.connection_id, known)
    assert camera.muted


def test_refused_mute_of_a_present_stream_is_an_error(standin, provider, session, ann):
    camera = standin.publish(ann)
    standin.faults.add("POST", "/mute$", faults.error(400))
    with pytest.raises(ProviderRejected):
        provider.mute(session, ann.connection_id, told_of(camera))


def test_unlisted_stream_is_muted(standin, provider, session, ann):
    camera = standin.publish(ann)
    nothing = faults.Fault(change=lambda answer: type(answer)(200, b'{"count":0,"items":[]}', answer.content_type))
    standin.faults.add("GET", "/stream$", nothing)
    provider.mute(session, ann.connection_id, told_of(camera))
    assert camera.muted


def test_participant_without_streams_counts_as_muted(standin, provider, session, ann, bob):
    other = standin.publish(bob)
    for connection_id in (ann.connection_id, "left-long-ago", "no/id"):
        provider.mute(session, connection_id, told_of(other))
    assert not other.muted
    assert requests(standin, "POST", "/mute") == []


def test_mute_reports_streams_without_a_callback(standin, provider, session, ann, bob):
    camera = standin.publish(ann)
    late = standin.publish(bob)
    with pytest.raises(ProviderConflict, match="not told yet") as nothing_done:
        provider.mute(session, bob.connection_id, told_of(camera))
    assert not nothing_done.value.outcome_unknown
    assert (camera.muted, late.muted) == (False, False)
    with pytest.raises(ProviderConflict, match="is known to publish is muted") as partly:
        provider.mute(session, ann.connection_id, told_of(camera))
    assert partly.value.outcome_unknown, "so that the audit trail tells of it"
    assert (camera.muted, late.muted) == (True, False)
    provider.mute(session, bob.connection_id, told_of(camera, late))
    assert late.muted


def test_incomplete_list_of_streams_proves_no_mute(standin, provider, session, ann, bob):
    camera = standin.publish(ann)

    def miss_one(answer):
        document = json.loads(answer.body)
        return type(answer)(200, json.dumps({**document, "count": 2}).encode(), answer.content_type)

    standin.faults.add("GET", "/stream$", faults.Fault(change=miss_one))
    with pytest.raises(ProviderConflict):
        provider.mute(session, bob.connection_id, told_of(camera))


@pytest.mark.parametrize("id", [None, 7, [], {}, "new"], ids=repr)
def test_listed_stream_without_a_usable_id_is_unknown(standin, provider, session, ann, id):
    body = json.dumps({"count": 1, "items": [{"id": id}]}).encode()
    listed = faults.Fault(change=lambda answer: type(answer)(200, body, answer.content_type))
    standin.faults.add("GET", "/stream$", listed)
    with pytest.raises(ProviderConflict):
        provider.mute(session, ann.connection_id, {})
