"""Run the fake vendor in development: finish recordings, post webhooks, and let people act over HTTP.

The acts are requests under ``/fake/`` of the media server. Bodies and answers are JSON objects::

    POST /fake/join       {"token": …} or {"session": …}            -> connection
    POST /fake/leave      {"connection": …, "reason": …}
    POST /fake/drop       {"connection": …}
    POST /fake/publish    {"connection": …, "stream": …}
    POST /fake/unpublish  {"connection": …, "stream": …}
    POST /fake/look       {"connection": …}                         -> reason, people
    POST /fake/record     {"session": …}                            -> archive
    POST /fake/archive    {"archive": …, "status": …, "reason": …}
    POST /fake/close      {"session": …}
    GET  /fake/state                                                -> sessions

Each act posts its webhooks before it answers. The page on which people join (``browser.js``) uses :data:`FOR_PAGES`.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from videoconf.errors import ProviderRejected, VideoconfError
from videoconf.providers import ArchiveRequest, ArchiveStatus
from videoconf_fake import rooms
from videoconf_fake.control import FakeControl
from videoconf_fake.media_server import ACTS

FOR_PAGES = frozenset({"join", "leave", "publish", "unpublish", "look"})
TICK_SECONDS = 0.5
PROCESSING = timedelta(seconds=2)
"""From the end of a recording until it is available."""

logger = logging.getLogger(__name__)


class Acts:
    """Answers requests under ``/fake/``. Thread-safe."""

    def __init__(self, control: FakeControl) -> None:
        self._control = control
        self._by_name: dict[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any] | None]] = {
            ("POST", "join"): self._join,
            ("POST", "leave"): lambda body: control.leave(body["connection"], body.get("reason", rooms.LEFT)),
            ("POST", "drop"): lambda body: control.drop(body["connection"]),
            ("POST", "publish"): lambda body: control.publish(body["connection"], body.get("stream", "camera")),
            ("POST", "unpublish"): lambda body: control.unpublish(body["connection"], body.get("stream", "camera")),
            ("POST", "look"): self._look,
            ("POST", "record"): self._record,
            ("POST", "archive"): self._archive,
            ("POST", "close"): lambda body: control.close_session(body["session"]),
            ("GET", "state"): lambda body: {"sessions": describe(control)},
        }

    @staticmethod
    def may_page(path: str) -> bool:
        """Return whether an act is one of a participant's client, which a page of the service may do."""
        return path.removeprefix(ACTS) in FOR_PAGES

    def answer(self, method: str, path: str, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
        """Do what is asked for, and post the webhooks that follow from it."""
        act = self._by_name.get((method, path.removeprefix(ACTS)))
        if act is None:
            return HTTPStatus.NOT_FOUND, {"error": "No act has this name."}
        try:
            document = json.loads(body or b"{}")
            if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
                raise ProviderRejected("The body is a JSON object of strings.")
            answer = act(document) or {}
        except VideoconfError as error:
            return HTTPStatus(error.status), {"error": error.detail}
        except KeyError as error:
            return HTTPStatus.UNPROCESSABLE_ENTITY, {"error": f"The body lacks {error}."}
        except ValueError as error:
            return HTTPStatus.UNPROCESSABLE_ENTITY, {"error": str(error)}
        if method == "POST" and path.removeprefix(ACTS) != "look":
            delivered = self._control.deliver()
            if delivered.problem:
                answer["problem"] = delivered.problem
        return HTTPStatus.OK, answer

    def _join(self, body: dict[str, Any]) -> dict[str, Any]:
        if "token" in body:
            return {"connection": self._control.join(body["token"])}
        return {"connection": self._control.join_anonymously(body["session"])}

    def _look(self, body: dict[str, Any]) -> dict[str, Any]:
        seen = self._control.look(body["connection"])
        people = [
            {"connection": one.connection_id, "name": one.name, "streams": sorted(one.streams)} for one in seen.people
        ]
        return {"reason": seen.reason, "people": people}

    def _record(self, body: dict[str, Any]) -> dict[str, Any]:
        archive = self._control.provider.recorder.start(body["session"], ArchiveRequest())
        return {"archive": archive.archive_id}

    def _archive(self, body: dict[str, Any]) -> dict[str, Any]:
        status = ArchiveStatus(body["status"])
        archive = self._control.change_archive(body["archive"], status, body.get("reason"))
        return {"archive": archive.archive_id, "status": archive.provider_status}


class Life(threading.Thread):
    """Finishes recordings a moment after their end, and posts webhooks that no act has posted."""

    def __init__(self, control: FakeControl) -> None:
        super().__init__(name="fake-life", daemon=True)
        self._control = control
        self._stopping = threading.Event()
        self._waited: set[str] = set()

    def run(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            try:
                self.tick()
            except VideoconfError as error:
                logger.warning("the fake provider paused: %s", error.detail)

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def tick(self) -> None:
        """Do what is due. An event is posted when it waits for the second time: an act posts its own events first."""
        control = self._control
        for archive in control.provider.recorder.list_stopped(control.provider.context.clock() - PROCESSING):
            stored = control.provider.recorder.find_storage(archive.archive_id) is not None
            control.change_archive(archive.archive_id, ArchiveStatus.UPLOADED if stored else ArchiveStatus.AVAILABLE)
        waiting = {event.event_id for event in control.list_events(waiting=True)}
        if waiting & self._waited:
            control.deliver()
            waiting = {event.event_id for event in control.list_events(waiting=True)}
        self._waited = waiting


def describe(control: FakeControl, session: str | None = None) -> list[dict[str, Any]]:
    """List the connections and recordings of one session or of all sessions."""
    return [
        {
            "session": session_id,
            "connections": [
                {"connection": one.connection_id, "attendee": one.attendee, "name": one.name}
                for one in control.list_connections(session_id)
            ],
            "archives": [
                {"archive": one.archive_id, "status": one.provider_status} for one in control.list_archives(session_id)
            ],
        }
        for session_id in control.list_sessions()
        if session in (None, session_id)
    ]
