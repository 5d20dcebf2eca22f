"""LiveKit's client for browsers: the real SDK's file, and what the client does by a stub of the SDK.

``test_meeting_pages.py`` holds meetings with the real SDK on a real server.
"""

import re
from pathlib import Path

import pytest

from tests.plugins.livekit.browser_sdk import SDK, client_of, integrity_of, needs_the_sdk
from tests.support.chromium import needs_chromium
from tools.visitors import chromium
from videoconf.api.join_page import room_policy
from videoconf_livekit.provider import BROWSER_MODULE

STUB = (Path(__file__).parent / "sdk_stub.js").read_text()
SDK_URL = "https://sdk.example/livekit-client-2.23.0.umd.js"
INTEGRITY = integrity_of(STUB.encode())
ORIGIN = "http://127.0.0.1:9"
CONNECT = {"url": "wss://livekit.example"}
JOIN = """async ([options, token, sends, connect]) => {
    const { join } = await import("/client.js");
    const canvas = document.createElement("canvas");
    canvas.getContext("2d");
    window.track = () => canvas.captureStream(1).getVideoTracks()[0];
    window.sound = () => new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0];
    window.reported = [];
    window.renewals = [];
    const media = { camera: sends ? track() : null, microphone: sends ? sound() : null };
    const kindOf = (detail) => "track" in detail && { track: detail.track?.kind ?? null };
    const on = (event, detail) => reported.push([event, { ...detail, ...kindOf(detail) }]);
    const renew = async () => {
        if (!renewals.length) throw new Error("offline");
        return renewals.shift();
    };
    window.client = await join({ token, session: "videoconf-m1", connect, name: "Ada", media, on, renew, options });
    window.room = LivekitClient.rooms[0];
}"""
OWN = [
    ["joined", {"id": "PA_own1", "name": "Ada", "own": True}],
    ["state", {"id": "PA_own1", "speaking": False, "lost": False}],
]


pytestmark = [pytest.mark.browser, needs_chromium]


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def open_page(browser):
    """Give a function that opens a page under the client's policy; the SDK's URL answers with the given file."""
    pages = []

    def open_one(sdk=STUB, integrity=INTEGRITY):
        client = client_of(sdk_url=SDK_URL, sdk_integrity=integrity)
        page = browser.new_page()
        pages.append(page)
        files = {
            f"{ORIGIN}/": ("text/html", "<!doctype html><title>test</title>", {}),
            f"{ORIGIN}/client.js": ("text/javascript", client.module.read_text(), {}),
            SDK_URL: ("text/javascript", sdk, {"Access-Control-Allow-Origin": "*"}),
        }

        def answer(route):
            if route.request.url not in files:
                return route.abort()
            content_type, body, headers = files[route.request.url]
            policy = {"Content-Security-Policy": room_policy(client)}
            return route.fulfill(body=body, content_type=content_type, headers={**policy, **headers})

        page.route("**/*", answer)
        page.goto(f"{ORIGIN}/")
        return page, dict(client.options)

    yield open_one
    for page in pages:
        page.close()


@pytest.fixture
def joined(open_page):
    """Give a page that has joined, and a function that runs a script in it and returns what was reported by it."""
    page, options = open_page()
    page.evaluate(JOIN, [options, "a.join.token", True, CONNECT])

    def reports(script):
        """Run a script. Reports follow in microtasks, which are over when a timer fires."""
        return page.evaluate(
            f"""async () => {{
                reported.length = 0;
                {script}
                await new Promise((resolve) => setTimeout(resolve));
                return reported;
            }}"""
        )

    return page, reports


def test_client_uses_names_that_the_sdk_has(open_page):
    needs_the_sdk()
    page, _ = open_page(SDK.read_text(), integrity_of(SDK.read_bytes()))
    page.add_script_tag(url=SDK_URL)
    text = BROWSER_MODULE.read_text()
    enums = r"\b(RoomEvent|ConnectionState|ConnectionQuality|DisconnectReason|Track\.Kind|Track\.Source)\.(\w+)"
    used = sorted({".".join(found) for found in re.findall(enums, text)})
    assert len(used) > 25
    missing = [name for name in used if page.evaluate(f"LivekitClient.{name} === undefined")]
    assert missing == []


