"""Real meetings through the pages, by LiveKit's own SDK and a real ``livekit-server``.

``make browser`` runs it where ``LIVEKIT_SERVER`` names the server's binary. Media stay on the loopback.
"""

import time

import pytest

from tests.plugins.livekit.browser_sdk import SDK, integrity_of, needs_the_sdk, served_sdk
from tests.plugins.livekit.real_server import LiveKitServer, needs_livekit_server
from tests.support.chromium import needs_chromium
from tests.support.lesson import MEDIA_SECONDS, Lesson, five_people_meet
from tests.support.media_service import present, service_with, wait_for

pytestmark = [pytest.mark.browser, needs_livekit_server, needs_chromium]

RECONNECTED_MS = 90_000
"""The SDK tries for about 40 s, and then our client by a new token."""


@pytest.fixture(scope="module")
def running(tmp_path_factory, sqlite_template, headers):
    needs_the_sdk()
    folder = tmp_path_factory.mktemp("pages")
    livekit = LiveKitServer(folder)
    with served_sdk() as sdk_url:
        sdk = {"VIDEOCONF_LIVEKIT_SDK_URL": sdk_url, "VIDEOCONF_LIVEKIT_SDK_INTEGRITY": integrity_of(SDK.read_bytes())}
        with service_with(livekit, folder, sqlite_template, headers, **sdk) as api:
            yield api, livekit, sdk_url


@pytest.fixture
def lesson(running, browsers):
    api, livekit, sdk_url = running
    return Lesson(api, browsers, livekit.websocket_url, sdk_url)


def test_two_people_meet_by_their_links(lesson):
    ann, bob = lesson.enter("ann"), lesson.enter("bob")
    ann.press("Switch the camera off")
    bob.page.wait_for_function(NO_PICTURE)
    ann.press("Switch the camera on")
    lesson.all_see_each_other()
    bob.press("Leave")
    bob.reads("You left")
    lesson.shows("bob", there=False)
    bob.page.get_by_role("button", name="Join again").click()
    lesson.shows("bob", there=True, within_seconds=MEDIA_SECONDS)
    assert len(lesson.attendee("bob")["connections"]) == 2
    assert ann.room.get_by_text("Reconnecting…").is_hidden()
    assert lesson.problems == {}


NO_PICTURE = """() => {
    const room = document.querySelector("iframe").contentDocument;
    return !room.querySelector("person-tile:not([own])").hasAttribute("picture");
}"""


def test_five_people_meet_at_livekit(lesson):
    five_people_meet(lesson, removed="participant_removed", lost_within_seconds=MEDIA_SECONDS)


def test_restart_of_the_server_brings_people_back(lesson, running):
    """A server without Redis forgets its rooms. The pages find the new room, and the meeting goes on."""
    _, livekit, _ = running
    ann, bob = lesson.enter("ann"), lesson.enter("bob")
    livekit.stop()
    for one in (ann, bob):
        one.room.get_by_text("Reconnecting…").wait_for()
    time.sleep(2)
    livekit.start()
    for one in (ann, bob):
        one.room.get_by_text("Reconnecting…").wait_for(state="hidden", timeout=RECONNECTED_MS)
    wait_for(lambda: present(lesson.api, lesson.link), {"ann": True, "bob": True}, MEDIA_SECONDS)
    lesson.all_see_each_other()
    for name in ("ann", "bob"):
        former, *_, now = lesson.attendee(name)["connections"]
        assert former["left"] is not None
        assert now["left"] is None
