"""Handle what all requests share: the request id, parts of the path, headers of the answer."""

from __future__ import annotations

import random
import re
from typing import Any, cast

from flask import Flask, Response, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_date, parse_list_header, parse_options_header
from werkzeug.routing import UnicodeConverter

from videoconf.api.answers import JsonAnswers
from videoconf.errors import IdempotencyKeyInvalid, NotAcceptable

MAX_PATH_PART_LENGTH = 255

_REQUEST_ID = "videoconf.request_id"
_SERVER_REQUEST_ID = "videoconf.server_request_id"
_SANE_REQUEST_ID = re.compile(r"[\w.:/-]{1,128}", re.ASCII)
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,255}", re.ASCII)


class PathPart(UnicodeConverter):
    """A part of a path without control characters: PostgreSQL refuses a NUL even in a comparison."""

    def __init__(self, map: Any) -> None:
        super().__init__(map, minlength=1, maxlength=MAX_PATH_PART_LENGTH)
        self.regex = rf"[^/\x00-\x1f\x7f]{{1,{MAX_PATH_PART_LENGTH}}}"


def init_requests(app: Flask) -> None:
    """Give every response its ``X-Request-ID`` and headers that keep browsers from guessing; bound path parameters.

    To be called before routes are added, since a route takes its converters when it is added.
    """
    # An empty id, as in /session//end, would else be redirected to the path without it, which is another operation's.
    app.url_map.merge_slashes = False
    # One at the end of a registered webhook URL, or of a client's base URL, names no other operation.
    app.url_map.strict_slashes = False
    app.url_map.converters["default"] = app.url_map.converters["string"] = PathPart
    app.json = JsonAnswers(app)
    app.before_request(_drop_unreadable_dates)
    app.after_request(_finish)


def _drop_unreadable_dates() -> None:
    """Ignore conditions that are not dates (RFC 9110, section 13.1): Werkzeug raises an error where one overflows."""
    environ = request.environ
    for name in _DATES:
        if (value := environ.get(name)) is not None and not _is_readable(value):
            del environ[name]
            if name == "HTTP_IF_RANGE":  # the condition is false, and the whole is sent
                environ.pop("HTTP_RANGE", None)


def _is_readable(value: str) -> bool:
    try:
        parse_date(value)
    except OverflowError:
        return False
    return True


def request_id() -> str:
    """Return the id of the current request: the caller's ``X-Request-ID`` if it is sane, else a new one.

    Kept with the request and not in ``flask.g``, which outlives the request where a context was pushed before it.
    """
    environ = request.environ
    found = environ.get(_REQUEST_ID)
    if found is None:
        found = environ.get("HTTP_X_REQUEST_ID", "")
        if not _SANE_REQUEST_ID.fullmatch(found):
            # Not uuid4: it reads secure random bytes from the system, and releases the GIL to do so.
            found = f"{random.getrandbits(128):032x}"
        environ[_REQUEST_ID] = found
    return cast("str", found)


def server_request_id() -> str:
    """Return the service's own id of the current request, which no caller chooses."""
    environ = request.environ
    found = environ.get(_SERVER_REQUEST_ID)
    if found is None:
        own = request_id()
        if own == environ.get("HTTP_X_REQUEST_ID"):
            own = f"{random.getrandbits(128):032x}"
        found = environ[_SERVER_REQUEST_ID] = own
    return cast("str", found)


IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same body makes one thing, however often it is sent, for at least 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-+.-~-]+$"},
}
"""Documents the header."""


def idempotency_key() -> str | None:
    """Return the request's ``Idempotency-Key``, or None if it sends none.

    :raises IdempotencyKeyInvalid: it cannot be kept as it is, or there are two: a server joins them by a comma.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise IdempotencyKeyInvalid("It must be 1 to 255 visible ASCII characters without a comma, and sent once.")
    return key


def preferred_type(*offered: str) -> str:
    """Return the media type that ``Accept`` prefers of those offered, by default the first.

    Parameters, like ``charset=utf-8``, do not matter: each type is offered in one form. To be asked before anything is
    done: an answer that cannot be given must leave nothing behind.

    :raises NotAcceptable: it accepts none of the offered types.
    """
    accepted = request.accept_mimetypes
    if not accepted:
        return offered[0]
    # A type in several forms counts by its preferred form.
    plain: dict[str, float] = {}
    for value, quality in accepted:
        name = parse_options_header(value)[0]
        plain[name] = max(quality, plain.get(name, 0))
    content_type = MIMEAccept(list(plain.items())).best_match(offered)
    if content_type is None:
        raise NotAcceptable(f"The answer can be {' or '.join(offered)}.")
    return content_type


def preferences() -> dict[str, str]:
    """Return what ``Prefer`` asks for (RFC 7240), by the preference's name; the first mention of a name counts."""
    found: dict[str, str] = {}
    for one in parse_list_header(request.headers.get("Prefer", "")):
        # The parameters of a preference are cut off: the service knows none that has any.
        name, _, value = one.partition(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"').lower())
    return found


_DATES = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE")
_UNLESS_SET = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)


def _finish(response: Response) -> Response:
    headers = response.headers
    theirs = {name.lower() for name, _ in headers}
    # Added and not set, which would look through all of them each time.
    headers.add("X-Request-ID", request_id())
    headers.add("X-Content-Type-Options", "nosniff")
    headers.add("Referrer-Policy", "no-referrer")
    for name, value in _UNLESS_SET:
        if name.lower() not in theirs:
            headers.add(name, value)
    if response.status_code in (204, 304):
        headers.pop("Content-Type", None)  # of a body that is not there
    return response
