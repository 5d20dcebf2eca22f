"""Screenshots of every view and state of the console, from the story of a school: ``make screenshots``.

They go to ``build/screenshots/console``: each at 390 and 1280 pixels, in the light and in the dark.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.browser.story import CLINIC, bearer, served, tell

BUILD = Path(__file__).parents[2] / "build/screenshots/console"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SIZES = {"phone": (390, 844), "desk": (1280, 900)}
SCHEMES = ("light", "dark")


def settle(page: Any) -> None:
    page.wait_for_load_state("load")
    page.wait_for_timeout(450)


def open_dialog(label: str) -> Callable[[Any], None]:
    def act(page: Any) -> None:
        page.get_by_role("button", name=label, exact=True).first.click()
        page.wait_for_selector("dialog")

    return act


def scroll_to(title: str) -> Callable[[Any], None]:
    return lambda page: page.get_by_role("heading", name=title, exact=True).first.evaluate(
        "one => one.scrollIntoView()"
    )


def focus_dropped(page: Any) -> None:
    """Point at the connection whose leave was inferred."""
    page.locator("g.bar.inferred").first.focus()
    page.wait_for_timeout(700)


def focus_first(page: Any) -> None:
    """Point at a connection that sent two streams."""
    page.locator("g.bar").first.focus()
    page.wait_for_timeout(700)


def open_table(page: Any) -> None:
    page.locator(".as-table summary").click()
    page.locator(".as-table").evaluate("one => one.scrollIntoView()")


def set_rule(page: Any) -> None:
    page.evaluate(
        "() => { const one = document.querySelector('input[type=range]'); one.value = 80;"
        " one.dispatchEvent(new Event('input')); }"
    )
    page.wait_for_timeout(500)
    scroll_to("Attendance")(page)


def open_menu(selector: str) -> Callable[[Any], None]:
    return lambda page: page.locator(selector).first.click()


def type_search(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("lesson-7b-0412")


VIEWS: dict[str, tuple[str, Callable[[Any], None] | None]] = {
    "meetings": ("#/meetings", None),
    "meetings-filtered": ("#/meetings?status=ended&sort=created", open_menu("vc-filters summary")),
    "meetings-empty": ("#/meetings?extId=no-such-id", None),
    "search": ("#/meetings", type_search),
    "token": ("#/meetings", open_menu(".who summary")),
    "meeting": ("#/meetings/{lesson}", None),
    "meeting-card": ("#/meetings/{lesson}", focus_dropped),
    "meeting-streams": ("#/meetings/{lesson}", focus_first),
    "meeting-table": ("#/meetings/{lesson}", open_table),
    "meeting-rule": ("#/meetings/{lesson}", set_rule),
    "meeting-why": ("#/meetings/{lesson}", lambda page: page.get_by_role("button", name="Why does Tomás").click()),
    "meeting-open": ("#/meetings/{physics}", None),
    "meeting-menu": ("#/meetings/{physics}", lambda page: page.locator(".acts summary").nth(1).click()),
    "meeting-end": ("#/meetings/{physics}", open_dialog("End")),
    "meeting-invite": ("#/meetings/{physics}", open_dialog("Invite")),
    "meeting-empty": ("#/meetings/{planned}", None),
    "person": ("#/persons/p-tomas", None),
    "person-erase": ("#/persons/p-tomas", open_dialog("Erase this person")),
    "archives": ("#/archives", None),
    "archives-hold": ("#/archives", open_dialog("Put on hold")),
    "events": ("#/events", None),
    "event-body": ("#/events", lambda page: page.locator("tbody .as-link").nth(2).click()),
    "subscriptions": ("#/events/subscriptions", None),
    "deliveries": ("#/events/subscriptions/{subscription}", None),
    "delivery": ("#/events/subscriptions/{subscription}", lambda page: page.locator("tbody .attempts").nth(1).click()),
    "webhooks": ("#/webhooks", None),
    "webhooks-refused": ("#/webhooks?status=rejected", None),
    "webhooks-orphans": ("#/webhooks?status=orphan", None),
    "providers": ("#/providers", None),
    "jobs": ("#/jobs", None),
    "jobs-dead": ("#/jobs?state=dead", None),
    "audit": ("#/audit", None),
    "unknown": ("#/nothing", None),
    "missing": ("#/meetings/pX3mJ5v0Qy2cZ1tB7kLw9A", None),
}


class Camera:
    """Takes the screenshots of one size of window in one colour scheme."""

    def __init__(
        self, browser: Any, server: Any, links: dict[str, str], size: str, scheme: str, only: tuple[str, ...]
    ) -> None:
        width, height = SIZES[size]
        self._options = {
            "viewport": {"width": width, "height": height},
            "color_scheme": scheme,
            "locale": "en-GB",
            "timezone_id": "Europe/Berlin",
            "has_touch": size == "phone",
            "is_mobile": size == "phone",
        }
        self._browser, self._url, self._links, self._only = browser, server.url, links, only
        self._folder = BUILD / f"{size}-{scheme}"
        self._folder.mkdir(parents=True, exist_ok=True)

    def shoot(
        self,
        name: str,
        fragment: str,
        act: Any = None,
        *,
        token: str | None = None,
        prepare: Any = None,
        full: bool = False,
    ) -> None:
        if self._only and name not in self._only:
            return
        context = self._browser.new_context(**self._options)
        page = context.new_page()
        page.on("console", lambda message: print(f"{name}: {message.text}") if message.type == "error" else None)
        page.on("pageerror", lambda error: print(f"{name}: {error}"))
        if prepare:
            prepare(page)
        if token != "":
            context.add_init_script(f"sessionStorage.setItem('videoconf.token', '{token or bearer()}')")
        page.goto(f"{self._url}/console{fragment.format(**self._links)}")
        settle(page)
        if act:
            act(page)
            page.wait_for_timeout(250)
        page.screenshot(path=self._folder / f"{name}.png", full_page=full)
        context.close()

    def shoot_all(self) -> None:
        for name, (fragment, act) in VIEWS.items():
            self.shoot(name, fragment, act)
        for name in ("meeting", "meeting-open", "providers"):
            self.shoot(f"{name}-whole", VIEWS[name][0], full=True)
        self.shoot("sign-in", "", token="")
        self.shoot("refused", "#/jobs", token=bearer(["GetMeetings"]))
        self.shoot("read-only", "#/meetings/{lesson}", token=bearer(["GetMeetings", "GetMeetingAttendees"]))
        self.shoot("clinic", "#/meetings", token=bearer(tenant=CLINIC))
        self.shoot("loading", "#/meetings", prepare=lambda page: page.route("**/session?*", lambda route: None))
        self.shoot("failed", "#/meetings", prepare=lambda page: page.route("**/session?*", lambda route: route.abort()))


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="take those alone")
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--schemes", nargs="*", default=list(SCHEMES), choices=list(SCHEMES))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        links = tell(folder)
        with (
            served(folder, VIDEOCONF_LOG_LEVEL="ERROR", VIDEOCONF_JOIN_PAGE="false") as server,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(
                executable_path=BROWSER, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            for size in asked.sizes:
                for scheme in asked.schemes:
                    Camera(browser, server, links, size, scheme, tuple(asked.names)).shoot_all()
            browser.close()
    print(f"Screenshots: {BUILD}")


if __name__ == "__main__":
    main()
