"""The hand of whoever runs the stand-in by itself: people, archives, time and faults over HTTP, under ``/standin``.

It is not part of the vendor's API and asks for no credentials. Bodies and answers are JSON objects::

    POST /standin/connect     {"token": …}                              -> connectionId, sessionId
    POST /standin/disconnect  {"connectionId": …, "reason": …}
    POST /standin/publish     {"connectionId": …, "videoType": …}       -> streamId
    POST /standin/unpublish   {"streamId": …, "reason": …}
    POST /standin/break-off   {"sessionId": …, "reason": …}             the server of a session goes away
    POST /standin/archive     {"archiveId": …, "outcome": …}            ready, upload_failed, failed; at any time
    POST /standin/callbacks   {"session": url, "archive": url, "secret": …, "policy": …}
    POST /standin/tick        {"seconds": …}                            let time pass
    POST /standin/fault       {"method": …, "path": pattern, "fault": name, "argument": …}
    POST /standin/switch      {name: value, …}
    GET  /standin/state                                                 everything
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tools.vonage_standin import faults
from tools.vonage_standin.answers import Answer, as_json, video_error
from tools.vonage_standin.api import Request
from tools.vonage_standin.auth import Unauthorized
from tools.vonage_standin.world import Refused

if TYPE_CHECKING:
    from tools.vonage_standin.standin import VonageStandin

ADMIN_PREFIX = "/standin/"
FAULTS: dict[str, Callable[..., faults.Fault]] = {
    made.__name__: made
    for made in (
        faults.latency,
        faults.reset_before_processing,
        faults.reset_after_processing,
        faults.silence,
        faults.drip,
        faults.rate_limited,
        faults.html,
        faults.error,
        faults.garbage,
        faults.bad_json,
        faults.empty_body,
        faults.charset_suffix,
        faults.redirect,
        faults.huge,
    )
}


class Admin:
    """Answers under ``/standin/``. Not thread-safe: the server holds one lock around it."""

    def __init__(self, standin: VonageStandin) -> None:
        self._standin = standin
        self._acts: dict[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any] | None]] = {
            ("POST", "connect"): self._connect,
            ("POST", "disconnect"): self._disconnect,
            ("POST", "publish"): self._publish,
            ("POST", "unpublish"): self._unpublish,
            ("POST", "break-off"): self._break_off,
            ("POST", "archive"): self._archive,
            ("POST", "callbacks"): self._callbacks,
            ("POST", "tick"): self._tick,
            ("POST", "fault"): self._fault,
            ("POST", "switch"): self._switch,
            ("GET", "state"): self._state,
        }

    def answer(self, request: Request) -> Answer:
        """Do what is asked for; 400 says what is wrong with it."""
        act = self._acts.get((request.method, request.path.removeprefix(ADMIN_PREFIX)))
        if act is None:
            return video_error(404, "Not found")
        try:
            body = json.loads(request.body or b"{}")
            return as_json(act(body) or {})
        except (Refused, Unauthorized) as error:
            return video_error(error.status, error.message)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return video_error(400, f"{type(error).__name__}: {error}")

    def _connect(self, body: dict[str, Any]) -> dict[str, Any]:
        connection = self._standin.connect(body["token"])
        return {"connectionId": connection.connection_id, "sessionId": connection.session.session_id}

    def _disconnect(self, body: dict[str, Any]) -> None:
        self._standin.disconnect(body["connectionId"], body.get("reason", "clientDisconnected"))

    def _publish(self, body: dict[str, Any]) -> dict[str, Any]:
        video_type = body.get("videoType", "camera")
        stream = self._standin.publish(body["connectionId"], video_type=video_type, name=body.get("name", ""))
        return {"streamId": stream.stream_id}

    def _unpublish(self, body: dict[str, Any]) -> None:
        for session in self._standin.world.sessions.values():
            if body["streamId"] in session.streams:
                stream = session.streams[body["streamId"]]
                self._standin.unpublish(stream, body.get("reason", "clientDisconnected"))
                return
        raise Refused(404, "Stream not found")

    def _break_off(self, body: dict[str, Any]) -> None:
        world = self._standin.world
        world.break_off(world.get_session(body["sessionId"]), body.get("reason", "serverRotation"))

    def _archive(self, body: dict[str, Any]) -> dict[str, Any]:
        archives = self._standin.archives
        archive = archives.get(body["archiveId"])
        if archive.status in ("started", "paused"):
            archives.stop(archive)
        archives.finish(archive, body.get("outcome", "ready"))
        return archives.body(archive)

    def _callbacks(self, body: dict[str, Any]) -> None:
        callbacks = self._standin.callbacks
        callbacks.register(body.get("session"), body.get("archive"), secret=body.get("secret"))
        callbacks.policy = body.get("policy", callbacks.policy)
        callbacks.disabled = False

    def _tick(self, body: dict[str, Any]) -> None:
        self._standin.advance(float(body["seconds"]))

    def _fault(self, body: dict[str, Any]) -> None:
        argument = [body["argument"]] if "argument" in body else []
        self._standin.faults.add(body["method"], body["path"], FAULTS[body["fault"]](*argument))

    def _switch(self, body: dict[str, Any]) -> None:
        known = asdict(self._standin.switches)
        if unknown := sorted(set(body) - set(known)):
            raise Refused(400, f"No such switch: {', '.join(unknown)}")
        for name, value in body.items():
            setattr(self._standin.switches, name, value)

    def _state(self, body: dict[str, Any]) -> dict[str, Any]:
        standin = self._standin
        return {
            "environment": standin.environment,
            "account": standin.account,
            "time": standin.clock.now(),
            "sessions": {
                session.session_id: {
                    "connections": {one.connection_id: one.data for one in session.connections.values()},
                    "streams": {one.stream_id: one.connection.connection_id for one in session.streams.values()},
                    "muted": [one.stream_id for one in session.streams.values() if one.muted],
                }
                for session in standin.world.sessions.values()
            },
            "archives": {one.archive_id: one.status for one in standin.archives.newest_first(None)},
            "storage": None if standin.archives.target is None else standin.archives.target.kind,
            "callbacks": [
                {"name": one.name, "state": one.state, "statuses": one.statuses} for one in standin.callbacks.sent
            ],
            "callbacks_disabled": standin.callbacks.disabled,
            "switches": asdict(standin.switches),
        }
