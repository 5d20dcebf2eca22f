"""What can be done in the console, each thing asked for first: the service has done it, and the page says so."""

import json
import time
import urllib.request

import pytest

from tests.browser.story import bearer
from tests.support.chromium import needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium]


class Api:
    """A back end that calls the service."""

    def __init__(self, school, tenant=None):
        self.school = school
        self.tenant = tenant

    def __call__(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {bearer(tenant=self.tenant)}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.school.url}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def meeting(self, *people, **options):
        """Make a meeting with people in it."""
        link = self("POST", "/session", {"extId": "acting", "extMetadata": {"title": "A lesson"}, **options})
        for name in people:
            self.join(link, name)
        return link

    def join(self, link, name):
        token = self("POST", f"/session/{link}/token", {"attendee": f"p-{name.lower()}", "name": name})["token"]
        connection = self.school.server.act("join", token=token)["connection"]
        self.school.server.act("publish", connection=connection)
        return connection

    def here(self, link):
        return sorted(one["name"] or "" for one in self("GET", f"/session/{link}/attendees?active=true"))


@pytest.fixture
def api(school):
    return Api(school)


def eventually(holds, seconds=8):
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.2)
    return holds()


def confirm(tab, label, *, done):
    """Press the button of the question that is open, and wait for the line that says it was done."""
    tab.page.locator("dialog button[type=submit]", has_text=label).click()
    tab.page.locator(".toast", has_text=done).wait_for()
    tab.settle()


def act_on(tab, name, label):
    tab.page.get_by_role("button", name=f"Actions for {name}").or_(tab.page.get_by_label(f"Actions for {name}")).click()
    tab.page.locator(".acts details[open] .choice", has_text=label).click()


def test_meeting_is_ended_after_a_question(open_console, api):
    link, other = api.meeting("Ada", "Bo"), api.meeting("Cy")
    tab = open_console(f"#/meetings/{link}")
    tab.page.get_by_role("button", name="End", exact=True).click()
    assert "2 people are disconnected" in tab.page.locator("dialog").inner_text()
    tab.page.keyboard.press("Escape")
    assert api("GET", f"/session/{link}")["status"] == "open", "a question that is left does nothing"
    tab.page.get_by_role("button", name="End", exact=True).click()
    confirm(tab, "End", done="The meeting has ended")
    assert api("GET", f"/session/{link}")["status"] == "ended"
    assert api("GET", f"/session/{other}")["status"] == "open"
    assert tab.texts("h1 .state") == ["Ended"]


def test_person_is_disconnected_and_banned(open_console, api):
    link = api.meeting("Ada", "Bo", "Cy")
    tab = open_console(f"#/meetings/{link}")
    act_on(tab, "Bo", "Disconnect")
    confirm(tab, "Disconnect", done="Bo was disconnected")
    assert eventually(lambda: api.here(link) == ["Ada", "Cy"]), "the provider reports it a moment later"
    act_on(tab, "Cy", "Ban")
    tab.page.get_by_label("Reason, for the record").fill("Disturbs")
    confirm(tab, "Ban", done="Cy is banned")
    bans = api("GET", f"/session/{link}/bans")
    assert [(ban["attendee"], ban["reason"]) for ban in bans] == [("p-cy", "Disturbs")]
    tab.page.get_by_role("button", name="Lift the ban").click()
    confirm(tab, "Lift the ban", done="is lifted")
    assert api("GET", f"/session/{link}/bans") == []


def test_people_are_muted(open_console, api):
    link = api.meeting("Ada", "Bo")
    tab = open_console(f"#/meetings/{link}")
    act_on(tab, "Ada", "Mute")
    confirm(tab, "Mute", done="Ada was muted")
    tab.page.get_by_role("button", name="Mute all").click()
    confirm(tab, "Mute all", done="Everyone was muted")
    actions = [entry["action"] for entry in api("GET", f"/audit?meetingLink={link}")]
    assert {"attendee.muted", "meeting.muted"} <= set(actions)


def test_meeting_is_recorded_and_the_recording_stopped(open_console, api):
    link = api.meeting("Ada")
    tab = open_console(f"#/meetings/{link}")
    tab.page.get_by_role("button", name="Record", exact=True).click()
    tab.page.get_by_label("Name of the recording").fill("Part 1")
    confirm(tab, "Record", done="The recording has started")
    [archive] = api("GET", f"/archives?meetingLink={link}")["items"]
    assert archive["name"] == "Part 1"
    assert "Record" not in tab.buttons()
    tab.page.get_by_role("button", name="Stop recording").click()
    confirm(tab, "Stop recording", done="The recording has stopped")
    assert api("GET", f"/archives/{archive['id']}")["status"] != "started"


