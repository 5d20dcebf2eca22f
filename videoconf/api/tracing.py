"""A span around each request, named by its route."""

from __future__ import annotations

from contextlib import ExitStack
from http import HTTPStatus

from flask import Flask, Response, g, request

from videoconf.api.http import request_id
from videoconf.api.request_log import QUIET
from videoconf.db.types import db
from videoconf.observability.tracing import Tracing

_SPAN = "videoconf.span"


def init_tracing(app: Flask, tracing: Tracing) -> None:
    """Trace every request but those of probes, with its statements.

    To be called after :func:`.init_access`, which clears the log's context, and before what may refuse a request.
    """
    with app.app_context():
        tracing.watch(db.engine)

    @app.before_request
    def begin() -> None:
        if request.endpoint not in QUIET:
            stack = ExitStack()
            request.environ[_SPAN] = stack, stack.enter_context(tracing.request(request.headers, request.method))

    @app.after_request
    def describe(response: Response) -> Response:
        if _SPAN in request.environ:
            _, span = request.environ[_SPAN]
            span.set_attribute("http.response.status_code", response.status_code)
            span.set_attribute("videoconf.request_id", request_id())
            if request.url_rule is not None:
                span.update_name(f"{request.method} {request.url_rule.rule}")
                span.set_attribute("http.route", request.url_rule.rule)
            if (caller := g.get("caller")) is not None:
                span.set_attribute("videoconf.tenant", caller.tenant)
            if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                tracing.fail(span, str(response.status_code))
        return response

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        if _SPAN in request.environ:
            stack, _ = request.environ.pop(_SPAN)
            stack.close()
