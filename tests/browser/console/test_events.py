"""What went out: the log of events, and a subscription whose receiver fails at first."""

import json

import pytest

from tests.browser.console.test_acting import Api, confirm, eventually
from tests.browser.story import bearer
from tests.support import receiver as receivers
from tests.support.chromium import needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium]


def test_log_shows_the_newest_first_and_the_body(open_console, school):
    tab = open_console("#/events")
    assert tab.page.locator("tbody tr").count() == 50
    tab.page.get_by_role("button", name="Show more").click()
    tab.settle()
    shown = tab.page.locator("tbody time").evaluate_all("all => all.map(one => one.dateTime)")
    newest = Api(school)("GET", "/events?before=now&limit=100")["items"]
    assert shown == [event["at"] for event in newest[: len(shown)]]
    assert len(shown) > 50
    tab.go(f"#/events?meetingLink={school.links['lesson']}")
    numbers = [int(text) for text in tab.texts("tbody td:nth-child(3)")]
    assert numbers == list(range(len(numbers), 0, -1)), "the events of a meeting are numbered without gaps"
    tab.page.locator("tbody .as-link").first.click()
    assert school.links["lesson"] in tab.page.locator("dialog pre").inner_text()


def test_failing_receiver_shows_its_answers_and_is_sent_again(open_console, school):
    api = Api(school)
    with receivers.receiver() as receiver:
        receiver.answer = (500, {}, b"the register is closed")
        made = api("POST", "/event-subscriptions", {"url": receiver.url, "description": "A register"})
        tab = open_console(f"#/events/subscriptions/{made['id']}")
        tab.page.get_by_role("button", name="Send a test").click()
        confirm(tab, "Send a test", done="The test is on its way")
        tab.page.locator("tbody .attempt.bad").first.wait_for()
        tab.page.locator("tbody .attempts").first.click()
        dialog = tab.page.locator("dialog")
        assert "500" in dialog.inner_text()
        assert "the register is closed" in dialog.inner_text()
        assert "type ping" in dialog.inner_text(), "a test is not an event of the log"
        assert eventually(lambda: len(receiver.requests) >= 1)
        api("DELETE", f"/event-subscriptions/{made['id']}")
        tab.faults.clear()  # what is read after the deletion is not found


def test_delivery_shows_the_body_that_was_sent(open_console, school):
    api = Api(school)
    with receivers.receiver() as receiver:
        made = api("POST", "/event-subscriptions", {"url": receiver.url, "types": ["meeting.created"]})
        link = api.meeting()
        assert eventually(lambda: len(receiver.requests) >= 1)
        tab = open_console(f"#/events/subscriptions/{made['id']}")
        tab.page.locator("tbody .attempt.good").first.wait_for()
        tab.page.locator("tbody .attempts").first.click()
        tab.page.locator("dialog pre").first.wait_for()
        shown = json.loads(tab.page.locator("dialog pre").first.inner_text())
        assert shown == receiver.events[0]
        assert shown["meetingLink"] == link
        tab = open_console(f"#/events/subscriptions/{made['id']}", token=bearer(["ManageEventSubscriptions"]))
        tab.page.locator("tbody .attempts").first.click()
        assert "needs the permission GetEvents" in tab.page.locator("dialog").inner_text()
        assert not [asked for asked in tab.asked if "/events?" in asked]
        api("DELETE", f"/event-subscriptions/{made['id']}")
        tab.faults.clear()  # what is read after the deletion is not found


def test_delivery_of_a_deleted_event_says_so(open_console, school):
    tab = open_console("#/events/subscriptions/Kq3nVb8sYt0L")
    tab.page.route("**/events?before=*", lambda route: route.fulfill(json={"items": [], "next": 0}))
    tab.page.locator("tbody .attempts").first.click()
    tab.page.locator("dialog").get_by_text("the log no longer has").wait_for()
