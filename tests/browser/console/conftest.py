"""The console at a service with a history: a school's and a clinic's, told in tests/browser/story.py."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.browser.story import bearer, served, tell
from tests.support.dev_server import DevServer
from tools.visitors import chromium

WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) => console.error("policy: " + event.violatedDirective));
"""


@dataclass
class Tab:
    """One tab with the console, and everything that went wrong in it."""

    page: Any
    faults: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    under_way: set[Any] = field(default_factory=set)
    """Requests without an answer, but for those that wait for events."""

    def go(self, fragment: str) -> None:
        """Show another view, as a link does."""
        self.page.evaluate("fragment => { location.hash = fragment }", fragment)
        self.settle()

    def settle(self) -> None:
        """Wait until nothing is read any more, and no skeleton stands where something will be."""
        quiet = 0
        while quiet < 3:
            self.page.wait_for_timeout(25)
            quiet = 0 if self.under_way else quiet + 1
        self.page.wait_for_function("() => !document.querySelector('.skeleton, main[aria-busy=true]')")

    def buttons(self) -> set[str]:
        """The words of all buttons of the view."""
        shown = self.page.locator("main button:visible")
        return {text.strip() for text in shown.evaluate_all("all => all.map(one => one.ariaLabel || one.textContent)")}

    def texts(self, selector: str) -> list[str]:
        return [text.strip() for text in self.page.locator(selector).all_inner_texts()]


def watched(page: Any) -> Tab:
    tab = Tab(page)

    def answered(response: Any) -> None:
        tab.asked.append(f"{response.request.method} {response.url}")
        if response.status >= 400:
            tab.faults.append(f"{response.status} {response.request.method} {response.url}")

    page.on("pageerror", lambda error: tab.faults.append(f"script: {error}"))
    page.on(
        "console",
        lambda line: tab.faults.append(f"console: {line.text}") if line.type in ("error", "warning") else None,
    )
    page.on("response", answered)
    page.on("request", lambda request: None if "wait=" in request.url else tab.under_way.add(request))
    page.on("requestfinished", lambda request: tab.under_way.discard(request))
    page.on("requestfailed", lambda request: tab.under_way.discard(request))
    page.on(
        "requestfailed",
        lambda request: (
            tab.faults.append(f"failed: {request.url} {request.failure}")
            if "ABORTED" not in str(request.failure)
            else None
        ),
    )
    page.add_init_script(WATCH_POLICY)
    return tab


@dataclass(frozen=True)
class School:
    """The service with its story: its server, and the links of the meetings that tests look at."""

    server: DevServer
    links: dict[str, str]

    @property
    def url(self) -> str:
        return self.server.url


@pytest.fixture(scope="package")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    folder = tmp_path_factory.mktemp("school")
    links = tell(folder)
    with served(
        folder, VIDEOCONF_LOG_LEVEL="ERROR", VIDEOCONF_JOIN_PAGE="false", VIDEOCONF_EVENT_HOSTS="127.0.0.1"
    ) as server:
        yield School(server, links)


@pytest.fixture(scope="module")  # one that outlived the folder would keep other tests from starting Playwright
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def open_console(browser: Any, school: School) -> Iterator[Callable[..., Tab]]:
    """Give a function that opens the console in a browser of its own, by default with every permission.

    Whatever went wrong in a tab fails the test at its end, unless the test has emptied ``tab.faults``.
    """
    tabs: list[Tab] = []

    def open_one(fragment: str = "", *, token: str | None = None, url: str | None = None, **options: Any) -> Tab:
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "timezone_id": "Europe/Berlin", "locale": "en-GB", **options}
        )
        context.set_default_timeout(15_000)
        tab = watched(context.new_page())
        tabs.append(tab)
        if token != "":
            tab.page.add_init_script(
                f"if (!sessionStorage.length) sessionStorage.setItem('videoconf.token', '{token or bearer()}')"
            )
        tab.page.goto(f"{url or school.url}/console{fragment}")
        tab.settle()
        return tab

    yield open_one
    for tab in tabs:
        tab.page.context.close()
    assert [fault for tab in tabs for fault in tab.faults] == []
