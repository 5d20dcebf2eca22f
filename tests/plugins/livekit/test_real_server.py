"""The provider kit, and what the stand-in asserts, on a real ``livekit-server``."""

import json
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import urllib3
from livekit.api import LiveKitAPI, TokenVerifier, WebhookReceiver

from tests.plugins.livekit.browser_sdk import SDK_SETTINGS
from tests.plugins.livekit.conftest import settings_of
from tests.plugins.livekit.real_server import RealServer, needs_a_real_server
from tests.plugins.livekit.test_kit_livekit import LiveKitKit
from videoconf.errors import ProviderError, ProviderResourceNotFound
from videoconf.providers import (
    ArchiveRequest,
    EventKind,
    Role,
    SessionRef,
    SessionRequest,
    TokenRequest,
    WebhookRequest,
)
from videoconf_livekit.provider import LiveKitProvider


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    needs_a_real_server()
    with RealServer(tmp_path_factory.mktemp("livekit")) as server:
        yield server


class TestRealServer(LiveKitKit):
    """The kit at the real server. It has no recorder, so it records nothing."""

    cloud = False

    @pytest.fixture
    def standin(self, server):
        return server

    @pytest.fixture
    def provider(self, harness, standin):
        self.server = standin
        settings = settings_of(standin, room_prefix="vc-", recording=False, **SDK_SETTINGS)
        provider = LiveKitProvider.create(settings, harness.context)
        yield provider
        for name in ("kit-meeting", "kit-meeting_2-x", "kit-empty"):
            provider.end_session(SessionRef(provider.account, f"vc-{name}"), [])
        provider.close()

    def join(self, provider, session, join):
        return self.server.people.join(join.token)

    def attendee_of(self, provider, session, join):
        """Join, and return whom the server's list of participants names."""
        sid = self.server.people.join(join.token)
        [found] = [one for one in provider.list_connections(session).connections if one.connection_id == sid]
        return found.attendee

    def role_of(self, provider, session, join):
        sid = self.server.people.join(join.token)
        [found] = [one for one in provider.participants(session) if one["sid"] == sid]
        return Role.PUBLISHER if found["permission"]["can_publish"] else Role.SUBSCRIBER

    def is_admitted(self, provider, session, join, at):
        """Ask the server about the same token issued that much earlier: the server's clock cannot be moved."""
        claims = jwt.decode(join.token, self.server.api_secret, ["HS256"], options={"verify_exp": False})
        earlier = round(at.timestamp() - time.time())
        claims |= {name: claims[name] - earlier for name in ("nbf", "exp")}
        token = jwt.encode(claims, self.server.api_secret, "HS256")
        url = f"{self.server.url}/rtc/validate?access_token={token}"
        return urllib3.request("GET", url, retries=False, timeout=10).status == 200

    def publish(self, provider, session, connection_id):
        return self.server.people.publish(connection_id)

    def is_muted(self, provider, session, connection_id):
        for participant in provider.participants(session):
            if participant["sid"] == connection_id:
                return all(track["muted"] for track in participant["tracks"])
        raise AssertionError("the participant has left")


@pytest.fixture
def provider(make_provider, server):
    return make_provider(server, recording=False)


@pytest.fixture
def session(provider, request):
    session = provider.ensure_session(SessionRequest(request.node.name.replace("[", "-").replace("]", "")[:64]))
    yield session
    provider.end_session(session, [])


def token(provider, session, attendee="ann", **fields):
    request = TokenRequest(Role.PUBLISHER, datetime.now(UTC) + timedelta(minutes=10), attendee, **fields)
    return provider.issue_token(session, request).token


def events_of(provider, headers, body):
    """Return what a webhook says, once we and LiveKit's own receiver have accepted it."""
    request = WebhookRequest("session", "POST", "https://x.example", headers, body, datetime.now(UTC))
    provider.verify_webhook(request)
    settings = provider.settings
    receiver = WebhookReceiver(TokenVerifier(settings.api_key, settings.api_secret.reveal()))
    receiver.receive(body.decode(), headers["authorization"])
    [event] = provider.parse_webhook(request)
    return event


def test_webhooks_of_a_visit_are_accepted_and_read(provider, session, server):
    sid = server.people.join(token(provider, session, "ann@example.org", name="Ann Ångström", data="free text"))
    joined = events_of(provider, *server.receiver.wait_for("participant_joined", sid=sid))
    track = server.people.publish(sid)
    headers, body = server.receiver.wait_for("track_published", sid=sid)
    published = events_of(provider, headers, body)
    assert json.loads(body)["track"]["sid"] == track
    server.people.leave(sid)
    left = events_of(provider, *server.receiver.wait_for("participant_left", sid=sid))

    kinds = [event.kind for event in (joined, published, left)]
    assert kinds == [EventKind.JOINED, EventKind.ACTIVITY, EventKind.LEFT]
    assert {event.session_id for event in (joined, published, left)} == {session.session_id}
    assert {event.attendee for event in (joined, published, left)} == {"ann@example.org"}
    assert {event.connection_id for event in (joined, published, left)} == {sid}
    assert (joined.name, left.reason) == ("Ann Ångström", "client_initiated")
    assert joined.connected_at == left.connected_at
    assert joined.connected_at <= joined.at <= left.at


