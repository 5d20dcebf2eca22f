"""The console at a service whose default provider is a real Janus: each view, and what is offered there.

``make browser`` runs it, where Debian's package janus is installed.
"""

from contextlib import ExitStack
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from tests.browser.console.conftest import School
from tests.browser.console.test_acting import act_on, confirm
from tests.browser.story import CLINIC, bearer
from tests.plugins.janus.client import JanusClient
from tests.plugins.janus.server import JanusServer, needs_janus
from tests.plugins.janus.service import present, service_with, wait_for
from tests.support.chromium import needs_chromium
from tests.support.service import Caller

pytestmark = [pytest.mark.browser, needs_chromium, needs_janus]

SOON = 10.0
"""Seconds, on a busy machine, until Janus's events are in the service."""
VIEWS = {
    "#/meetings": "A lesson",
    "#/meetings?status=ended": "The lesson before",
    "#/meetings?attendee=p-bob": "A lesson",
    "#/persons/p-bob": "lesson-2",
    "#/archives": "No recordings yet",
    "#/events": "Meeting ended",
    "#/events/subscriptions": "No subscriptions",
    "#/webhooks": "Applied",
    "#/webhooks?status=rejected": "Refused webhook",
    "#/providers": "Janus",
    "#/jobs": "End a meeting at the provider",
    "#/audit": "Banned a person",
}


class Lesson:
    """Meetings on a Janus, and the participants who are in them."""

    def __init__(self, api, janus, people):
        self.api = api
        self._janus = janus
        self._people = people
        self.here = {}

    def meet(self, title, ext_id, *names):
        link = self.api.create(extId=ext_id, extMetadata={"title": title})
        for name in names:
            self.enter(link, name)
        return link

    def enter(self, link, name):
        issued = self.api.token(link, attendee=f"p-{name.lower()}", name=name)
        client = self.here[name] = JanusClient(self._janus.client_url, issued["token"], issued["connect"])
        self._people.callback(client.close)
        client.join()

    def shows(self, link, **there):
        wait_for(lambda: present(self.api, link), {f"p-{name}": is_there for name, is_there in there.items()}, SOON)


@pytest.fixture(scope="module")
def lesson(tmp_path_factory, sqlite_template, headers):
    folder = tmp_path_factory.mktemp("service")
    janus = JanusServer(folder / "etc")
    with service_with(janus, folder, sqlite_template, headers) as api, ExitStack() as people:
        yield Lesson(api, janus, people)


@pytest.fixture(scope="module")
def school(lesson, headers):
    """The service with its history, in place of the one of the fake provider."""
    api = lesson.api
    before = lesson.meet("The lesson before", "lesson-1", "Dora")
    lesson.shows(before, dora=True)
    assert api("PATCH", f"/session/{before}/end").status == 204
    link = lesson.meet("A lesson", "lesson-2", "Ada", "Bob", "Cleo")
    lesson.here["Bob"].close()
    lesson.shows(link, ada=True, bob=False, cleo=True)
    assert api("POST", f"/session/{link}/bans", {"attendee": "p-eve"}).status == 201
    assert api("POST", "/webhooks/janus/session", {"type": 64}).status == 401
    clinic = Caller(api.send, headers(tenant=CLINIC)).create(extId="consult-88")
    url = urlsplit(api("POST", f"/session/{link}/invitations", {}).json["url"])
    return School(SimpleNamespace(url=f"{url.scheme}://{url.netloc}"), {"lesson": link, "clinic": clinic})


@pytest.mark.parametrize("width", [390, 1280])
def test_every_view_shows_what_happened_at_janus(open_console, school, width):
    tab = open_console("#/meetings", viewport={"width": width, "height": 900})
    for fragment, expected in {**VIEWS, f"#/meetings/{school.links['lesson']}": "Cleo"}.items():
        tab.go(fragment)
        tab.page.wait_for_function("text => document.querySelector('main').innerText.includes(text)", arg=expected)
        overflow = tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, (fragment, overflow)


def test_timeline_shows_connections_at_janus(open_console, school):
    tab = open_console(f"#/meetings/{school.links['lesson']}")
    assert tab.page.locator(".chart g.bar").count() == 3
    tab.page.locator(".chart g.bar").first.focus()
    tab.page.locator(".card-beside .because").get_by_text("no law says that it has left").wait_for()


def test_only_what_janus_can_do_is_offered(open_console, school):
    tab = open_console(f"#/meetings/{school.links['lesson']}")
    assert {"End", "Mute all", "Invite"} <= tab.buttons()
    assert "Record" not in tab.buttons()


def test_other_tenant_sees_its_meeting_alone(open_console, school):
    tab = open_console("#/meetings", token=bearer(tenant=CLINIC))
    assert tab.page.locator("tbody tr").count() == 1
    assert "consult-88" in tab.page.locator("tbody").inner_text()
    for fragment in ("#/archives", "#/events", "#/webhooks", "#/audit", "#/persons/p-ada"):
        tab.go(fragment)
        text = tab.page.locator("main").inner_text()
        assert not [name for name in ("Ada", "Cleo", "lesson-") if name in text], fragment


def test_person_is_muted_and_disconnected_at_janus(open_console, school, lesson):
    link = lesson.meet("Another lesson", "lesson-3", "Fay", "Gus")
    lesson.here["Fay"].publish("0")
    lesson.shows(link, fay=True, gus=True)
    tab = open_console(f"#/meetings/{link}")
    act_on(tab, "Fay", "Mute")
    confirm(tab, "Mute", done="Fay was muted")
    assert lesson.here["Fay"].muted() == {"0"}
    act_on(tab, "Gus", "Disconnect")
    confirm(tab, "Disconnect", done="Gus was disconnected")
    lesson.shows(link, fay=True, gus=False)
    lesson.shows(school.links["lesson"], ada=True, bob=False, cleo=True)
