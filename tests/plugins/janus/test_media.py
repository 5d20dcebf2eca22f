"""Real media: headless Chromium pages in a meeting on a real Janus, and what the service says of them.

``make browser`` runs it, in a network namespace of its own where that is allowed: Janus never uses the loopback for
media, so there the packets of the tests cross a pair of interfaces that nothing else uses.
"""

import socket
import time

import pytest

from tests.plugins.janus.browser import Participant, described, served_page
from tests.plugins.janus.server import JanusServer, needs_janus
from tests.support.chromium import needs_chromium
from tests.support.lesson import FRAMES, MEDIA_SECONDS
from tests.support.media_service import WITHIN_SECONDS, present, service_with, wait_for

pytestmark = [pytest.mark.browser, needs_janus, needs_chromium]

OWN_INTERFACE = "janus0"
"""Made by tests/plugins/janus/own_network.sh."""


def media_interface():
    """Return the interface for media, where the tests have one of their own."""
    return OWN_INTERFACE if OWN_INTERFACE in [name for _, name in socket.if_nameindex()] else None


@pytest.fixture(scope="module")
def running(tmp_path_factory, sqlite_template, headers):
    folder = tmp_path_factory.mktemp("media")
    janus = JanusServer(folder / "etc", interface=media_interface())
    with service_with(janus, folder, sqlite_template, headers) as api:
        yield api


@pytest.fixture
def meeting(running, browsers):
    """Give a meeting that no participant has joined yet."""
    with served_page() as url:
        yield Meeting(running, url)


class Meeting:
    """A meeting, its participants' pages, and what the service says."""

    def __init__(self, api, url):
        self.api, self.url = api, url
        self.link = api.create()
        self.pages = {}
        self.expected = {}

    def enter(self, browser, name, **members):
        """Let an attendee join, and wait until the service says so, in time."""
        issued = self.api.token(self.link, attendee=name, name=name.title())
        page = self.pages[name] = Participant(browser.open(self.url), issued, **members)
        self.shows(name, there=True, within_seconds=MEDIA_SECONDS)
        shown_at = time.time()
        wait_for(lambda: "joined" in page.log, True)
        joined = page.log["joined"]
        assert shown_at - joined < WITHIN_SECONDS
        assert abs(seconds(self.connections(name)[-1]["joined"]) - joined) < WITHIN_SECONDS
        page.wait_until_it_sends()
        return page

    def shows(self, name, *, there, within_seconds=WITHIN_SECONDS):
        """Wait until the service says that this attendee is there, or has left, and the others as before."""
        self.expected[name] = there
        wait_for(lambda: present(self.api, self.link), self.expected, within_seconds)

    def left(self, name, since):
        """Check that the service says in time that an attendee left, and not before."""
        self.shows(name, there=False)
        assert time.time() - since < WITHIN_SECONDS
        assert -0.1 <= seconds(self.connections(name)[-1]["left"]) - since < WITHIN_SECONDS

    def connections(self, name):
        [found] = [one for one in self.api.attendees(self.link) if one["attendee"] == name]
        return found["connections"]

    def others(self, name):
        return {one.id for other, one in self.pages.items() if other != name and self.expected[other]}

    def wait_for_media(self):
        """Wait until each page that is there decodes new frames of each other one, and of no one else."""
        there = {name: page for name, page in self.pages.items() if self.expected[name]}
        deadline = time.monotonic() + MEDIA_SECONDS
        before = {name: page.frames() for name, page in there.items()}
        while not all(self.has_media(name, page, before[name]) for name, page in there.items()):
            assert time.monotonic() < deadline, self.described(before)
            time.sleep(0.3)

    def has_media(self, name, page, before):
        frames = page.frames()
        return frames.keys() == self.others(name) and all(
            count >= before.get(id, 0) + FRAMES for id, count in frames.items()
        )

    def described(self, before):
        frames = {name: page.frames() for name, page in self.pages.items() if self.expected[name]}
        return f"{described(self.pages)}\nbefore: {before}\nnow: {frames}"


def seconds(text):
    """Read a time of the API as Unix seconds."""
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def test_two_participants_see_each_other(meeting, browsers):
    for name, browser in zip(("ann", "bob"), browsers, strict=True):
        meeting.enter(browser, name)
    meeting.wait_for_media()
    ann, bob = meeting.pages["ann"], meeting.pages["bob"]
    assert ann.error_of_watching(bob.id, private_id=1).startswith("433"), "only who is in the roster may watch"
    for name, page in list(meeting.pages.items()):
        closed_at = time.time()
        page.close()
        meeting.left(name, closed_at)


def test_client_cannot_record_into_a_file(meeting, browsers, tmp_path):
    """Janus asks for the room's secret where a client configures a recording, but not where it joins with one."""
    recording = {"request": "joinandconfigure", "record": True, "filename": str(tmp_path / "recording")}
    meeting.enter(browsers[0], "mallory", **recording)
    meeting.enter(browsers[0], "bob")
    meeting.wait_for_media()
    assert list(tmp_path.iterdir()) == []


def test_five_participants_come_and_go(meeting, browsers):
    api, link = meeting.api, meeting.link
    first, second = browsers
    for name in ("ann", "bob", "cid", "eve"):
        meeting.enter(first, name)
    meeting.enter(second, "dan")
    meeting.wait_for_media()

    since = time.time()
    meeting.pages["cid"].close()
    meeting.left("cid", since)

    since = time.time()
    second.kill()
    meeting.left("dan", since)

    eve = meeting.pages["eve"]
    since = time.time()
    assert api("DELETE", f"/session/{link}/attendees/{eve.id}").status == 204
    meeting.left("eve", since)
    wait_for(lambda: eve.state, "kicked")
    assert meeting.connections("eve")[-1]["reason"] == "kicked"
    meeting.wait_for_media()  # of ann and bob, and of no one else

    ann, bob = meeting.pages["ann"], meeting.pages["bob"]
    assert api("POST", f"/session/{link}/attendees/{bob.id}/mute").status == 204
    wait_for(lambda: {"muted me 0", "muted me 1"} <= bob.log.keys(), True)
    time.sleep(0.5)  # frames that were on their way
    seen = ann.frames()[bob.id]
    back = bob.frames()[ann.id]
    time.sleep(2.0)
    assert ann.frames()[bob.id] <= seen + 1
    assert bob.frames()[ann.id] >= back + FRAMES
    assert present(api, link) == meeting.expected

    cid = meeting.enter(first, "cid")
    assert len(meeting.connections("cid")) == 2
    for one, other in ((ann, cid), (cid, ann)):
        wait_for(lambda one=one, other=other: one.frames().get(other.id, 0) >= FRAMES, True, MEDIA_SECONDS)

    assert api("PATCH", f"/session/{link}/end").status == 204
    ended_at = time.time()
    meeting.expected = dict.fromkeys(meeting.expected, False)
    wait_for(lambda: present(api, link), meeting.expected)
    for page in (ann, bob, cid):
        wait_for(lambda page=page: page.state, "ended")
        assert page.log["ended"] - ended_at < WITHIN_SECONDS