def test_roster_agrees_with_the_webhooks(provider, session, server):
    sid = server.people.join(token(provider, session, "ann", name="Ann"))
    joined = events_of(provider, *server.receiver.wait_for("participant_joined", sid=sid))
    [found] = provider.list_connections(session).connections
    assert (found.connection_id, found.attendee, found.name) == (sid, "ann", "Ann")
    assert found.connected_at == joined.connected_at


def test_removal_is_reported_with_its_reason(provider, session, server):
    sid = server.people.join(token(provider, session))
    server.receiver.wait_for("participant_joined", sid=sid)
    provider.disconnect(session, sid)
    left = events_of(provider, *server.receiver.wait_for("participant_left", sid=sid))
    assert left.reason == "participant_removed"
    assert provider.list_connections(session).connections == []


def test_token_used_twice_ends_the_older_connection(provider, session, server):
    one = token(provider, session)
    first, second = server.people.join(one), server.people.join(one)
    left = events_of(provider, *server.receiver.wait_for("participant_left", sid=first))
    assert left.reason == "duplicate_identity"
    assert [found.connection_id for found in provider.list_connections(session).connections] == [second]


def test_end_of_the_session_is_reported(provider, session, server):
    sid = server.people.join(token(provider, session))
    server.receiver.wait_for("participant_joined", sid=sid)
    provider.end_session(session, [])
    left = events_of(provider, *server.receiver.wait_for("participant_left", sid=sid))
    assert left.reason == "room_deleted"
    closed = events_of(provider, *server.receiver.wait_for("room_finished", room=session.session_id))
    assert (closed.kind, closed.session_id) == (EventKind.SESSION_CLOSED, session.session_id)


def test_options_decide_on_the_room(provider, server):
    options = {"maxParticipants": 1, "departureTimeoutSeconds": 1, "emptyTimeoutSeconds": 60}
    session = provider.ensure_session(SessionRequest("with-options", options=options))
    sid = server.people.join(token(provider, session, options=options))
    with pytest.raises(server.people.refusal):
        server.people.join(token(provider, session, options=options))
    server.people.leave(sid)
    provider.end_session(session, [])


def test_token_alone_opens_the_room_with_its_options(provider, server):
    session = SessionRef(provider.account, "videoconf-opened-by-a-token")
    server.people.join(token(provider, session, options={"maxParticipants": 7}))
    [room] = [room for room in _rooms(provider) if room["name"] == session.session_id]
    assert room["max_participants"] == 7
    provider.end_session(session, [])


def test_server_without_redis_records_nothing(make_provider, session, server):
    recording = make_provider(server, recording=True)
    with pytest.raises(ProviderError):
        recording.list_archives(session)
    server.people.join(token(recording, session))
    with pytest.raises(ProviderError):
        recording.start_archive(session, ArchiveRequest())


def test_missing_room_has_an_empty_roster(provider):
    assert provider.list_connections(SessionRef(provider.account, "videoconf-never-was")).connections == []
    with pytest.raises(ProviderResourceNotFound):
        provider.twirp.call(
            "RoomService/DeleteRoom", "room.delete", {"room": "videoconf-never-was"}, {"roomCreate": True}
        )


def test_restart_forgets_the_rooms(make_provider, tmp_path):
    needs_a_real_server()
    with RealServer(tmp_path) as server:
        provider = make_provider(server, recording=False)
        session = provider.ensure_session(SessionRequest("m1"))
        assert [room["name"] for room in _rooms(provider)] == [session.session_id]
        server.stop()
        server.start()
        assert _rooms(provider) == []
        server.people.join(token(provider, session))
        assert [one.attendee for one in provider.list_connections(session).connections] == ["ann"]


def test_official_sdk_and_we_see_the_same_room(provider, session, server):
    import asyncio

    sid = server.people.join(token(provider, session))

    async def ask():
        from livekit.api import ListParticipantsRequest

        async with LiveKitAPI(server.url, server.api_key, server.api_secret) as api:
            found = await api.room.list_participants(ListParticipantsRequest(room=session.session_id))
            return [(one.sid, one.identity.rpartition("#")[0]) for one in found.participants]

    assert asyncio.run(ask()) == [(sid, "ann")]


def _rooms(provider):
    return provider.twirp.list("rooms", "RoomService/ListRooms", "rooms", {}, {"roomList": True})[0]
