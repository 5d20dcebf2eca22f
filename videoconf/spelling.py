"""How our names and times are spelt for others: in answers, problems, the audit trail and what a person is given."""

from __future__ import annotations

from datetime import UTC, datetime


def camel_case(name: str) -> str:
    """Spell one of our names as the wire does: ``meeting_link_id`` is ``meetingLinkId``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def utc_text(time: datetime) -> str:
    """Write a time as all answers do: RFC 3339, UTC with ``Z``; microseconds only where there are any.

    :raises ValueError: it is naive.
    """
    if time.tzinfo is None:
        raise ValueError("a naive datetime is to be written")
    return time.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
