"""The join page, as people use it: by the keyboard alone, by going back and reloading, by odd names."""

import re
import time

import pytest

from tests.browser import scenes
from tests.support.chromium import needs_chromium

FIRST_VIEW_BYTES = 100_000
OPENS_SOON_SECONDS = 4

pytestmark = [pytest.mark.browser, needs_chromium]


def test_keyboard_alone_joins_mutes_and_leaves(made):
    visitor = made.visit(made.organiser.invite(made.meeting()))
    visitor.page.locator("camera-preview video").wait_for()
    visitor.page.keyboard.type("Grace Hopper")  # the page has put the focus into the field
    visitor.page.keyboard.press("Enter")
    visitor.sees("You")
    press_by_keyboard(visitor, "Mute the microphone")
    visitor.room.get_by_role("button", name="Unmute the microphone").wait_for()
    press_by_keyboard(visitor, "Leave")
    visitor.reads("You left")
    press_by_keyboard(visitor, "Join again")
    visitor.sees("You")
    assert visitor.problems == []


def press_by_keyboard(visitor, label):
    """Move on by the tabulator until a button has the focus, which must show, and press it."""
    focused = """() => {
        const inner = document.activeElement?.contentDocument?.activeElement ?? document.activeElement;
        const { outlineStyle } = getComputedStyle(inner);
        return [inner.ariaLabel || inner.textContent, inner.matches(":focus-visible"), outlineStyle];
    }"""
    for _ in range(20):
        found, *shows = visitor.page.evaluate(focused)
        if found == label:
            assert shows == [True, "solid"], f"{label} does not show the focus"
            visitor.page.keyboard.press("Enter")
            return
        visitor.page.keyboard.press("Tab")
    raise AssertionError(f"the tabulator does not lead to {label!r}")


def test_escape_closes_the_devices_and_the_panel(made):
    visitor = scenes.devices(made)
    visitor.page.keyboard.press("Escape")
    visitor.page.get_by_label("Camera", exact=True).wait_for(state="hidden")
    teacher = scenes.two(made)
    teacher.press("People")
    teacher.page.get_by_role("complementary").wait_for()
    teacher.page.keyboard.press("Escape")
    teacher.page.get_by_role("complementary").wait_for(state="hidden")


def test_first_view_is_small(made):
    sizes = []
    visitor = made.visit("about:blank")
    visitor.page.on("requestfinished", lambda request: sizes.append(sum(request.sizes().values())))
    visitor.page.goto(made.organiser.invite(made.meeting()))
    visitor.page.locator("camera-preview video").wait_for()
    assert len(sizes) > 8
    assert sum(sizes) < FIRST_VIEW_BYTES, sizes


def test_requests_of_the_page_never_contain_the_code(made):
    asked = []
    visitor = made.visit("about:blank")
    visitor.page.on("request", lambda request: asked.append((request.url, request.headers.get("referer", ""))))
    url = made.organiser.invite(made.meeting())
    code = url.partition("#")[2]
    visitor.page.goto(url)
    visitor.join("Grace Hopper")
    visitor.sees("You")
    assert len(asked) > 10
    assert [one for one in asked if code in one[1] or code in one[0].partition("#")[0]] == []


def test_reload_keeps_the_same_person(made):
    link = made.meeting()
    visitor = made.visit(made.organiser.invite(link, maxUses=1))
    visitor.join("Grace Hopper")
    visitor.sees("You")
    visitor.page.reload()
    visitor.sees("You")
    [grace] = made.organiser("GET", f"/session/{link}/attendees")
    assert (grace["name"], len(grace["connections"])) == ("Grace Hopper", 2)


def test_going_back_leaves_the_meeting(made):
    link = made.meeting()
    visitor = made.pupil(link)
    visitor.sees("You")
    visitor.page.go_back()
    visitor.reads("You left")
    wait_until_gone(made, link)


def test_waiting_page_joins_when_the_meeting_opens(made):
    visitor = made.visit(made.organiser.invite(scenes.scheduled(made, minutes=15 + OPENS_SOON_SECONDS / 60)))
    visitor.page.get_by_label("Your name").fill("Grace Hopper")
    visitor.page.get_by_role("button", name="Wait here").click()
    visitor.sees("You")
    assert visitor.problems == []


def test_page_uses_the_clock_of_the_service(made):
    """A device whose clock is an hour ahead would ask for a token all the time; one that is behind would come late."""
    url = made.organiser.invite(scenes.scheduled(made, minutes=15 + 10))
    visitor = made.visit("about:blank")
    visitor.page.clock.install(time=time.time() + 3600)
    visitor.page.goto(url)
    visitor.page.get_by_text(re.compile(r"in (9|10) minutes")).first.wait_for()


