"""People who open the pages in headless Chromium, each in a browser of their own; whatever goes wrong is noted."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--use-fake-device-for-media-stream=fps=5",
    "--autoplay-policy=no-user-gesture-required",
)
SHOWN_MS = 30_000
EXPECTED = re.compile(r"^Failed to load resource: (the server responded with a status of (4|5)\d\d|net::ERR_)")
"""Chromium's own line for a request that was refused, which a page expects."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser, whose pages have a camera that films a test picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


class Visitor:
    """One person at a page, in a browser of their own.

    :param has_camera: whether the browser allows the camera and the microphone.
    :param hosts: hosts with their ports that the page may ask, besides the service's.
    """

    def __init__(
        self, browser: Browser, url: str, *, has_camera: bool = True, hosts: tuple[str, ...] = (), **options: Any
    ) -> None:
        service = urlsplit(url)
        self._allowed = {service.netloc, *hosts}
        self.problems: list[str] = []
        permissions = ["camera", "microphone"] if has_camera else []
        self.context: BrowserContext = browser.new_context(permissions=permissions, **options)
        self.context.set_default_timeout(SHOWN_MS)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        self.page.on("console", self._note)
        self.page.on("request", lambda request: self._check(request.url))
        self.page.on("websocket", lambda socket: self._check(socket.url))
        self.page.goto(url)

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning") and not EXPECTED.match(message.text):
            self.problems.append(f"{message.type}: {message.text}")

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc not in self._allowed:
            self.problems.append(f"request to another host: {url}")

    @property
    def room(self) -> FrameLocator:
        """The frame with the meeting."""
        return self.page.frame_locator("iframe")

    def join(self, name: str | None = None) -> None:
        """Enter a name, where one is asked for, and join."""
        if name is not None:
            self.page.get_by_label("Your name").fill(name)
        self.page.get_by_role("button", name="Join", exact=True).click()

    def sees(self, *names: str) -> None:
        """Wait until the room has a tile for each of these people, and no other."""
        tiles = self.room.locator("person-tile")
        self.page.wait_for_function(
            """names => {
                const room = document.querySelector("iframe")?.contentDocument;
                const shown = [...(room?.querySelectorAll("person-tile figcaption > :last-child") ?? [])];
                return shown.map((one) => one.textContent).sort().join("|") === names;
            }""",
            arg="|".join(sorted(names)),
        )
        assert tiles.count() == len(names)

    def press(self, label: str) -> None:
        """Press a button of the room."""
        self.room.get_by_role("button", name=label).click()

    def reads(self, heading: str) -> None:
        """Wait until the page has this heading."""
        self.page.get_by_role("heading", name=heading).wait_for()

    def close(self) -> None:
        """Close the browser."""
        self.context.close()


class Organiser:
    """A product's back end: creates meetings and invites people over HTTP."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}{path}", content, self._headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def create(self, **meeting: Any) -> str:
        return str(self("POST", "/session", meeting))

    def invite(self, link: str, **invitation: Any) -> str:
        """Return the URL of a new invitation."""
        return str(self("POST", f"/session/{link}/invitations", invitation)["url"])

    def attendees(self, link: str) -> dict[str, bool]:
        """Return who has been in a meeting, by name, and whether they are there."""
        items = self("GET", f"/session/{link}/attendees")
        return {one["name"] or one["attendee"] or "": one["active"] for one in items}
