"""What a request still needs before a thread can serve it without waiting for the client."""

from __future__ import annotations

import re
from enum import Enum, auto

LOOKED_AT_BYTES = 32 << 10
"""How much of a request is looked at: its head, and its body where both fit. The kernel buffers at least twice that."""

_BODY_FIELDS = re.compile(rb"\r\n(content-length|transfer-encoding|expect)[ \t]*:[ \t]*([^\r]*)", re.IGNORECASE)


class Need(Enum):
    """What is missing."""

    NOTHING = auto()
    HEAD = auto()
    SHORTER_HEAD = auto()
    """The head is longer than what is looked at."""
    BODY = auto()
    READER = auto()
    """A thread that reads the body: it is long, its length is not known, or the client waits for ``100 Continue``."""


def find_need(data: bytes) -> Need:
    """Return what a request needs, by the bytes that have arrived, of which the first ones suffice."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return Need.HEAD if len(data) < LOOKED_AT_BYTES else Need.SHORTER_HEAD
    fields = _BODY_FIELDS.findall(data, 0, end + 2)
    if not fields:
        return Need.NOTHING
    name, value = fields[0]
    digits = value.strip(b" \t")
    if len(fields) > 1 or name.lower() != b"content-length" or not digits.isdigit() or len(digits) > 9:
        return Need.READER
    length = end + 4 + int(digits)
    if length <= len(data):
        return Need.NOTHING
    return Need.BODY if length <= LOOKED_AT_BYTES else Need.READER
