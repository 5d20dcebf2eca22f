"""Record every request: one log line, one metric, and in development a ``Server-Timing`` header."""

from __future__ import annotations

import logging
import time

from flask import Flask, Response, g, request

from videoconf.api.http import request_id, server_request_id
from videoconf.observability.log_context import start_log_context
from videoconf.observability.metrics import REQUESTS

_IDS = {"meeting_link_id": "meeting_link", "archive_id": "archive_id", "connection_id": "connection_id"}
"""Parts of paths that name what a request is about, as the log calls them."""

logger = logging.getLogger("videoconf.access")

_STARTED = "videoconf.started"
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""Those counted by name. Anybody can send invented ones, and each would be a series that is kept for ever."""
QUIET = frozenset({"health.health", "health.readiness"})
"""Asked every few seconds by machines: counted, and logged at DEBUG."""


def init_access(app: Flask, *, development: bool, log_actor: bool = False) -> None:
    """Observe every request. To be called first, so that what other hooks refuse is observed too.

    :param log_actor: whether the line names the caller, which may be a person.
    """

    @app.before_request
    def start() -> None:
        request.environ[_STARTED] = time.perf_counter()
        # Each line of the request has them: what was done for a meeting is found by its link.
        start_log_context(request_id=request_id(), **_ids_of_path())

    @app.after_request
    def finish(response: Response) -> Response:
        seconds = time.perf_counter() - request.environ[_STARTED]
        # The rule and not the path: a path holds ids, and each would be a series of its own.
        rule, method = request.url_rule, request.method
        route = rule.rule if rule is not None else "(none)"
        counted = method if method in METHODS else "(other)"
        REQUESTS.labels(counted, route, str(response.status_code)).observe(seconds)
        caller = g.get("caller")
        logger.log(
            logging.DEBUG if rule is not None and rule.endpoint in QUIET else logging.INFO,
            "request",
            extra={
                "method": method,
                "route": route,
                "status": response.status_code,
                "milliseconds": round(seconds * 1000, 1),
                "tenant": caller.tenant if caller is not None else None,
                "server_request_id": server_request_id(),
                **({"code": g.error_code} if "error_code" in g else {}),
                **({"actor": caller.subject} if log_actor and caller is not None else {}),
            },
        )
        if development:
            response.headers["Server-Timing"] = f"app;dur={seconds * 1000:.1f}"
        return response

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        start_log_context()  # what the server logs between two requests, of another client, belongs to neither


def _ids_of_path() -> dict[str, str]:
    found = request.view_args or {}
    return {name: _on_one_line(found[part]) for part, name in _IDS.items() if part in found}


def _on_one_line(text: str) -> str:
    """Return a part of a path for the log. A client without a token chooses it, and must not write a line itself."""
    return text if text.isprintable() and " " not in text else ascii(text)
