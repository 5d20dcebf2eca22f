"""``make demo PROVIDER=janus``: two people in headless browsers meet through the join page, with real media by Janus.

It serves from a new folder on a free port, prints what each of them does and what the service then says, fails if that
is not what is expected, and leaves nothing behind.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console

from tools.meet import Janus, check_installed
from tools.visitors import CHROMIUM, Organiser, Visitor, chromium

console = Console(highlight=False, soft_wrap=True)
START_SECONDS = 60.0
MEDIA_SECONDS = 20.0
SHOWN_FRAMES = """() => {
    const room = document.querySelector("iframe").contentDocument;
    const video = room.querySelector("person-tile:not([own]) video");
    return video ? video.getVideoPlaybackQuality().totalVideoFrames : 0;
}"""


def main() -> None:
    check_installed()
    if CHROMIUM is None:
        raise SystemExit("Chromium is not installed, and this demonstration needs it: apt-get install chromium")
    with (
        tempfile.TemporaryDirectory(prefix="videoconf-demo-") as name,
        service(Path(name)) as (url, janus),
        chromium() as browser,
    ):
        token = (Path(name) / "instance/dev-token").read_text()
        walk(Organiser(url, token), browser, urlsplit(janus.settings["VIDEOCONF_JANUS_WEBSOCKET_URL"]).netloc)
    console.print("\n[green]Everything was as expected.[/]")


@contextmanager
def service(folder: Path) -> Iterator[tuple[str, Janus]]:
    """Start Janus and the service with it; give the service's URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, janus = f"http://127.0.0.1:{port}", Janus(folder / "instance/janus", port)
    command = [Path(sys.executable).with_name("videoconf"), "dev", "--port", str(port)]
    janus.start()
    try:
        with (folder / "log").open("wb") as log:
            environment = {**os.environ, **janus.settings}
            server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            wait_until_ready(url, server, folder / "log")
            console.print(f"videoconf serves at {url} with a Janus of its own.")
            yield url, janus
        finally:
            server.terminate()
            server.wait(30)
    finally:
        janus.stop()


def wait_until_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"The service does not become ready:\n{log.read_text()}")


def walk(organiser: Organiser, browser: Any, janus: str) -> None:
    heading("A meeting is created, and two people are invited")
    link = organiser.create(extId="lesson-7", extMetadata={"title": "Algebra II, lesson 7"})
    urls = {
        "Ada": organiser.invite(link, name="Ada", attendee="u-1", role="moderator"),
        "Ben": organiser.invite(link, name="Ben", attendee="u-2", admission="ask"),
    }
    for name, url in urls.items():
        console.print(f"  {name}: {url}", style="dim", markup=False)

    heading("Ada opens her link and joins; Ben asks to come in, and she admits him")
    ada, ben = (Visitor(browser, url, hosts=(janus,)) for url in urls.values())
    ada.join()
    ada.sees("You")
    ben.join()
    ada.press("People")
    ada.page.get_by_role("button", name="Admit").click()
    ada.sees("You", "Ben")
    ben.sees("You", "Ada")
    for name, visitor in (("Ada", ada), ("Ben", ben)):
        wait_for(lambda visitor=visitor: visitor.page.evaluate(SHOWN_FRAMES) > 0, f"{name} sees no picture")
        console.print(f"  {name} sees {visitor.page.evaluate(SHOWN_FRAMES)} frames of the other.")
    check(organiser, link, {"Ada": True, "Ben": True})

    heading("Ada mutes Ben; he leaves, and comes back")
    ada.page.get_by_role("button", name="Mute").click()
    ben.room.get_by_text("The host muted you").wait_for()
    ben.press("Leave")
    ben.reads("You left")
    check(organiser, link, {"Ada": True, "Ben": False})
    ben.page.get_by_role("button", name="Join again").click()
    ada.sees("You", "Ben")
    check(organiser, link, {"Ada": True, "Ben": True})

    heading("Ada ends the meeting, for everyone")
    ada.page.get_by_role("button", name="End the meeting for all").click()
    ada.page.get_by_role("button", name="End it for everyone?").click()
    for visitor in (ada, ben):
        visitor.reads("The meeting has ended")
    check(organiser, link, {"Ada": False, "Ben": False})
    for one in organiser("GET", f"/session/{link}/attendees"):
        times = ", ".join(f"{span['joined'][11:19]} to {span['left'][11:19]}" for span in one["connections"])
        console.print(f"  {one['name']} was there from {times}.")
    if problems := ada.problems + ben.problems:
        raise SystemExit("\n".join(problems))


def check(organiser: Organiser, link: str, expected: dict[str, bool]) -> None:
    """Wait until the service says who is there, and print it."""
    wait_for(lambda: organiser.attendees(link) == expected, f"not {expected}")
    there = [name for name, is_there in expected.items() if is_there]
    console.print(f"  GET /session/{link}/attendees: {' and '.join(there) or 'no one'} there now.", style="dim")


def wait_for(is_so: Any, otherwise: str) -> None:
    deadline = time.monotonic() + MEDIA_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"After {MEDIA_SECONDS:.0f} s: {otherwise}")
        time.sleep(0.1)


def heading(text: str) -> None:
    console.print()
    console.rule(f"[bold]{text}", align="left")


if __name__ == "__main__":
    main()
