"""Every state of the join page, as a person sees it: for the screenshots, and for what must hold in each of them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.dev_server import DevServer, dev_server_in
from tools.visitors import Organiser, Visitor, chromium

TITLE = "Algebra II, lesson 7"
PUPILS = (
    "Grace Hopper",
    "Alan Turing",
    "Katherine Johnson",
    "Emmy Noether",
    "Srinivasa Ramanujan",
    "Sofja Kowalewskaja",
    "Evariste Galois",
    "Maryam Mirzakhani",
    "Leonhard Euler",
    "Hypatia",
)
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\u202egnihtyna yas I\u202c",
    "\u200b\u200b\u2060",
    "A" * 255,
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035a\u032f\u031e\u0320\u034d"
    * 12,
    "שלום ‏(teacher)",
    '"><script>document.title="owned"</script>',
)
"""Names that participants may choose; 255 characters are the most that the service accepts."""


class Stage:
    """A service, a browser, and what scenes are made of."""

    def __init__(self, dev: DevServer, browser: Any, closing: ExitStack, **options: Any) -> None:
        self.dev = dev
        self.organiser = Organiser(dev.url, dev.token)
        self._browser, self._closing, self._options = browser, closing, options

    def visit(self, url: str, **options: Any) -> Visitor:
        hosts = (urlsplit(self.dev.people).netloc, urlsplit(self.dev.url).netloc)
        visitor = Visitor(self._browser, url, hosts=hosts, **{**self._options, **options})
        self._closing.callback(visitor.close)
        return visitor

    def meeting(self, **meeting: Any) -> str:
        return self.organiser.create(**{"extMetadata": {"title": TITLE}, **meeting})

    def join(self, link: str, name: str, *, streams: tuple[str, ...] = ("camera", "microphone")) -> str:
        """Let another person join at the fake provider; return their connection."""
        token = self.organiser("POST", f"/session/{link}/token", {"name": name, "attendee": name[:100]})["token"]
        connection = str(self.dev.act("join", token=token)["connection"])
        for stream in streams:
            self.dev.act("publish", connection=connection, stream=stream)
        return connection

    def teacher(self, link: str) -> Visitor:
        """Let the host come in."""
        visitor = self.visit(self.organiser.invite(link, role="moderator", name="Ada Lovelace", attendee="ada"))
        visitor.join()
        visitor.room.locator("person-tile[own]").wait_for()
        return visitor

    def pupil(self, link: str, name: str = "Grace Hopper", **invitation: Any) -> Visitor:
        visitor = self.visit(self.organiser.invite(link, **invitation))
        visitor.join(name)
        return visitor


Scene = Callable[[Stage], Visitor]
SCENES: dict[str, Scene] = {}


def scene(function: Scene) -> Scene:
    SCENES[function.__name__.replace("_", "-")] = function
    return function


@contextmanager
def stage(**options: Any) -> Iterator[Stage]:
    """Start a service and a browser."""
    with (
        tempfile.TemporaryDirectory() as folder,
        dev_server_in(Path(folder)) as dev,
        chromium() as browser,
        ExitStack() as closing,
    ):
        yield Stage(dev, browser, closing, **options)


# --- at the door ------------------------------------------------------------------------------------------------------


@scene
def door(stage: Stage) -> Visitor:
    visitor = stage.visit(stage.organiser.invite(stage.meeting()))
    visitor.page.locator("camera-preview video").wait_for()
    return visitor


@scene
def door_of_known_person(stage: Stage) -> Visitor:
    visitor = stage.visit(stage.organiser.invite(stage.meeting(), role="moderator", name="Ada Lovelace"))
    visitor.page.locator("camera-preview video").wait_for()
    return visitor


@scene
def door_of_viewer(stage: Stage) -> Visitor:
    visitor = stage.visit(stage.organiser.invite(stage.meeting(), role="subscriber"))
    visitor.page.get_by_role("button", name="Join").wait_for()
    return visitor


@scene
def loading(stage: Stage) -> Visitor:
    visitor = stage.visit(f"{stage.dev.url}/join")
    visitor.page.route("**/join/invitation", lambda route: None)
    visitor.page.evaluate("location.hash = 'waits-for-an-answer-for-ever'")
    visitor.page.locator(".skeleton").first.wait_for()
    return visitor


@scene
def no_camera(stage: Stage) -> Visitor:
    visitor = stage.visit(stage.organiser.invite(stage.meeting()), has_camera=False)
    visitor.page.get_by_text("This page may not use your camera and microphone").wait_for()
    return visitor


@scene
def devices(stage: Stage) -> Visitor:
    visitor = door(stage)
    visitor.page.get_by_label("Choose devices").click()
    visitor.page.get_by_label("Camera", exact=True).wait_for()
    return visitor


@scene
def name_missing(stage: Stage) -> Visitor:
    visitor = door(stage)
    visitor.join("  ")
    visitor.page.get_by_text("Enter your name").first.wait_for()
    return visitor


@scene
def not_open_yet(stage: Stage) -> Visitor:
    visitor = stage.visit(stage.organiser.invite(scheduled(stage)))
    visitor.page.get_by_role("button", name="Wait here").wait_for()
    return visitor


@scene
def waits_for_opening(stage: Stage) -> Visitor:
    visitor = not_open_yet(stage)
    visitor.page.get_by_label("Your name").fill("Grace Hopper")
    visitor.page.get_by_role("button", name="Wait here").click()
    visitor.page.get_by_role("button", name="Stop waiting").wait_for()
    return visitor


def scheduled(stage: Stage, minutes: float = 27) -> str:
    """Create a meeting that opens 15 minutes before it starts."""
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    return stage.meeting(isScheduled=True, scheduleTime=at.isoformat())


@scene
def lobby(stage: Stage) -> Visitor:
    visitor = stage.pupil(stage.meeting(), admission="ask")
    visitor.page.get_by_text("The host knows that you are here").first.wait_for()
    return visitor


# --- in the meeting ---------------------------------------------------------------------------------------------------


@scene
def alone(stage: Stage) -> Visitor:
    visitor = stage.pupil(stage.meeting())
    visitor.room.get_by_text("You are the only one here").wait_for()
    return visitor


def in_class(stage: Stage, count: int) -> tuple[str, Visitor]:
    """Let the teacher and some pupils meet."""
    link = stage.meeting()
    teacher = stage.teacher(link)
    for number, name in enumerate(PUPILS[:count]):
        stage.join(link, name, streams=("camera",) if number % 3 == 1 else ("camera", "microphone"))
    teacher.sees("You", *PUPILS[:count])
    return link, teacher


@scene
def two(stage: Stage) -> Visitor:
    return in_class(stage, 1)[1]


@scene
def four(stage: Stage) -> Visitor:
    return in_class(stage, 3)[1]


@scene
def eleven(stage: Stage) -> Visitor:
    return in_class(stage, 10)[1]


@scene
def host_panel(stage: Stage) -> Visitor:
    link, teacher = in_class(stage, 5)
    late = stage.pupil(link, "Leonhard Euler", admission="ask")
    late.page.get_by_role("button", name="Stop waiting").wait_for()
    teacher.press("People")
    teacher.page.get_by_role("button", name="Admit").wait_for()
    return teacher


@scene
def someone_waits(stage: Stage) -> Visitor:
    link, teacher = in_class(stage, 2)
    late = stage.pupil(link, "Leonhard Euler", admission="ask")
    late.page.get_by_role("button", name="Stop waiting").wait_for()
    teacher.room.locator(".badge").wait_for()
    return teacher


@scene
def reconnecting(stage: Stage) -> Visitor:
    _, teacher = in_class(stage, 3)
    teacher.context.route("**/fake/**", lambda route: route.abort())
    teacher.room.get_by_text("Reconnecting…").wait_for()
    return teacher


@scene
def muted_by_host(stage: Stage) -> Visitor:
    link = stage.meeting()
    pupil = stage.pupil(link)
    teacher = stage.teacher(link)
    teacher.sees("You", "Grace Hopper")
    teacher.press("People")
    teacher.page.get_by_role("button", name="Mute").click()
    pupil.room.get_by_text("The host muted you").wait_for()
    return pupil


@scene
def hostile_names(stage: Stage) -> Visitor:
    link = stage.meeting()
    for name in HOSTILE:
        stage.join(link, name)
    visitor = stage.teacher(link)
    visitor.room.locator("person-tile").nth(len(HOSTILE)).wait_for()
    visitor.press("People")
    return visitor


# --- after and instead ------------------------------------------------------------------------------------------------


@scene
def left(stage: Stage) -> Visitor:
    visitor = alone(stage)
    visitor.press("Leave")
    visitor.reads("You left")
    return visitor


@scene
def removed(stage: Stage) -> Visitor:
    link = stage.meeting()
    pupil = stage.pupil(link, name="Grace Hopper", attendee="grace")
    pupil.room.locator("person-tile[own]").wait_for()
    [grace] = stage.organiser("GET", f"/session/{link}/attendees")
    [connection] = grace["connections"]
    stage.organiser("DELETE", f"/session/{link}/attendees/{connection['id']}")
    pupil.reads("You were removed")
    return pupil


@scene
def ended(stage: Stage) -> Visitor:
    link = stage.meeting()
    url = stage.organiser.invite(link)
    stage.organiser("PATCH", f"/session/{link}/end")
    visitor = stage.visit(url)
    visitor.reads("The meeting has ended")
    return visitor


@scene
def refused(stage: Stage) -> Visitor:
    link = stage.meeting()
    pupil = stage.pupil(link, admission="ask")
    pupil.page.get_by_role("button", name="Stop waiting").wait_for()
    [entry] = stage.organiser("GET", f"/session/{link}/lobby")
    stage.organiser("POST", f"/session/{link}/lobby/{entry['id']}", {"admit": False})
    pupil.reads("The host did not let you in")
    return pupil


@scene
def banned(stage: Stage) -> Visitor:
    link = stage.meeting()
    stage.organiser("POST", f"/session/{link}/bans", {"attendee": "mallory"})
    visitor = stage.visit(stage.organiser.invite(link, attendee="mallory", name="Mallory"))
    visitor.join()
    visitor.reads("You cannot join this meeting")
    return visitor


@scene
def no_client(stage: Stage) -> Visitor:
    visitor = stage.visit(stage.organiser.invite(stage.meeting()))
    visitor.page.route("**/join/room/fake", lambda route: route.fulfill(status=404, body="{}"))
    visitor.join("Grace Hopper")
    visitor.reads("This page cannot show the meeting")
    return visitor


@scene
def elsewhere(stage: Stage) -> Visitor:
    visitor = stage.visit(stage.organiser.invite(stage.meeting()))
    issued = {"token": None, "connect": {"url": "https://meet.example/lesson-7"}, "provider": "other"}
    visitor.page.route("**/join", lambda route: route.fulfill(status=200, body=json.dumps(issued)))
    visitor.join("Grace Hopper")
    visitor.page.get_by_role("link", name="Open the meeting").wait_for()
    return visitor


@scene
def full(stage: Stage) -> Visitor:
    visitor = stage.visit(stage.organiser.invite(stage.meeting()))
    problem = json.dumps({"code": "lobby_full", "title": "Too many wait.", "status": 429})
    visitor.page.route("**/join", lambda route: route.fulfill(status=429, body=problem))
    visitor.join("Grace Hopper")
    visitor.reads("The meeting is full")
    return visitor


@scene
def unknown(stage: Stage) -> Visitor:
    visitor = stage.visit(f"{stage.dev.url}/join#{'a' * 32}")
    visitor.reads("This link does not work")
    return visitor


@scene
def incomplete(stage: Stage) -> Visitor:
    visitor = stage.visit(f"{stage.dev.url}/join#abc")
    visitor.reads("This link is incomplete")
    return visitor


@scene
def unreachable(stage: Stage) -> Visitor:
    visitor = stage.visit(stage.organiser.invite(stage.meeting()))
    visitor.page.route("**/join", lambda route: route.abort())
    visitor.join("Grace Hopper")
    visitor.reads("The meeting cannot be reached")
    return visitor
