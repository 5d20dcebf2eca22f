"""Encode the bearer of a token as Vonage's connection data, one string that Vonage repeats in every webhook.

Data alone travels as it is, so that clients read what the caller gave, and names the attendee. Anything more is packed:
a mark, then a JSON object. A text of the caller's that begins with the mark is packed too, so that what comes back with
the mark was packed here and no data can impersonate another attendee.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from videoconf.providers import TokenRequest

MARK = "videoconf:1:"
MAX_CHARACTERS = 1000
"""Vonage's limit. Its SDK counts characters; whether the service counts bytes is not documented."""


@dataclass(frozen=True)
class Bearer:
    """Whose connection it is, as its data says."""

    attendee: str | None = None
    name: str | None = None


def pack(request: TokenRequest) -> str:
    """Return the connection data for a token; empty where there is nothing to say."""
    data = request.data or ""
    says_no_more = not request.name and request.attendee in (None, "", data)
    if says_no_more and not data.startswith(MARK):
        return data
    members = {"attendee": request.attendee, "name": request.name, "data": request.data}
    given = {name: text for name, text in members.items() if text}
    return MARK + json.dumps(given, ensure_ascii=False, separators=(",", ":"))


def unpack(text: object) -> Bearer:
    """Return whose connection it is. Accepts any data: other software may issue tokens for the same sessions."""
    if not isinstance(text, str) or not text:
        return Bearer()
    if text.startswith(MARK):
        try:
            members = json.loads(text.removeprefix(MARK))
            attendee = members.get("attendee") or members.get("data")
            return Bearer(find_text(attendee), find_text(members.get("name")))
        except (ValueError, AttributeError, RecursionError):
            pass  # not packed here
    return Bearer(text)


def find_text(value: object) -> str | None:
    """Return a text; None for what is empty, or another type."""
    return value if isinstance(value, str) and value else None