def test_real_sdk_is_loaded_by_its_hash(open_page):
    """It runs under the policy and the page's Chromium, and then finds no server."""
    needs_the_sdk()
    page, options = open_page(SDK.read_text(), integrity_of(SDK.read_bytes()))
    violations = []
    page.on("console", lambda message: "Content Security Policy" in message.text and violations.append(message.text))
    with pytest.raises(Exception, match="could not establish signal connection"):
        page.evaluate(JOIN, [options, "a.join.token", False, CONNECT])
    assert page.evaluate("typeof LivekitClient.Room") == "function"
    assert violations == []


@pytest.mark.parametrize("sdk", [f"{STUB}\n// another file", "window.LivekitClient = {}"])
def test_changed_sdk_is_not_run(open_page, sdk):
    page, options = open_page(sdk)
    with pytest.raises(Exception, match="livekit-client cannot be loaded"):
        page.evaluate(JOIN, [options, "a.join.token", True, CONNECT])
    assert page.evaluate("typeof LivekitClient") == "undefined"


def test_other_script_is_a_rejection(open_page):
    other = "window.SomethingElse = 1;"
    page, options = open_page(other, integrity_of(other.encode()))
    with pytest.raises(Exception, match="is not livekit-client"):
        page.evaluate(JOIN, [options, "a.join.token", True, CONNECT])


def test_encrypted_meeting_is_not_joined_in_clear(open_page):
    page, options = open_page()
    with pytest.raises(Exception, match="no key for a meeting that is encrypted"):
        page.evaluate(JOIN, [options, "a.join.token", True, {**CONNECT, "endToEndEncryption": True}])
    assert page.evaluate("typeof LivekitClient") == "undefined"


def test_refused_token_is_a_rejection(open_page):
    page, options = open_page()
    with pytest.raises(Exception, match="401"):
        page.evaluate(JOIN, [options, "refused", True, CONNECT])
    assert page.evaluate("reported") == []


def test_person_joins_and_sends(joined):
    page, _ = joined
    assert page.evaluate("reported") == OWN
    assert page.evaluate("LivekitClient.asked") == [
        ["setLogLevel", "silent"],
        ["connect", "wss://livekit.example", "a.join.token"],
        ["publish", "Source.Camera", True],
        ["publish", "Source.Microphone", True],
    ]
    kept = {"dynacast": True, "stopLocalTrackOnUnpublish": False, "disconnectOnPageLeave": False}
    assert page.evaluate("room.options") == kept


def test_listener_publishes_nothing(open_page):
    page, options = open_page()
    page.evaluate(JOIN, [options, "listener", True, CONNECT])
    assert page.evaluate("LivekitClient.asked").pop()[0] == "connect"


def test_others_come_send_speak_and_go(joined):
    _, reports = joined
    came = reports("""
        window.bob = room.enter("PA_bob", "Bob");
        bob.add("Kind.Video", "Source.Camera", track());
        room.emit("TrackSubscribed");
    """)
    silent = {"id": "PA_bob", "camera": True, "microphone": False, "speaking": False, "lost": False}
    assert came == [
        ["joined", {"id": "PA_bob", "name": "Bob"}],
        ["track", {"id": "PA_bob", "kind": "video", "track": "video"}],
        ["state", silent],
    ]
    spoke = """
        bob.add("Kind.Audio", "Source.Microphone", sound());
        bob.isSpeaking = true;
        bob.connectionQuality = "Quality.Lost";
        room.emit("TrackSubscribed");
        room.emit("ActiveSpeakersChanged");
    """
    assert reports(spoke) == [
        ["track", {"id": "PA_bob", "kind": "audio", "track": "audio"}],
        ["state", {"id": "PA_bob", "microphone": True, "speaking": True, "lost": True}],
    ]
    stopped = """
        bob.trackPublications.clear();
        bob.connectionQuality = "Quality.Good";
        room.emit("TrackUnsubscribed");
    """
    assert reports(stopped) == [
        ["track", {"id": "PA_bob", "kind": "audio", "track": None}],
        ["track", {"id": "PA_bob", "kind": "video", "track": None}],
        ["state", {"id": "PA_bob", "camera": False, "microphone": False, "lost": False}],
    ]
    renamed = 'bob.name = ""; room.emit("ParticipantNameChanged");'
    assert reports(renamed) == [["joined", {"id": "PA_bob", "name": None}]]
    gone = 'room.remoteParticipants.clear(); room.emit("ParticipantDisconnected");'
    assert reports(gone) == [["left", {"id": "PA_bob"}]]


