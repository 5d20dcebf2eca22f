"""Every view, with tokens of different permissions and of two tenants: nothing is shown that the API would refuse."""

import pytest

from tests.browser.story import CLINIC, LESSON, PUPILS, bearer
from tests.support.chromium import needs_chromium
from tests.support.settings import ALL_PERMISSIONS

pytestmark = [pytest.mark.browser, needs_chromium]

SECTIONS = {
    "Meetings": {"GetMeetings"},
    "Archives": {"GetMeetingArchives"},
    "Events": {"GetEvents", "ManageEventSubscriptions"},
    "Webhooks": {"GetWebhookEvents"},
    "Providers": {"GetProviders"},
    "Jobs": {"ManageOperations"},
    "Audit": {"GetAuditEntries"},
}
VIEWS = {
    "#/meetings": "Physics 9a: pendulums",
    "#/meetings?status=ended&sort=created": LESSON,
    "#/meetings?attendee=p-tomas": LESSON,
    "#/meetings?sort=scheduled": "Chemistry 10c: bases",
    "#/persons/p-tomas": "lesson-7b-0412",
    "#/archives": "Fractions, part 1",
    "#/archives?status=failed": "Subjunctive",
    "#/events": "Meeting ended",
    "#/events/subscriptions": "https://crm.northfield.example/hooks/video",
    "#/events/subscriptions/Kq3nVb8sYt0L": "Recording available",
    "#/events/subscriptions/Kq3nVb8sYt0L?status=failed": "Failed",
    "#/webhooks": "Applied",
    "#/webhooks?status=quarantined": "Set aside",
    "#/webhooks?status=rejected": "Refused webhook",
    "#/webhooks?status=orphan": "Waiting for its meeting",
    "#/providers": "Fake (in memory)",
    "#/jobs": "Dead",
    "#/jobs?state=dead": "End a meeting at the provider",
    "#/audit": "Created a meeting",
    "#/audit?action=archive.edited": "Edited a recording",
}


@pytest.mark.parametrize("width", [390, 1280])
def test_every_view_shows_its_content(open_console, school, width):
    tab = open_console("#/meetings", viewport={"width": width, "height": 900})
    for fragment, expected in {**VIEWS, f"#/meetings/{school.links['lesson']}": "Tomás Herrera"}.items():
        tab.go(fragment)
        assert expected in tab.page.locator("main").inner_text(), fragment
        overflow = tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, (fragment, overflow)


def test_view_stays_after_reload_and_back(open_console):
    tab = open_console("#/meetings?status=ended")
    tab.go("#/archives")
    tab.page.reload()
    tab.settle()
    assert tab.texts("h1") == ["Archives"]
    tab.page.go_back()
    tab.settle()
    assert tab.page.locator(".chip", has_text="Ended").count() == 1
    assert set(tab.texts("tbody .state")) == {"Ended"}


def test_filter_chip_sets_the_address_and_clears_it(open_console):
    tab = open_console("#/meetings")
    tab.page.locator("summary", has_text="Status").click()
    tab.page.get_by_role("button", name="Open", exact=True).click()
    tab.settle()
    assert tab.page.url.endswith("#/meetings?status=open")
    assert set(tab.texts("tbody .state")) == {"Open"}
    tab.page.locator("summary", has_text="Your id").click()
    tab.page.get_by_label("Your id").fill("lesson-7b-0412")
    tab.page.keyboard.press("Enter")
    tab.settle()
    assert tab.page.url.endswith("#/meetings?extId=lesson-7b-0412"), "of these filters one is set at a time"
    tab.page.get_by_role("button", name="Remove the filter Your id").click()
    tab.settle()
    assert tab.page.url.endswith("#/meetings")


def test_people_now_are_counted(open_console):
    tab = open_console("#/meetings")
    for title, people in (("Parents' evening: Novak", "2"), ("Physics 9a: pendulums", "6"), (LESSON, "–")):
        row = tab.page.locator("tbody tr", has_text=title)
        assert row.locator("td").nth(2).inner_text() == people, title


def test_search_leads_to_meetings_and_persons(open_console, school):
    tab = open_console("#/archives")
    tab.page.keyboard.press("/")
    tab.page.keyboard.type("p-tomas")
    tab.page.locator(".results a", has_text="Person").click()
    tab.settle()
    assert tab.page.url.endswith("#/persons/p-tomas")
    tab.page.keyboard.press("/")
    tab.page.keyboard.type(school.links["lesson"])
    tab.page.keyboard.press("Enter")
    tab.settle()
    assert LESSON in tab.texts("h1")[0]


# --- tokens ---------------------------------------------------------------------------------------------------------

