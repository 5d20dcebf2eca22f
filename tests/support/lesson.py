"""A meeting on a real media server through the join page: who comes by invitation links, and what each page shows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from tests.support.chromium import Chromium
from tests.support.media_service import WITHIN_SECONDS, present, wait_for
from tests.support.service import Caller
from tools.visitors import Visitor

MEDIA_SECONDS = 30.0
FRAMES = 5
"""How many more must be shown to say that a video runs; the fake camera makes five a second."""
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


class Lesson:
    """A meeting, who is in it by its pages, and what the service says.

    :param urls: what the pages may ask besides the service: the media server, and a vendor's SDK.
    """

    def __init__(self, api: Caller, browsers: Sequence[Chromium], *urls: str) -> None:
        self.api = api
        self.browsers = browsers
        self.link = api.create(extMetadata={"title": "A lesson"})
        self.visitors: dict[str, Visitor] = {}
        self.there: dict[str, bool] = {}
        self._hosts = tuple(urlsplit(url).netloc for url in urls)
        self._invitations: dict[str, str] = {}

    def enter(self, name: str, browser: int = 0, **invitation: Any) -> Visitor:
        """Let a person come by their link, and wait until the service and all pages show them."""
        if name not in self._invitations:
            wish = {"attendee": name, "name": name.title(), **invitation}
            self._invitations[name] = self.api("POST", f"/session/{self.link}/invitations", wish).json["url"]
        connected = self.browsers[browser].connected
        self.visitors[name] = Visitor(connected, self._invitations[name], hosts=self._hosts)
        self.visitors[name].join()
        self.shows(name, there=True, within_seconds=MEDIA_SECONDS)
        return self.visitors[name]

    def shows(self, name: str, *, there: bool, within_seconds: float = WITHIN_SECONDS) -> None:
        """Wait until the service says that a person is there, or has left, and until the pages agree."""
        self.there[name] = there
        wait_for(lambda: present(self.api, self.link), self.there, within_seconds)
        self.all_see_each_other()

    def all_see_each_other(self) -> None:
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

    def attendee(self, name: str) -> dict[str, Any]:
        """Return what the service says of a person."""
        [found] = [one for one in self.api.attendees(self.link) if one["attendee"] == name]
        return found

    @property
    def problems(self) -> dict[str, list[str]]:
        """What the pages have noted, by person."""
        return {name: one.problems for name, one in self.visitors.items() if one.problems}


def five_people_meet(lesson: Lesson, *, removed: str, lost_within_seconds: float = WITHIN_SECONDS) -> None:
    """Let five people come, one after the other, and go in different ways; attendance is right at each step.

    :param removed: the reason that the media server gives for a removal.
    :param lost_within_seconds: how soon the media server notices that a browser was killed.
    """
    ann = lesson.enter("ann", role="moderator")
    bob = lesson.enter("bob")
    lesson.enter("cid")
    lesson.enter("dan", browser=1)
    eve = lesson.enter("eve")

    lesson.visitors["cid"].page.close()
    lesson.shows("cid", there=False)
    lesson.browsers[1].kill()
    lesson.shows("dan", there=False, within_seconds=lost_within_seconds)

    ann.press("People")
    row = ann.page.get_by_role("listitem").filter(has_text="Eve")
    row.get_by_role("button", name="Remove").click()
    row.get_by_role("button", name="Remove for good?").click()
    eve.reads("You were removed")
    lesson.shows("eve", there=False)
    assert lesson.attendee("eve")["connections"][-1]["reason"] == removed

    row = ann.page.get_by_role("listitem").filter(has_text="Bob")
    row.get_by_role("button", name="Mute").click()
    bob.room.get_by_text("The host muted you").wait_for()
    bob.room.get_by_role("button", name="Unmute the microphone").wait_for()
    bob.press("Switch the camera on")
    bob.press("Unmute the microphone")
    lesson.all_see_each_other()

    lesson.enter("cid")
    assert len(lesson.attendee("cid")["connections"]) == 2

    ann.page.get_by_role("button", name="End the meeting for all").click()
    ann.page.get_by_role("button", name="End it for everyone?").click()
    for name in ("ann", "bob", "cid"):
        lesson.visitors[name].reads("The meeting has ended")
    wait_for(lambda: present(lesson.api, lesson.link), dict.fromkeys(lesson.there, False))
    assert not lesson.problems, lesson.problems
