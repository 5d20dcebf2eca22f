"""Facts about LiveKit's server that the provider relies on: each holds of the stand-in and of a real server alike."""

import json
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import urllib3

from tests.plugins.livekit.real_server import RealServer, needs_a_real_server
from videoconf.providers import Role, SessionRequest, TokenRequest

ROOM = "videoconf-facts"


@pytest.fixture(scope="module")
def real_server(tmp_path_factory):
    needs_a_real_server()
    with RealServer(tmp_path_factory.mktemp("livekit")) as server:
        yield server


@pytest.fixture(params=["stand-in", "real server"])
def server(request, make_livekit_standin):
    if request.param == "stand-in":
        standin = make_livekit_standin(has_redis=False)
        standin.people = standin
        return standin
    return request.getfixturevalue("real_server")


def call(server, method, body, grants=None, *, secret=None, key=None, life=60, content_type="application/json"):
    """Call a method as any client of the server can; return status, content type and what the body says."""
    now = int(time.time())
    claims = {"iss": key or server.api_key, "nbf": now, "video": grants or {}}
    if life is not None:
        claims["exp"] = now + life
    token = jwt.encode(claims, secret or server.api_secret, "HS256")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
    url = f"{server.url}/twirp/livekit.{method}"
    answer = urllib3.request("POST", url, body=json.dumps(body), headers=headers, retries=False, timeout=30)
    kind = answer.headers["Content-Type"].partition(";")[0]
    return answer.status, kind, answer.json() if kind == "application/json" else answer.data.decode().strip()


CREATE, LIST, DELETE = "RoomService/CreateRoom", "RoomService/ListParticipants", "RoomService/DeleteRoom"
MAY_CREATE, MAY_ADMIN = {"roomCreate": True}, {"roomAdmin": True, "room": ROOM}
TEXT, JSON = "text/plain", "application/json"


@pytest.mark.parametrize(
    ("how", "status", "kind", "says"),
    [
        ({"key": "APIunknown"}, 401, TEXT, "invalid API key"),
        ({"secret": "another-secret-of-32-characters-or-more!"}, 401, TEXT, "invalid token: eyJ"),
        ({"life": -120}, 401, TEXT, "invalid token: eyJ"),
        ({"grants": {}}, 401, JSON, "permissions denied"),
        ({"grants": {"roomList": True}}, 401, JSON, "permissions denied"),
    ],
)
def test_token_without_the_grant_answers_401(server, how, status, kind, says):
    answer = call(server, CREATE, {"name": ROOM}, **{"grants": MAY_CREATE, **how})
    assert answer[:2] == (status, kind)
    assert says in (answer[2]["msg"] if kind == JSON else answer[2])


def test_expired_token_is_good_for_a_minute_more(server):
    assert call(server, CREATE, {"name": ROOM}, MAY_CREATE, life=-30)[0] == 200


def test_admin_of_one_room_is_refused_in_another(server):
    assert call(server, LIST, {"room": "videoconf-other"}, MAY_ADMIN)[0] == 401


def test_unknown_method_and_content_type_are_bad_routes(server):
    for answer in (
        call(server, "RoomService/Nothing", {}, MAY_CREATE),
        call(server, CREATE, {"name": ROOM}, MAY_CREATE, content_type="text/plain"),
    ):
        assert (answer[0], answer[2]["code"]) == (404, "bad_route")


def test_room_is_created_once(server):
    first, again = (call(server, CREATE, {"name": ROOM, "max_participants": n}, MAY_CREATE)[2] for n in (5, 6))
    assert first["sid"] == again["sid"]
    assert {"empty_timeout", "departure_timeout", "num_participants", "turn_password"} <= first.keys()
    assert call(server, DELETE, {"room": ROOM}, MAY_CREATE)[::2] == (200, {})
    status, _, said = call(server, DELETE, {"room": ROOM}, MAY_CREATE)
    assert (status, said["code"]) == (404, "not_found")
    assert call(server, CREATE, {"name": ROOM}, MAY_CREATE)[2]["sid"] != first["sid"]


