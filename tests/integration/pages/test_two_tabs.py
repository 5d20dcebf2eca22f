"""A newcomer's first meeting: the links that ``make run`` prints, two tabs, and what the attendance says of them."""

import re
import time
from urllib.parse import urlsplit

from tests.support.chromium import needs_chromium
from tools.visitors import Organiser, Visitor, chromium

pytestmark = needs_chromium

LINK = re.compile(r"http://\S+/join#\S+")
SECONDS = 60.0
"""From the start of the browser to the attendance list, on a machine that is busy with other tests."""


def test_two_tabs_meet_and_attendance_follows(dev):
    host_link, guest_link = LINK.findall((dev.folder / "log").read_text())
    hosts = (urlsplit(dev.people).netloc,)
    organiser = Organiser(dev.url, dev.token)
    began = time.monotonic()
    with chromium() as browser:
        host = Visitor(browser, host_link, hosts=hosts)
        host.join("Ada")
        host.sees("You")
        guest = Visitor(browser, guest_link, hosts=hosts)
        guest.join("Grace")
        guest.sees("You", "Ada")
        host.sees("You", "Grace")
        [meeting] = organiser("GET", "/session")
        link = meeting["meetingLink"]
        assert organiser.attendees(link) == {"Ada": True, "Grace": True}
        assert time.monotonic() - began < SECONDS

        host.press("People")
        host.page.get_by_role("button", name="Mute").click()
        guest.room.get_by_text("The host muted you").wait_for()
        guest.press("Leave")
        guest.reads("You left")
        host.sees("You")
        assert organiser.attendees(link) == {"Ada": True, "Grace": False}
        guest.page.get_by_role("button", name="Join again").click()
        guest.sees("You", "Ada")
        host.page.get_by_role("button", name="End the meeting for all").click()
        host.page.get_by_role("button", name="End it for everyone?").click()
        for visitor in (host, guest):
            visitor.reads("The meeting has ended")
        attendees = organiser("GET", f"/session/{link}/attendees")
        assert {one["name"]: len(one["connections"]) for one in attendees} == {"Ada": 1, "Grace": 2}
        assert not any(one["active"] for one in attendees)
        assert (host.problems, guest.problems) == ([], [])
