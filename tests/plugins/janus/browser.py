"""Headless Chromium with a fake camera, whose pages take part in meetings."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Playwright

from tools import visitors

PAGE = Path(__file__).parent / "page"
CHROMIUM = shutil.which("chromium")
START_SECONDS = 60.0
FLAGS = ("--headless", *visitors.FLAGS, "--use-fake-ui-for-media-stream", "--remote-debugging-port=0")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def served_page() -> Iterator[str]:
    """Serve the page; give its URL. Browsers give a camera to pages of the loopback without TLS."""
    handler = functools.partial(_Quiet, directory=str(PAGE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


class Chromium:
    """One browser process of its own, which a test may kill."""

    def __init__(self, playwright: Playwright, folder: Path) -> None:
        assert CHROMIUM is not None
        with folder.with_suffix(".log").open("wb") as log:
            self._process = subprocess.Popen(
                [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ready, deadline = folder / "DevToolsActivePort", time.monotonic() + START_SECONDS
        while not (ready.exists() and ready.read_text().count("\n")):
            assert self._process.poll() is None, folder.with_suffix(".log").read_text()
            assert time.monotonic() < deadline, folder.with_suffix(".log").read_text()
            time.sleep(0.05)
        port = ready.read_text().splitlines()[0]
        self._browser: Browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")

    @property
    def connected(self) -> Browser:
        """The browser, for contexts of its own kind."""
        return self._browser

    def open(self, url: str) -> Page:
        """Open a page in a context of its own: another person's browser."""
        page = self._browser.new_context().new_page()
        page.goto(url)
        return page

    def kill(self) -> None:
        """End the browser and all its processes without a word."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)


class Participant:
    """A page that takes part in a meeting.

    :param members: replace those of its request to join.
    """

    def __init__(self, page: Page, issued: Mapping[str, Any], **members: Any) -> None:
        self.page = page
        page.evaluate("issued => { window.meeting = new Meeting(issued) }", dict(issued))
        page.evaluate("members => { window.joining = meeting.join(members) }", members)

    def wait_until_it_sends(self) -> None:
        self.page.evaluate("joining")

    @property
    def id(self) -> str:
        return str(self.page.evaluate("meeting.id"))

    @property
    def state(self) -> str:
        return str(self.page.evaluate("meeting.state"))

    @property
    def log(self) -> dict[str, float]:
        """What happened, and when in Unix seconds."""
        return {what: at / 1000 for what, at in self.page.evaluate("meeting.log")}

    def frames(self) -> dict[str, int]:
        """Return how many frames of each other participant were decoded."""
        return dict(self.page.evaluate("meeting.frames()"))

    def error_of_watching(self, id: str, private_id: int) -> str:
        """Subscribe to a participant as a client that has another private id; return Janus's error."""
        script = """async ([id, privateId]) => {
            const other = Object.assign(Object.create(meeting), { privateId, feeds: new Map() });
            try { await other.subscribe(id); return ""; } catch (error) { return error.message; }
        }"""
        return str(self.page.evaluate(script, [id, private_id]))

    def close(self) -> None:
        """Close the tab."""
        self.page.close()


def described(participants: Mapping[str, Participant]) -> str:
    """Say what each page has noted, for a test that fails."""
    return json.dumps({name: one.log for name, one in participants.items() if not one.page.is_closed()}, indent=1)
