"""LiveKit's SDK for Node as a second judge of tokens and webhooks, and as a client of the stand-in beside Python's."""

import asyncio
import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from livekit.api import LiveKitAPI
from livekit.api.twirp_client import TwirpError
from livekit.protocol.egress import EncodedFileOutput, ListEgressRequest, RoomCompositeEgressRequest, StopEgressRequest
from livekit.protocol.room import CreateRoomRequest, DeleteRoomRequest, ListParticipantsRequest, MuteRoomTrackRequest

from tests.plugins.livekit.samples import KEYS, header_cases
from videoconf.errors import WebhookRejected
from videoconf.providers import Role, SessionRequest, TokenRequest, WebhookRequest

SDK = Path(__file__).parents[3] / "build/livekit/node_modules/livekit-server-sdk/dist/index.js"
CASES = {case: rest for case, *rest in header_cases()}
DIFFERENCES = {
    "02_participant_joined-good_within_leeway": "the leeway of the SDK for Node is 10 s, that of Go and Python 60 s",
    "02_participant_joined-bad_alg_hs512": "the SDK for Node accepts HS512; Go and Python do not",
}


@pytest.fixture(scope="module")
def node():
    """Give a function that asks the SDK."""
    program = shutil.which("node")
    if program is None or not SDK.exists():
        assert os.environ.get("TEST_LIVEKIT_SDK") != "1", (
            "TEST_LIVEKIT_SDK=1, and it is not installed: make livekit-sdk"
        )
        pytest.skip("LiveKit's SDK for Node is not installed; `make livekit-sdk` does it, and needs npm")
    command = [program, str(Path(__file__).with_name("official_sdk.mjs")), str(SDK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask(what, **said):
            process.stdin.write(json.dumps({"what": what, **said}) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()
        process.wait(10)


def accepts(node, body, authorization, received_at):
    common = {"at": received_at.timestamp(), "body": body.decode(), "authorization": authorization}
    answers = [node("webhook", key=key, secret=secret, **common) for key, secret in KEYS.items()]
    return any("event" in answer for answer in answers)


@pytest.mark.parametrize("case", CASES)
def test_sample_is_judged_as_by_the_sdk_for_node(offline, node, case):
    body, authorization, received_at, _ = CASES[case]
    url = "https://meetings.example/webhooks/livekit/session"
    request = WebhookRequest("session", "POST", url, {"authorization": authorization}, body, received_at)
    try:
        offline.verify_webhook(request)
        ours = True
    except WebhookRejected:
        ours = False
    theirs = accepts(node, body, authorization, received_at)
    assert (ours == theirs) != (case in DIFFERENCES), DIFFERENCES.get(case)


@pytest.mark.parametrize("role", Role)
def test_join_token_passes_the_sdk_for_node(node, make_provider, make_livekit_standin, role):
    standin = make_livekit_standin()
    provider = make_provider(standin)
    session = provider.ensure_session(SessionRequest("m1"))
    expires_at = datetime.now(UTC) + timedelta(minutes=5)
    request = TokenRequest(role, expires_at, "ann@example.org", "Änn 👩", "data", options={"maxParticipants": 3})
    token = provider.issue_token(session, request).token
    answer = node("token", key=standin.api_key, secret=standin.api_secret, token=token)
    claims = answer["claims"]
    assert (claims["name"], claims["metadata"]) == ("Änn 👩", "data")
    assert claims["video"]["canPublish"] is (role is not Role.SUBSCRIBER)
    assert claims["roomConfig"] == {"maxParticipants": 3}
    assert "error" in node("token", key=standin.api_key, secret="another-secret-of-32-characters-or-more!", token=token)


# --- the stand-in is good enough for both SDKs ------------------------------------------------------------------------


@pytest.fixture
def standin(make_livekit_standin):
    return make_livekit_standin()


@pytest.fixture
def ann(standin, make_provider):
    provider = make_provider(standin)
    session = provider.ensure_session(SessionRequest("m1"))
    request = TokenRequest(Role.PUBLISHER, datetime.now(UTC) + timedelta(minutes=5), "ann")
    return standin.join(provider.issue_token(session, request).token)


def test_sdk_for_node_uses_the_stand_in(node, standin, ann):
    def ask(what, **said):
        return node(what, url=standin.url, key=standin.api_key, secret=standin.api_secret, **said)

    room, track = "videoconf-m1", standin.publish(ann.sid)
    assert ask("create", room="by-node")["sid"].startswith("RM_")
    assert ask("rooms") == {"rooms": [room, "by-node"]}
    assert ask("delete", room="by-node") == {"deleted": True}
    assert ask("participants", room=room) == {"people": [[ann.sid, ann.identity]]}
    assert ask("mute", room=room, identity=ann.identity, track=track) == {"muted": True}
    started = ask("record", room=room)["id"]
    assert ask("recordings", room=room) == {"ids": [started]}
    assert "status" in ask("stop", id=started)
    assert "cannot be stopped" in ask("stop", id=started)["error"]
    assert ask("remove", room=room, identity=ann.identity) == {"removed": True}
    assert "not exist" in ask("remove", room=room, identity=ann.identity)["error"]


def test_sdk_for_python_uses_the_stand_in(standin, ann):
    room, track = "videoconf-m1", standin.publish(ann.sid)

    async def use():
        async with LiveKitAPI(standin.url, standin.api_key, standin.api_secret) as api:
            assert (await api.room.create_room(CreateRoomRequest(name="by-python"))).sid.startswith("RM_")
            await api.room.delete_room(DeleteRoomRequest(room="by-python"))
            found = await api.room.list_participants(ListParticipantsRequest(room=room))
            assert [one.sid for one in found.participants] == [ann.sid]
            mute = MuteRoomTrackRequest(room=room, identity=ann.identity, track_sid=track, muted=True)
            assert (await api.room.mute_published_track(mute)).track.muted
            output = EncodedFileOutput(filepath="by-python.mp4")
            request = RoomCompositeEgressRequest(room_name=room, file_outputs=[output])
            started = await api.egress.start_room_composite_egress(request)
            listed = await api.egress.list_egress(ListEgressRequest(room_name=room))
            assert [one.egress_id for one in listed.items] == [started.egress_id]
            await api.egress.stop_egress(StopEgressRequest(egress_id=started.egress_id))
            with pytest.raises(TwirpError) as raised:
                await api.room.delete_room(DeleteRoomRequest(room="missing"))
            assert raised.value.code == "not_found"

    asyncio.run(use())
