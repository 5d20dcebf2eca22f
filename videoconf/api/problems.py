"""Write every error, from any layer, as one ``application/problem+json`` format (RFC 9457).

``type`` is ``urn:videoconf:error:<code>``: a stable name that resolves nowhere. A URL would have to live on a host, and
every deployment has another; what a code means is in the documentation under the code itself.
"""

from __future__ import annotations

import logging
import math
import random
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, request
from marshmallow import INCLUDE, Schema, ValidationError, fields
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from videoconf.api.answers import json_bytes
from videoconf.api.failures import PROBLEM_TYPE
from videoconf.api.http import request_id
from videoconf.db.failures import cause_of, translated
from videoconf.errors import (
    Forbidden,
    InternalError,
    MalformedRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    PayloadTooLarge,
    ProviderError,
    RequestError,
    Unauthenticated,
    UnsupportedMediaType,
    ValidationFailed,
    VideoconfError,
    WebhookRejected,
)

logger = logging.getLogger(__name__)

_BY_STATUS: dict[int, type[RequestError]] = {
    kind.status: kind
    for kind in (
        MalformedRequest,
        Unauthenticated,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        NotAcceptable,
        PayloadTooLarge,
        UnsupportedMediaType,
        ValidationFailed,
    )
}


class ProblemSchema(Schema):
    """An error. Some codes have further members, which their description names."""

    class Meta:
        unknown = INCLUDE  # so the document, for which alone this is, lets them be

    type = fields.String(required=True, metadata={"example": "urn:videoconf:error:not_found"})
    title = fields.String(required=True, metadata={"description": "The same for every occurrence of the code."})
    status = fields.Integer(required=True)
    code = fields.String(required=True, metadata={"description": "Stable; for programs.", "example": "not_found"})
    detail = fields.String(required=True, metadata={"description": "What happened this time, for people."})
    requestId = fields.String(required=True, metadata={"description": "Names the request in the service's log."})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "What is wrong at each JSON path or query parameter; `$` is the whole."},
    )


def register_problem_handlers(app: Flask) -> None:
    """Answer every exception of any origin in the one shape."""
    app.register_error_handler(VideoconfError, problem)
    app.register_error_handler(ValidationError, lambda error: problem(validation_failed(error.messages)))
    app.register_error_handler(SQLAlchemyError, lambda error: _unexpected(translated(error)))
    app.register_error_handler(HTTPException, _http_exception)
    app.register_error_handler(Exception, _unexpected)


def problem(error: VideoconfError) -> Response:
    """Log an error where that is called for, and answer it."""
    _log(error)
    g.error_code = error.code
    return _answer(error)


def _answer(error: VideoconfError) -> Response:
    reticent = isinstance(error, InternalError | WebhookRejected)
    body: dict[str, Any] = {} if reticent else dict(error.extra)
    body |= {
        "type": f"urn:videoconf:error:{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.title if reticent else error.detail,
        "requestId": request_id(),
    }
    if error.errors and not reticent:
        body["errors"] = error.errors
    response = Response(json_bytes(body, default=str), status=error.status, content_type=PROBLEM_TYPE)
    if error.retry_after_seconds is not None:
        # Spread out, so that those who were turned away together do not come back together.
        spread = 1 + random.random() / 2  # noqa: S311  # hides nothing
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds * spread)))
    if error.status == HTTPStatus.UNAUTHORIZED:
        sent = isinstance(error, Unauthenticated) and "Authorization" in request.headers
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if sent else "Bearer"
    return response


def validation_failed(messages: Any) -> ValidationFailed:
    """Make the error of marshmallow's messages, each under its JSON path (``schedule.0``, ``extMetadata.a``)."""
    errors: dict[str, list[str]] = {}
    _flatten(messages, "", errors)
    return ValidationFailed(errors=errors)


def _flatten(messages: Any, path: str, into: dict[str, list[str]]) -> None:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            # "_schema" is marshmallow's key for what is wrong with the object itself.
            _flatten(inner, path if key == "_schema" else f"{path}.{key}" if path else str(key), into)
    else:
        listed = messages if isinstance(messages, list) else [messages]
        into.setdefault(path or "$", []).extend(str(message) for message in listed)


def _http_exception(error: HTTPException) -> Response | BaseResponse:
    """Answer what Flask, werkzeug or an extension aborts with; redirects and 304 are no errors and pass."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if error.response is not None or status < HTTPStatus.BAD_REQUEST:
        return error.get_response()
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unexpected(getattr(error, "original_exception", None) or error)
    known = _BY_STATUS.get(status)
    response = problem(known() if known else _unlisted(HTTPStatus(status)))
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "www-authenticate"):
            response.headers[name] = value
    return response


def _unlisted(status: HTTPStatus) -> VideoconfError:
    """Make an error of a status that is not in our own taxonomy, named as HTTP names it."""
    members = {"code": status.name.lower(), "status": status.value, "title": status.phrase}
    kind: type[VideoconfError] = type(status.name, (VideoconfError,), members)
    return kind()


def _unexpected(error: BaseException) -> Response:
    """Answer an unexpected exception: the caller gets an id, the log the rest."""
    if isinstance(error, VideoconfError):
        return problem(error)
    logger.error("request %s failed: %s", request_id(), type(error).__name__, exc_info=error)
    g.error_code = InternalError.code
    return _answer(InternalError())


def _log(error: VideoconfError) -> None:
    if isinstance(error, ProviderError):
        logger.warning(
            "request %s: %s: %r (status %s, code %s): %r",
            request_id(),
            error.code,
            error.detail,
            error.provider_status,
            error.provider_code,
            error.provider_message,
        )
    elif error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        trace = error if isinstance(error, InternalError) else None
        cause = cause_of(error)
        logger.warning("request %s: %s: %r%s", request_id(), error.code, error.detail, cause, exc_info=trace)