def test_waiting_person_comes_in_when_the_host_admits_them(made):
    link = made.meeting()
    pupil = made.pupil(link, admission="ask")
    teacher = made.teacher(link)
    teacher.room.locator(".badge").get_by_text("1").wait_for()
    pupil.page.reload()  # who waits goes on waiting
    pupil.page.get_by_role("button", name="Stop waiting").wait_for()
    teacher.press("People")
    teacher.page.get_by_role("button", name="Admit").click()
    pupil.sees("You", "Ada Lovelace")
    assert (teacher.problems, pupil.problems) == ([], [])


def test_lost_connection_is_restored_as_the_same_person(made):
    link = made.meeting()
    visitor = made.pupil(link)
    visitor.sees("You")
    [connection] = made.organiser("GET", f"/session/{link}/attendees")[0]["connections"]
    made.dev.act("drop", connection=connection["id"])
    visitor.room.get_by_text("Reconnecting…").wait_for()
    visitor.room.get_by_text("Reconnecting…").wait_for(state="hidden")
    visitor.sees("You")
    [grace] = made.organiser("GET", f"/session/{link}/attendees")
    assert (grace["active"], len(grace["connections"])) == (True, 2)


def test_closed_tab_leaves(made):
    link = made.meeting()
    visitor = made.pupil(link)
    visitor.sees("You")
    visitor.page.close(run_before_unload=True)
    wait_until_gone(made, link)


def wait_until_gone(made, link):
    """Wait until the service shows that the one attendee has left."""
    deadline = time.monotonic() + 5
    while made.organiser.attendees(link) != {"Grace Hopper": False}:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_camera_that_is_off_is_not_filmed(made):
    visitor = scenes.alone(made)
    visitor.press("Switch the camera off")
    visitor.room.get_by_role("button", name="Switch the camera on").wait_for()
    assert visitor.room.locator("person-tile[own] video").evaluate("video => video.srcObject") is None
    visitor.press("Switch the camera on")
    visitor.room.locator("person-tile[own][picture]").wait_for()


def test_camera_that_was_off_stays_off_after_a_reload(made):
    visitor = made.visit(made.organiser.invite(made.meeting()))
    visitor.page.get_by_role("button", name="Switch the camera off").click()
    visitor.join("Grace Hopper")
    visitor.sees("You")
    visitor.page.reload()
    visitor.sees("You")
    visitor.room.get_by_role("button", name="Mute the microphone").wait_for()
    assert visitor.room.get_by_role("button", name="Switch the camera on").is_visible()


def test_page_that_was_left_stops_the_camera(made):
    visitor = scenes.left(made)
    visitor.page.wait_for_function("!document.querySelector('camera-preview video').srcObject?.active")


def test_viewer_is_not_asked_for_the_camera(made):
    visitor = made.visit("about:blank")
    visitor.context.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => { throw new Error('the page asked for the camera'); }"
    )
    visitor.page.goto(made.organiser.invite(made.meeting(), role="subscriber"))
    visitor.join("Grace Hopper")
    visitor.sees("You")
    assert not visitor.room.get_by_role("button", name="microphone").is_visible()
    assert visitor.problems == []


@pytest.mark.parametrize(
    "name", scenes.HOSTILE, ids=["html", "override", "zero-width", "long", "marks", "rtl", "script"]
)
def test_hostile_name_changes_its_own_tile_alone(made, name):
    link = made.meeting()
    made.join(link, "Alan Turing")
    visitor = made.teacher(link)
    visitor.sees("You", "Alan Turing")
    made.join(link, name)
    visitor.room.locator("person-tile").nth(2).wait_for()
    assert visitor.room.locator("person-tile figcaption bdi").first.text_content() == "Alan Turing"
    captions = visitor.room.locator("figcaption").evaluate_all(
        """captions => captions.map((one) => {
            const [inner, outer] = [one.getBoundingClientRect(), one.closest("person-tile").getBoundingClientRect()];
            return [inner.height, inner.left >= outer.left && inner.right <= outer.right && inner.top >= outer.top];
        })"""
    )
    assert captions == [captions[0]] * 3, "each name stands on one line in its own tile"
    assert visitor.room.locator("figcaption bdi").nth(1).text_content().strip()
    assert visitor.page.title() == scenes.TITLE
    assert visitor.room.locator("img, script:not([src])").count() == 0
    assert visitor.problems == []


def test_name_of_any_length_is_cut_in_the_middle(made):
    visitor = made.visit(f"{made.dev.url}/join")
    script = """async (name) => {
        const { nameElement, initials } = await import("/pages/join/elements.js");
        const { textContent, title, localName } = nameElement(name, "Guest");
        return [textContent, title.length, localName, initials(name)];
    }"""
    assert visitor.page.evaluate(script, "Ada " * 250) == [f"{'Ada ' * 7}…Ada Ada Ada", 500, "bdi", "AA"]
    assert visitor.page.evaluate(script, "\u200b\u2060")[0] == "Guest"
    assert visitor.page.evaluate(script, "Ada")[:2] == ["Ada", 0]
