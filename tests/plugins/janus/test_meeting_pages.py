"""A real meeting through the pages: five people come by invitation links and see and hear each other by Janus.

``make browser`` runs it, in a network namespace of its own where that is allowed: see ``test_media.py``.
"""

import time
from urllib.parse import urlsplit

import pytest

from tests.plugins.janus.server import JanusServer, needs_janus
from tests.plugins.janus.service import WITHIN_SECONDS, present, service_with, wait_for
from tests.plugins.janus.test_media import FRAMES, MEDIA_SECONDS, media_interface
from tests.support.chromium import needs_chromium
from tools.visitors import Visitor

pytestmark = [pytest.mark.browser, needs_janus, needs_chromium]

PICTURES = """() => {
    const room = document.querySelector("iframe")?.contentDocument;
    const shown = [...(room?.querySelectorAll("person-tile:not([own])") ?? [])].map((tile) => [
        tile.querySelector("bdi").textContent,
        tile.hasAttribute("picture") && !tile.hasAttribute("still")
            ? tile.querySelector("video").getVideoPlaybackQuality().totalVideoFrames : -1,
    ]);
    return Object.fromEntries(shown);
}"""
"""How many frames of each other person were shown; -1 where their picture is not shown."""


@pytest.fixture(scope="module")
def running(tmp_path_factory, sqlite_template, headers):
    folder = tmp_path_factory.mktemp("pages")
    janus = JanusServer(folder / "etc", interface=media_interface())
    with service_with(janus, folder, sqlite_template, headers) as api:
        yield api, janus


@pytest.fixture(scope="module")
def browsers(tmp_path_factory):
    from playwright.sync_api import sync_playwright

    from tests.plugins.janus.browser import Chromium

    with sync_playwright() as playwright:
        folder = tmp_path_factory.mktemp("chromium")
        made = [Chromium(playwright, folder / name) for name in ("first", "second")]
        yield made
        for browser in made:
            browser.kill()


class Lesson:
    """A meeting, who is in it by its pages, and what the service says."""

    def __init__(self, running, browsers):
        self.api, self.janus = running
        self.browsers = browsers
        self.link = self.api.create(extMetadata={"title": "A lesson"})
        self.urls, self.visitors, self.there = {}, {}, {}

    def enter(self, name, browser=0, **invitation):
        """Let a person come by their link, and wait until the service and all pages show them."""
        if name not in self.urls:
            invitation = {"attendee": name, "name": name.title(), **invitation}
            self.urls[name] = self.api("POST", f"/session/{self.link}/invitations", invitation).json["url"]
        hosts = (urlsplit(self.janus.websocket_url).netloc,)
        self.visitors[name] = Visitor(self.browsers[browser].connected, self.urls[name], hosts=hosts)
        self.visitors[name].join()
        self.shows(name, there=True, within_seconds=MEDIA_SECONDS)
        return self.visitors[name]

    def shows(self, name, *, there, within_seconds=WITHIN_SECONDS):
        self.there[name] = there
        wait_for(lambda: present(self.api, self.link), self.there, within_seconds)
        self.all_see_each_other()

    def all_see_each_other(self):
        """Wait until each page has a tile for each person, with a picture that moves."""
        there = [name for name, is_there in self.there.items() if is_there]
        deadline = time.monotonic() + MEDIA_SECONDS
        for name in there:
            page, before = self.visitors[name].page, None
            others = {other.title() for other in there if other != name}
            while True:
                frames = page.evaluate(PICTURES)
                # A new track counts from 0.
                if before is None or before.keys() != others or any(frames.get(one, 0) < before[one] for one in others):
                    before = frames
                if frames.keys() == others and all(frames[one] >= before[one] + FRAMES for one in others):
                    break
                assert time.monotonic() < deadline, f"{name} sees {frames}, not more of {others} than {before}"
                time.sleep(0.2)

    def connection(self, name):
        [found] = [one for one in self.api.attendees(self.link) if one["attendee"] == name]
        return found["connections"][-1]


def test_five_people_meet_by_their_links(running, browsers):
    lesson = Lesson(running, browsers)
    ann = lesson.enter("ann", role="moderator")
    bob = lesson.enter("bob")
    lesson.enter("cid")
    dan = lesson.enter("dan", browser=1)
    eve = lesson.enter("eve")

    lesson.visitors["cid"].page.close()
    lesson.shows("cid", there=False)
    browsers[1].kill()
    lesson.shows("dan", there=False)
    del dan

    ann.press("People")
    row = ann.page.get_by_role("listitem").filter(has_text="Eve")
    row.get_by_role("button", name="Remove").click()
    row.get_by_role("button", name="Remove for good?").click()
    eve.reads("You were removed")
    lesson.shows("eve", there=False)
    assert lesson.connection("eve")["reason"] == "kicked"

    row = ann.page.get_by_role("listitem").filter(has_text="Bob")
    row.get_by_role("button", name="Mute").click()
    bob.room.get_by_text("The host muted you").wait_for()
    bob.room.get_by_role("button", name="Unmute the microphone").wait_for()
    bob.press("Unmute the microphone")
    lesson.all_see_each_other()  # who was muted at Janus publishes again

    lesson.enter("cid")
    [cid] = [one for one in lesson.api.attendees(lesson.link) if one["attendee"] == "cid"]
    assert len(cid["connections"]) == 2

    ann.page.get_by_role("button", name="End the meeting for all").click()
    ann.page.get_by_role("button", name="End it for everyone?").click()
    for name in ("ann", "bob", "cid"):
        lesson.visitors[name].reads("The meeting has ended")
    wait_for(lambda: present(lesson.api, lesson.link), dict.fromkeys(lesson.there, False))
    assert {name: one.problems for name, one in lesson.visitors.items() if one.problems} == {}


def test_connection_that_was_lost_comes_back(running, browsers):
    """The sockets of the page are cut as by another network; the person is the same, with a further connection."""
    lesson = Lesson(running, browsers)
    ann, bob = lesson.enter("ann"), lesson.enter("bob")
    room = bob.page.frames[-1]
    room.evaluate("window.dispatchEvent(new Event('offline'))")
    bob.room.get_by_text("Reconnecting…").wait_for()
    bob.room.get_by_text("Reconnecting…").wait_for(state="hidden")
    lesson.all_see_each_other()
    [found] = [one for one in lesson.api.attendees(lesson.link) if one["attendee"] == "bob"]
    assert len(found["connections"]) == 2
    assert ann.problems == bob.problems == []
