"""What tests of pages need: Chromium, where it is installed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tools.visitors import CHROMIUM, FLAGS

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian package chromium)")
START_SECONDS = 60.0


class Chromium:
    """One headless browser process of its own with a fake camera, which a test may kill."""

    def __init__(self, playwright: Playwright, folder: Path) -> None:
        assert CHROMIUM is not None
        flags = ("--headless", *FLAGS, "--use-fake-ui-for-media-stream", "--remote-debugging-port=0")
        with folder.with_suffix(".log").open("wb") as log:
            self._process = subprocess.Popen(
                [CHROMIUM, *flags, f"--user-data-dir={folder}", "about:blank"],
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


@contextmanager
def two_browsers(folder: Path) -> Iterator[list[Chromium]]:
    """Start two browsers, of which a test may kill one."""
    with sync_playwright() as playwright:
        made = [Chromium(playwright, folder / name) for name in ("first", "second")]
        yield made
        for browser in made:
            browser.kill()
