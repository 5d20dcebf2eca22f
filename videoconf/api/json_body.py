"""The body of a request before any schema sees it: within a limit, and strict JSON.

What a framework lets through and a database then refuses (a NUL, a lone surrogate, NaN, a thousand nested lists) is
refused here, so that it is a clear 4xx on every database and never a 500.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from flask import request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.http import parse_options_header

from videoconf.errors import MalformedRequest, PayloadTooLarge, UnsupportedMediaType

API_BODY_LIMIT_BYTES = 64 * 1024
WEBHOOK_BODY_LIMIT_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_KEYS = 1000

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_JSON_TYPE = re.compile(r"application/([\w.+-]+\+)?json", re.ASCII | re.IGNORECASE)
_INTEGERS = range(-(2**63), 2**63)
_BEYOND_FLOATS = 2.0**63
_LEAST_FLOAT = 1e-38
"""PostgreSQL writes every digit of a number: 1e308 would come back as an integer of 309, 1e-308 as 310 characters."""


def raw_body(limit_bytes: int = WEBHOOK_BODY_LIMIT_BYTES) -> bytes:
    """Return the body's bytes, the same on every call.

    :raises PayloadTooLarge: it is over the limit, whether or not its length was announced.
    :raises MalformedRequest: it ended early or is broken chunked coding.
    """
    # One byte over the limit is let in, since of a chunked body the framework silently drops what is over its limit.
    request.max_content_length = limit_bytes + 1
    try:
        body = request.get_data()
    except RequestEntityTooLarge as error:
        raise _too_large(limit_bytes) from error
    except HTTPException:
        raise
    except Exception as error:  # the server reads the socket here, and of broken chunks raises what only it knows
        raise MalformedRequest("The body cannot be read.") from error
    if len(body) > limit_bytes:
        raise _too_large(limit_bytes)
    return body


def json_body() -> Any:
    """Return the request's JSON. No body at all is ``{}`` whatever the ``Content-Type``: clients send one with nothing.

    :raises PayloadTooLarge: it is over :data:`API_BODY_LIMIT_BYTES`.
    :raises UnsupportedMediaType: it is not declared as JSON in UTF-8.
    :raises MalformedRequest: it is not JSON as :func:`parse_json` takes it.
    """
    body = raw_body(API_BODY_LIMIT_BYTES)
    if not body:
        return {}
    media_type, options = parse_options_header(request.headers.get("Content-Type"))
    if not _JSON_TYPE.fullmatch(media_type):
        raise UnsupportedMediaType("Send the body as application/json.")
    if options.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("JSON is sent in UTF-8.")
    return parse_json(body)


def parse_json(body: bytes) -> Any:
    """Parse JSON strictly.

    :raises MalformedRequest: with a clear detail: it is no JSON, not UTF-8, or has a byte order mark, a duplicate key,
        NaN, Infinity, a number beyond 64 bits or nearer to zero than 32-bit floats are, more than 32 levels or 1,000
        keys, a NUL or a lone surrogate.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        raise MalformedRequest("The body starts with a byte order mark; send plain UTF-8.")
    try:
        value = _DECODER.decode(body.decode())
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"The body is not UTF-8: byte {error.start} does not fit.") from error
    except RecursionError as error:
        raise _too_deep() from error
    except json.JSONDecodeError as error:
        raise MalformedRequest(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except ValueError as error:  # Python refuses to convert integers of more than some thousand digits
        raise _out_of_range() from error
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedRequest("The JSON has an object that names a key twice.")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedRequest(f"{name} is no JSON number.")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)


def _check(value: Any) -> None:
    """Walk the value level by level, so that depth costs no stack, and refuse what cannot be stored or is too much."""
    keys = depth = 0
    level: list[Any] = [value]
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict | list):
                if depth == MAX_DEPTH:
                    raise _too_deep()
                below += item
                if isinstance(item, dict):
                    below += item.values()
                    keys += len(item)
            elif isinstance(item, str):
                if _UNSTORABLE.search(item):
                    raise MalformedRequest("The JSON has a text with a NUL or half of a surrogate pair.")
            elif isinstance(item, int | float) and not _is_in_range(item):
                raise _out_of_range()
        if keys > MAX_KEYS:
            raise MalformedRequest(f"The JSON has more than {MAX_KEYS} keys.")
        level = below
        depth += 1


def _is_in_range(number: float) -> bool:
    if isinstance(number, int):
        return number in _INTEGERS
    return number == 0 or _LEAST_FLOAT <= abs(number) < _BEYOND_FLOATS


def _too_deep() -> MalformedRequest:
    return MalformedRequest(f"The JSON is nested more than {MAX_DEPTH} levels deep.")


def _out_of_range() -> MalformedRequest:
    return MalformedRequest("The JSON has a number that is out of range.")


def _too_large(limit_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is over {limit_bytes // 1024} KiB.")