def test_shared_screen_is_shown_before_the_camera(joined):
    page, reports = joined
    shown = """
        window.bob = room.enter("PA_bob", "Bob");
        window.screen_ = track();
        window.camera = track();
        bob.add("Kind.Video", "Source.Camera", camera);
        room.emit("TrackSubscribed");
        await Promise.resolve();
        bob.add("Kind.Video", "Source.ScreenShare", screen_);
        room.emit("TrackSubscribed");
    """
    assert [event for event, _ in reports(shown)] == ["joined", "track", "state", "track"]
    back = "bob.trackPublications.delete([...bob.trackPublications.keys()].pop()); room.emit('TrackUnsubscribed');"
    assert reports(back) == [["track", {"id": "PA_bob", "kind": "video", "track": "video"}]]
    assert page.evaluate("camera.readyState") == "live"


def test_devices_go_on_and_off(joined):
    page, reports = joined
    asked = "LivekitClient.asked.splice(0)"
    page.evaluate(asked)
    assert reports("await client.setCamera(null); room.emit('TrackMuted');") == []
    assert page.evaluate(asked) == [["mute", "Source.Camera"]]
    page.evaluate("client.setCamera(track())")
    assert page.evaluate(asked) == [["replaceTrack", "Source.Camera", True], ["unmute", "Source.Camera"]]
    page.evaluate("Promise.all([client.setMicrophone(null), client.setMicrophone(sound())])")
    assert page.evaluate(asked) == [
        ["replaceTrack", "Source.Microphone", True],
        ["unmute", "Source.Microphone"],
        ["unmute", "Source.Microphone"],
    ]


def test_mute_by_a_moderator_is_reported(joined):
    _, reports = joined
    muted = """
        for (const one of room.localParticipant.trackPublications.values()) one.isMuted = true;
        room.emit("TrackMuted");
        room.emit("TrackMuted");
    """
    assert reports(muted) == [["state", {"id": "PA_own1", "camera": False, "microphone": False}]]


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("PARTICIPANT_REMOVED", "removed"),
        ("ROOM_DELETED", "ended"),
        ("CLIENT_INITIATED", "left"),
        ("DUPLICATE_IDENTITY", "left"),
    ],
)
def test_end_is_reported_with_its_reason(joined, reason, word):
    _, reports = joined
    assert reports(f'room.move("Disconnected"); room.emit("Disconnected", "Reason.{reason}");') == [
        ["ended", {"reason": word}]
    ]


def test_short_loss_keeps_the_people(joined):
    """During a reconnection the SDK lets go of everyone, and finds the same connections again."""
    _, reports = joined
    reports('window.bob = room.enter("PA_bob", "Bob");')
    lost = """
        room.remoteParticipants.clear();
        room.emit("ParticipantDisconnected");
        room.move("Reconnecting");
    """
    assert reports(lost) == [["state", {"connection": "reconnecting"}]]
    again = """
        room.remoteParticipants.set("PA_bob", bob);
        room.localParticipant.sid = "PA_own9";
        room.move("Connected");
        room.emit("Reconnected");
    """
    assert reports(again) == [
        ["state", {"connection": "connected"}],
        ["left", {"id": "PA_own1"}],
        ["joined", {"id": "PA_own9", "name": "Ada", "own": True}],
        ["state", {"id": "PA_own9", "speaking": False, "lost": False}],
    ]


def test_given_up_connection_comes_back_by_a_new_token(joined):
    page, reports = joined
    reports('room.enter("PA_bob", "Bob");')
    lost = reports("""
        renewals.push({ token: "another.join.token", connect: { url: "wss://livekit.example" } });
        room.move("Disconnected");
        room.emit("Disconnected", "Reason.SERVER_SHUTDOWN");
    """)
    assert lost[0] == ["state", {"connection": "reconnecting"}]
    page.wait_for_function("reported.at(-1)[1].connection === 'connected'")
    assert page.evaluate("reported").count(["left", {"id": "PA_bob"}]) == 1
    assert page.evaluate("reported.find(([event]) => event === 'joined')[1].id") == "PA_own2"
    assert ["connect", "wss://livekit.example", "another.join.token"] in page.evaluate("LivekitClient.asked")
    assert page.evaluate("LivekitClient.asked.slice(-2).map(([what]) => what)") == ["publish", "publish"]
    assert reports("room.enter('PA_late', 'Late');") == [], "the former room reports nothing more"


def test_person_who_leaves_does_not_come_back(joined):
    page, reports = joined
    assert reports("await client.leave();") == []
    assert page.evaluate("LivekitClient.asked").pop() == ["disconnect", False]
    assert page.evaluate("LivekitClient.rooms.length") == 1