SUBSETS = {
    "nothing": [],
    "meetings alone": ["GetMeetings"],
    "a reader": ["GetMeetings", "GetMeetingAttendees", "GetMeetingArchives"],
    "a host": ["GetMeetings", "GetMeetingAttendees", "StopMeeting", "ModerateMeeting", "GenerateMeetingToken"],
    "a recorder": ["GetMeetings", "GetMeetingArchives", "StartMeetingArchive", "StopMeetingArchive"],
    "an archivist": ["GetMeetingArchives", "DeleteMeetingArchive"],
    "a data officer": ["ManagePersons", "GetAuditEntries"],
    "webhooks without operations": ["GetWebhookEvents", "GetMeetings"],
    "an operator": ["ManageOperations", "GetProviders", "GetWebhookEvents"],
    "events alone": ["GetEvents"],
    "subscriptions alone": ["ManageEventSubscriptions"],
    "everything": list(ALL_PERMISSIONS),
}


@pytest.mark.parametrize("tenant", [None, CLINIC])
@pytest.mark.parametrize("who", SUBSETS)
def test_console_shows_and_requests_only_permitted_sections(open_console, school, who, tenant):
    granted = set(SUBSETS[who])
    tab = open_console("#/meetings", token=bearer(granted, tenant=tenant))
    expected = [name for name, needed in SECTIONS.items() if needed & granted]
    assert tab.page.locator("nav.rail a:visible").evaluate_all("all => all.map(one => one.textContent)") == expected
    link = school.links["lesson" if tenant is None else "clinic"]
    for fragment in (
        "#/meetings",
        f"#/meetings/{link}",
        "#/persons/p-tomas",
        "#/archives",
        "#/events",
        "#/webhooks",
        "#/providers",
        "#/jobs",
        "#/audit",
    ):
        tab.go(fragment)
        needed = {"#/persons/p-tomas": {"GetMeetingAttendees", "ManagePersons"}}.get(fragment)
        needed = needed or next(SECTIONS[name] for name in SECTIONS if fragment.startswith(f"#/{name.lower()}"))
        is_refused = "lacks the permission" in tab.page.locator("main").inner_text()
        assert is_refused is not bool(needed & granted), fragment


def test_other_tenant_sees_nothing_of_the_school(open_console, school):
    tab = open_console("#/meetings", token=bearer(tenant=CLINIC))
    for fragment in VIEWS:
        if not fragment.startswith(("#/jobs", "#/providers", "#/events/subscriptions/")):
            tab.go(fragment)
            text = tab.page.locator("main").inner_text()
            assert not [name for name in (LESSON, "Physics", *PUPILS.values()) if name in text], fragment
    assert tab.faults == []
    tab.go(f"#/meetings/{school.links['lesson']}")
    assert "belongs to another tenant" in tab.page.locator("main").inner_text()
    tab.faults.clear()  # a 404 is what it asked for


ACTIONS = {
    "StopMeeting": "End",
    "ModerateMeeting": "Mute all",
    "GenerateMeetingToken": "Invite",
    "StopMeetingArchive": "Stop recording",
}


@pytest.mark.parametrize("permission", ACTIONS)
def test_action_is_offered_only_with_its_permission(open_console, school, permission):
    reads = ["GetMeetings", "GetMeetingArchives", "GetMeetingAttendees"]
    tab = open_console(f"#/meetings/{school.links['physics']}", token=bearer([*reads, permission]))
    assert tab.buttons() & set(ACTIONS.values()) == {ACTIONS[permission]}


def test_ended_meeting_offers_no_action(open_console, school):
    tab = open_console(f"#/meetings/{school.links['lesson']}")
    assert tab.buttons() & {*ACTIONS.values(), "Record"} == set()


def test_only_a_permitted_caller_lifts_a_hold(open_console):
    reads = ["GetMeetingArchives", "DeleteMeetingArchive"]
    tab = open_console("#/archives", token=bearer(reads))
    assert "Take off hold" not in tab.buttons()
    tab = open_console("#/archives", token=bearer([*reads, "LiftLegalHold"]))
    assert "Take off hold" in tab.buttons()


def test_only_operators_see_refused_webhooks(open_console):
    for permissions, expected in ((["GetWebhookEvents"], 0), (["GetWebhookEvents", "ManageOperations"], 1)):
        tab = open_console("#/webhooks", token=bearer(permissions))
        tab.page.locator("summary", has_text="Status").click()
        assert tab.page.get_by_role("button", name="Refused", exact=True).count() == expected


def test_time_is_shown_in_utc_on_hover(open_console, school):
    tab = open_console("#/meetings", timezone_id="Asia/Tokyo")
    title = tab.page.locator("tbody time").first.get_attribute("title")
    assert title.endswith(" UTC")