def test_empty_meeting_offers_no_recording(open_console, api):
    tab = open_console(f"#/meetings/{api.meeting()}")
    assert "Record" not in tab.buttons()
    assert "No one has joined yet" in tab.page.locator("main").inner_text()


def test_invitation_is_made_shown_once_and_revoked(open_console, api):
    link = api.meeting()
    tab = open_console(f"#/meetings/{link}")
    tab.page.get_by_role("button", name="Invite").click()
    tab.page.get_by_label("Role").select_option("moderator")
    tab.page.get_by_label("Name, for one person").fill("Ada")
    tab.page.get_by_label("People who may use it").fill("1")
    tab.page.get_by_role("button", name="Make a link").click()
    url = tab.page.get_by_role("textbox", name="Send this link").input_value()
    assert "/join#" in url
    [made] = api("GET", f"/session/{link}/invitations")
    assert (made["role"], made["name"], made["maxUses"]) == ("moderator", "Ada", 1)
    tab.page.get_by_role("button", name="Close").click()
    tab.page.get_by_role("button", name="Revoke").click()
    confirm(tab, "Revoke", done="The invitation is revoked")
    assert api("GET", f"/session/{link}/invitations")[0]["revokedOn"] is not None


def test_invitation_offers_only_roles_of_the_token(open_console, api):
    token = bearer(["GetMeetings", "GenerateMeetingToken"], meetingRoles=["subscriber"])
    tab = open_console(f"#/meetings/{api.meeting()}", token=token)
    tab.page.get_by_role("button", name="Invite").click()
    assert tab.texts("dialog select >> nth=0 >> option") == ["Listener"]


def test_archive_is_put_on_hold_and_released(open_console, api):
    tab = open_console("#/archives?status=failed")
    [archive] = api("GET", "/archives?status=failed")["items"]
    for label, done, expected in (("Put on hold", "is on hold", True), ("Take off hold", "is off hold", False)):
        tab.page.get_by_role("button", name=label).click()
        confirm(tab, label, done=done)
        assert api("GET", f"/archives/{archive['id']}")["legalHold"] is expected


def test_recording_is_downloaded_without_the_opener(open_console):
    tab = open_console("#/archives?status=available")
    with tab.page.context.expect_event(
        "request", lambda request: "/media/" in request.url or "archive" in request.url.split("/")[3]
    ):
        tab.page.get_by_role("button", name="Download").first.click()
    tab.faults.clear()


def test_dead_job_is_retried(open_console, api):
    tab = open_console("#/jobs?state=dead")
    before = len(api("GET", "/jobs?state=dead"))
    tab.page.get_by_role("button", name="Retry").first.click()
    confirm(tab, "Retry", done="The job is due again")
    assert tab.page.locator("tbody tr").count() == before - 1


def test_person_is_erased_only_after_their_id_is_typed(open_console, api):
    link = api.meeting("Dora", "Emil")
    tab = open_console("#/persons/p-dora")
    tab.page.get_by_role("button", name="Erase this person").click()
    button = tab.page.locator("dialog button[type=submit]")
    tab.page.locator("dialog input").fill("p-dor")
    assert button.is_disabled()
    tab.page.keyboard.press("Enter")
    assert "Dora" in api.here(link)
    tab.page.locator("dialog input").fill("p-dora")
    confirm(tab, "Erase this person", done="1 connection is anonymous now")
    assert [one["name"] for one in api("GET", f"/session/{link}/attendees")].count("Dora") == 0
    assert "Emil" in api.here(link)
    assert "No meeting knows this person" in tab.page.locator("main").inner_text()


def test_person_is_exported(open_console, api):
    api.meeting("Fay")
    tab = open_console("#/persons/p-fay")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Export what is stored").click()
    exported = json.loads(download.value.path().read_text())
    assert (exported["attendee"], len(exported["connections"])) == ("p-fay", 1)


def test_dialog_shows_why_the_service_refused(open_console, api):
    link = api.meeting("Ada")
    tab = open_console(f"#/meetings/{link}")
    tab.page.get_by_role("button", name="End", exact=True).click()
    api("PATCH", f"/session/{link}/end")
    tab.page.locator("dialog button[type=submit]").click()
    problem = tab.page.locator("dialog .problem")
    problem.wait_for()
    assert problem.inner_text() != ""
    assert tab.page.locator("dialog").is_visible()
    assert [fault for fault in tab.faults if "409" in fault]
    tab.faults.clear()


def test_newcomer_appears_without_a_reload(open_console, api):
    link = api.meeting("Ada")
    tab = open_console(f"#/meetings/{link}")
    api.join(link, "Newcomer")
    tab.page.locator("td", has_text="Newcomer").wait_for(timeout=12_000)
    assert "Newcomer" in tab.page.locator(".labels").inner_text()
