"""A real meeting through the pages: five people come by invitation links and see and hear each other by Janus.

``make browser`` runs it, in a network namespace of its own where that is allowed: see ``test_media.py``.
"""

import pytest

from tests.plugins.janus.server import JanusServer, needs_janus
from tests.plugins.janus.test_media import media_interface
from tests.support.chromium import needs_chromium
from tests.support.lesson import Lesson, five_people_meet
from tests.support.media_service import service_with

pytestmark = [pytest.mark.browser, needs_janus, needs_chromium]


@pytest.fixture(scope="module")
def running(tmp_path_factory, sqlite_template, headers):
    folder = tmp_path_factory.mktemp("pages")
    janus = JanusServer(folder / "etc", interface=media_interface())
    with service_with(janus, folder, sqlite_template, headers) as api:
        yield api, janus


@pytest.fixture
def lesson(running, browsers):
    api, janus = running
    return Lesson(api, browsers, janus.websocket_url)


def test_five_people_meet_by_their_links(lesson):
    five_people_meet(lesson, removed="kicked")


def test_connection_that_was_lost_comes_back(lesson):
    """The sockets of the page are cut as by another network; the person is the same, with a further connection."""
    lesson.enter("ann")
    bob = lesson.enter("bob")
    room = bob.page.frames[-1]
    room.evaluate("window.dispatchEvent(new Event('offline'))")
    bob.room.get_by_text("Reconnecting…").wait_for()
    bob.room.get_by_text("Reconnecting…").wait_for(state="hidden")
    lesson.all_see_each_other()
    assert len(lesson.attendee("bob")["connections"]) == 2
    assert lesson.problems == {}
