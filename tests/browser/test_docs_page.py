"""The documentation page, as a person uses it: each prefilled request is sent as it stands to a fresh ``make run``."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.dev_server import DevServer, dev_server_in

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (apt-get install chromium)"),
]

FIRST = ["getMeetingLink", "getMeetingToken", "JOIN", "startArchive", "stopArchive", "AVAILABLE"]
FIRST += ["createInvitation", "banAttendee", "createSubscription"]
"""Operations that make what others need, and what people do meanwhile."""
LAST = [
    "editArchive",
    "downloadArchive",
    "deleteArchive",
    "setUploadTarget",
    "getUploadTarget",
    "deleteUploadTarget",
    "disconnectAttendee",
    "revokeInvitation",
    "liftBan",
    "deleteSubscription",
    "erasePerson",
    "editMeeting",
    "endSession",
    "deleteMeeting",
]
"""Operations that take things away, in an order in which each finds what it needs."""
LEFT_OUT = {
    "checkWebhookPayload": "providers sign it",
    "receiveWebhook": "providers sign it",
    "retryJob": "no job has given up",
    "replayWebhookEvent": "no event was refused",
    "join": "a code is known to whoever was invited",
    "getInvitedMeeting": "a code is known to whoever was invited",
    "joinWithTicket": "no guest waits",
    "answerLobby": "no guest waits",
    "retryDelivery": "no delivery has failed for good",
}
MADE = {
    "getMeetingToken": ("token", "token"),
    "startArchive": ("archiveId", "id"),
    "createInvitation": ("invitationId", "id"),
    "banAttendee": ("banId", "id"),
    "createSubscription": ("subscriptionId", "id"),
}
"""Operations that make something: the name of its id in paths, and in the answer."""


@pytest.fixture(scope="module")
def dev(make_memory_folder) -> Iterator[DevServer]:
    with dev_server_in(make_memory_folder()) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, dev) -> Iterator[Any]:
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(f"{dev.url}/")
    opened.wait_for_selector(".opblock")
    assert opened.url == f"{dev.url}/docs"
    yield opened
    context.close()


def authorize(page: Any, token: str) -> None:
    page.click(".auth-wrapper .authorize")
    page.fill(".modal-ux input", token)
    page.click(".modal-ux button[type=submit]")
    page.click(".modal-ux .btn-done")


class Walk:
    """Sends the prefilled requests one after another, and fills in only ids of paths, from answers before."""

    def __init__(self, page: Any, dev: DevServer) -> None:
        self._page = page
        self._dev = dev
        self._ids: dict[str, str] = {}
        self.sent: dict[str, int] = {}

    def operations(self) -> dict[str, int]:
        """Each operation's name with its place on the page."""
        ids = self._page.eval_on_selector_all(".opblock", "all => all.map(one => one.id.replaceAll('\\\\', ''))")
        # Webhooks are shown too, and have nothing to send.
        operations = [(id, place) for place, id in enumerate(ids) if ".on." not in id]
        return {id.rpartition(".")[2].rpartition("-")[2]: place for id, place in operations}

    def go(self, name: str, place: int) -> None:
        if name == "JOIN":
            self._ids["connectionId"] = self._dev.act("join", token=self._ids["token"])["connection"]
            return
        block = self._page.locator(".opblock").nth(place)
        if "is-open" not in (block.get_attribute("class") or ""):
            block.locator(".opblock-summary-control").first.click()
        # The page shows the button before it knows the operation's parameters, for a second or more.
        block.locator(".responses-inner").wait_for(timeout=60_000)
        for row in block.locator("tr[data-param-in=path]").all():
            row.locator("input").fill(self._ids[row.get_attribute("data-param-name")])
        block.locator(".execute").click()
        answer = block.locator(".live-responses-table tbody .response-col_status").first
        answer.wait_for(timeout=20_000)
        self.sent[name] = int(answer.inner_text().split()[0])
        body = block.locator(".live-responses-table tbody .response-col_description pre").first
        if name == "getMeetingLink":
            self._ids["meetingLinkId"] = json.loads(body.inner_text())
        elif name in MADE:
            of_path, of_answer = MADE[name]
            self._ids[of_path] = json.loads(body.inner_text())[of_answer]
        block.locator(".opblock-summary-control").first.click()


def test_every_prefilled_request_works_unchanged(page, dev):
    authorize(page, dev.token)
    walk = Walk(page, dev)
    shown = walk.operations()
    others = [name for name in shown if name not in {*FIRST, *LAST, *LEFT_OUT}]
    assert {*LEFT_OUT, *LAST} <= {*shown, "replayWebhookEvent"}
    for name in [*FIRST, *others, *LAST]:
        if name == "AVAILABLE":
            page.wait_for_timeout(4000)  # the fake finishes the recording by itself
            continue
        walk.go(name, shown.get(name, 0))
    assert {name: status for name, status in walk.sent.items() if status >= 300} == {}
    assert set(walk.sent) == set(shown) - set(LEFT_OUT)


def test_token_survives_a_reload(page, dev):
    authorize(page, dev.token)
    page.reload()
    page.wait_for_selector(".opblock")
    walk = Walk(page, dev)
    walk.go("getMeetings", walk.operations()["getMeetings"])
    assert walk.sent == {"getMeetings": 200}


@pytest.mark.parametrize("path", ["/", "/docs/", "/docs"])
def test_short_addresses_lead_to_the_page(browser, dev, path):
    page = browser.new_page()
    page.goto(f"{dev.url}{path}")
    page.wait_for_selector(".opblock")
    page.close()


def test_operations_are_on_the_screen_of_a_phone(browser, dev):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{dev.url}/docs")
    page.wait_for_selector(".opblock")
    heads = page.eval_on_selector_all(".opblock-tag", "all => all.map(one => one.getBoundingClientRect().height)")
    assert max(heads) < 200, "a tag's description must not become a column of letters"
    first = page.locator(".opblock").first.bounding_box()
    assert first["y"] < 844
    assert first["x"] >= 0
    assert first["x"] + first["width"] <= 390
    page.close()
