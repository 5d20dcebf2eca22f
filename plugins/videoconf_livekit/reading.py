"""Reading LiveKit's JSON tolerantly: answers are in snake_case with defaults, webhooks in camelCase without them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

NANOSECONDS = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def member(document: Any, name: str) -> Any:
    """Return a member by its snake_case name, whichever of the two spellings is there; None for an absent one."""
    if not isinstance(document, Mapping):
        return None
    if name in document:
        return document[name]
    return document.get(re.sub(r"_(\w)", lambda found: found[1].upper(), name))


def find_text(document: Any, name: str) -> str | None:
    """Return a member that is a non-empty string."""
    value = member(document, name)
    return value if isinstance(value, str) and value else None


def find_count(document: Any, name: str) -> int | None:
    """Return a member that is a non-negative integer; 64-bit ones are written as strings."""
    value = member(document, name)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20:
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def find_seconds(document: Any, name: str) -> datetime | None:
    """Return a time in seconds since 1970; 0 stands for none."""
    return _time(find_count(document, name), 1)


def find_nanoseconds(document: Any, name: str) -> datetime | None:
    """Return a time in nanoseconds since 1970; 0 stands for none."""
    return _time(find_count(document, name), NANOSECONDS)


def _time(count: int | None, per_second: int) -> datetime | None:
    try:
        return _EPOCH + timedelta(microseconds=count * 10**6 // per_second) if count else None
    except OverflowError:
        return None
