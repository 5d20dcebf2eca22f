"""How names, times and other people's strings are written: in answers, problems, the audit trail and exports.

One rule says which characters are stored, for what callers send and for what providers report later. What the service
accepts from a caller therefore comes back unchanged, and two persons never become one on the way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

NOT_KEPT = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff]")
"""Control characters other than TAB and LF, and unpaired surrogates. PostgreSQL cannot store all of them."""
KEPT_PATTERN = r"^[^\u0000-\u0008\u000b-\u001f]*$"
"""A string without these characters, for the OpenAPI document, whose strings cannot hold unpaired surrogates."""


def camel_case(name: str) -> str:
    """Spell one of our names as the wire does: ``meeting_link_id`` is ``meetingLinkId``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def camel_cased(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values under their names on the wire."""
    return {camel_case(name): value for name, value in values.items()}


def utc_text(time: datetime) -> str:
    """Write a time as all answers do: RFC 3339, UTC with ``Z``; microseconds only where there are any.

    :raises ValueError: it is naive.
    """
    if time.tzinfo is None:
        raise ValueError("a naive datetime is to be written")
    return time.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def json_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of an answer as JSON has them: times as strings."""
    return {name: utc_text(value) if isinstance(value, datetime) else value for name, value in values.items()}


def cleaned_text(text: str, longest: int) -> str:
    """Cut a string of a client or provider to a length, and replace each character that is not stored by U+FFFD."""
    return NOT_KEPT.sub("\ufffd", text[:longest])