def test_long_room_name_is_invalid(server):
    status, _, said = call(server, CREATE, {"name": "é" * 128}, MAY_CREATE)
    assert status == 200, "256 bytes are not too many"
    status, _, said = call(server, CREATE, {"name": "é" * 128 + "x"}, MAY_CREATE)
    assert (status, said["code"]) == (400, "invalid_argument")
    assert said["msg"] == "twirp error unknown: room name length exceeds limits: max length 256"


def test_missing_room_has_no_participants(server):
    assert call(server, LIST, {"room": "videoconf-missing"}, {"roomAdmin": True, "room": "videoconf-missing"}) == (
        200,
        JSON,
        {"participants": []},
    )


@pytest.mark.parametrize("method", ["RoomService/GetParticipant", "RoomService/RemoveParticipant"])
def test_absent_participant_is_not_found(server, method):
    call(server, CREATE, {"name": ROOM}, MAY_CREATE)
    status, _, said = call(server, method, {"room": ROOM, "identity": "absent"}, MAY_ADMIN)
    assert (status, said["code"]) == (404, "not_found")


def test_mute_of_an_absent_participant_is_503(server):
    call(server, CREATE, {"name": ROOM}, MAY_CREATE)
    body = {"room": ROOM, "identity": "absent", "track_sid": "TR_x", "muted": True}
    status, _, said = call(server, "RoomService/MutePublishedTrack", body, MAY_ADMIN)
    assert (status, said["code"]) == (503, "unavailable")


def test_participant_is_listed_with_tracks_to_mute(server, make_provider):
    provider = make_provider(server, recording=False)
    session = provider.ensure_session(SessionRequest("facts"))
    assert session.session_id == ROOM
    request = TokenRequest(Role.PUBLISHER, datetime.now(UTC) + timedelta(minutes=5), "ann", "Ann", "text")
    joined = server.people.join(provider.issue_token(session, request).token)
    sid = getattr(joined, "sid", joined)
    track = server.people.publish(sid)
    [found] = call(server, LIST, {"room": ROOM}, MAY_ADMIN)[2]["participants"]
    assert (found["sid"], found["state"], found["kind"]) == (sid, "ACTIVE", "STANDARD")
    assert (found["name"], found["metadata"]) == ("Ann", "text")
    assert int(found["joined_at_ms"]) // 1000 == int(found["joined_at"])
    assert [(one["sid"], one["muted"], one["encryption"]) for one in found["tracks"]] == [(track, False, "NONE")]
    body = {"room": ROOM, "identity": found["identity"], "track_sid": track, "muted": True}
    assert call(server, "RoomService/MutePublishedTrack", body, MAY_ADMIN)[2]["track"]["muted"] is True
    unknown = call(server, "RoomService/MutePublishedTrack", {**body, "track_sid": "TR_unknown"}, MAY_ADMIN)
    assert unknown == (200, JSON, {"track": None})
    status, _, said = call(server, "RoomService/MutePublishedTrack", {**body, "muted": False}, MAY_ADMIN)
    assert (status, said["code"]) == (412, "failed_precondition")
    provider.end_session(session, [])


def test_recording_needs_redis(server):
    call(server, CREATE, {"name": ROOM}, MAY_CREATE)
    grants = {"roomRecord": True}
    status, _, said = call(server, "Egress/ListEgress", {"room_name": ROOM}, grants)
    assert (status, said["code"]) == (500, "internal")
    assert said["msg"] == "twirp error unknown: egress not connected (redis required)"


@pytest.mark.long  # a real server tries for 20 s
def test_start_without_a_recorder_is_503(server):
    call(server, CREATE, {"name": ROOM}, MAY_CREATE)
    body = {"room_name": ROOM, "file_outputs": [{"filepath": "a.mp4"}]}
    status, _, said = call(server, "Egress/StartRoomCompositeEgress", body, {"roomRecord": True})
    assert (status, said["code"]) == (503, "unavailable")
