"""The identity of a participant: unique for each join token, and it names the attendee.

LiveKit disconnects the older of two connections that share an identity, so each token gets its own. Webhooks about
tracks hold nothing of a participant but the identity, so it names the attendee: ``ann@example.org#4f2c9a0b1c2d3e4f``. A
client cannot change it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_BYTES = 256
"""LiveKit's limit."""
NONCE_BYTES = 8
ATTENDEE = "videoconf.attendee"
"""The attribute that names an attendee whose id is too long for the identity."""
FORM = re.compile(r"(.*)#[0-9a-f]{6,32}", re.DOTALL)


@dataclass(frozen=True)
class Bearer:
    """The person whom a join token was issued for."""

    attendee: str | None = None


def new_identity(attendee: str | None) -> tuple[str, dict[str, str]]:
    """Return the identity for a token, and the attributes that name the attendee where the identity cannot."""
    end = f"#{secrets.token_hex(NONCE_BYTES)}"
    identity = f"{attendee or ''}{end}"
    if len(identity.encode()) <= LONGEST_BYTES:
        return identity, {}
    return end, {ATTENDEE: attendee or ""}


def find_bearer(identity: object, attributes: object) -> Bearer | None:
    """Return the person behind an identity; None for an identity that no token of ours gave.

    Agents, recorders, telephones and other software have identities of other forms.
    """
    match = FORM.fullmatch(identity) if isinstance(identity, str) else None
    if match is None:
        return None
    named: Any = attributes.get(ATTENDEE) if isinstance(attributes, Mapping) else None
    return Bearer(match[1] or (named if isinstance(named, str) else None) or None)
