"""Propose the known name nearest to a misspelled one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import marshmallow

LONGEST = 64
MOST = 10
"""Names of one request for which a proposal is looked up; the comparison takes time that a caller must not multiply."""
UNKNOWN_FIELD = "Unknown field."


def proposal(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the known name nearest to ``name``, after a space, or an empty string without one."""
    if len(name) > LONGEST:
        return ""
    by_plain = {_plain(one): one for one in known}
    close = get_close_matches(_plain(name), by_plain, n=1, cutoff=0.7)
    return f" Did you mean {by_plain[close[0]]}?" if close else ""


def propose_fields(messages: dict[Any, Any], schema: marshmallow.Schema) -> dict[Any, Any]:
    """Add to each unknown field of a schema's messages the nearest field, and return the messages."""
    known = [field.data_key or name for name, field in schema.load_fields.items()]
    unknown = [name for name, listed in messages.items() if listed == [UNKNOWN_FIELD]]
    for name in unknown[:MOST]:
        messages[name] = [UNKNOWN_FIELD + proposal(str(name), known)]
    return messages


def _plain(name: str) -> str:
    """Return a name without what different conventions write differently: ``ext_id`` is ``extId``."""
    return name.replace("_", "").replace("-", "").lower()
