"""What went out: the log of events, and a subscription whose receiver fails at first."""

import pytest

from tests.browser.console.test_acting import Api, confirm, eventually
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
        assert eventually(lambda: len(receiver.requests) >= 1)
        api("DELETE", f"/event-subscriptions/{made['id']}")
        tab.faults.clear()  # what is read after the deletion is not found
