"""Cursors: the position of a caller in a list, as an opaque string.

A cursor contains the position of the last row that was returned, and a digest of its list: the tenant, the path, the
filters and the order. It contains only what the caller has seen, so it is not signed. A caller who invents a cursor
gets rows of its own tenant from another position, because each query filters by tenant anyway.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from videoconf.db.keyset import Position
from videoconf.errors import CursorInvalid
from videoconf.formats import NOT_KEPT, utc_text

VERSION = 1
MAX_LENGTH = 8192
"""The longest cursor. A person's id of 1,000 characters is the longest value of a position."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_MICROSECONDS = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_MAX_INTEGER = 2**63 - 1
_MAX_TEXT = 1000


def list_digest(tenant: str, path: str, filters: dict[str, Any]) -> str:
    """Name a list: two lists with other rows or another order have other digests."""
    given = {name: _plain(value) for name, value in sorted(filters.items()) if value is not None}
    text = json.dumps([VERSION, tenant, path, given])
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:12]).decode()


def write_cursor(digest: str, position: Position) -> str:
    """Write a position down."""
    values = [(one - _EPOCH) // _MICROSECOND if isinstance(one, datetime) else one for one in position]
    text = json.dumps([VERSION, digest, *values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, digest: str, kinds: tuple[type, ...]) -> Position:
    """Read a position back, whose values have these types.

    :raises CursorInvalid: it was made for another list, or is damaged.
    """
    try:
        document = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise CursorInvalid from error
    if not isinstance(document, list) or document[:2] != [VERSION, digest] or len(document) != 2 + len(kinds):
        raise CursorInvalid
    return tuple(_checked(value, kind) for value, kind in zip(document[2:], kinds, strict=True))


def _checked(value: Any, kind: type) -> int | str | datetime:
    if kind is str and isinstance(value, str) and len(value) <= _MAX_TEXT and not NOT_KEPT.search(value):
        return value
    if kind in (int, datetime) and isinstance(value, int) and not isinstance(value, bool):
        if kind is int and 0 <= value <= _MAX_INTEGER:
            return value
        if kind is datetime and 0 <= value <= _MAX_MICROSECONDS:
            return _EPOCH + value * _MICROSECOND
    raise CursorInvalid


def _plain(value: Any) -> Any:
    return utc_text(value) if isinstance(value, datetime) else value
