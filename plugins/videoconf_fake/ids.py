"""Ids that look random and are derived from a seed."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

DeriveId = Callable[..., str]


def id_deriver(seed: int) -> DeriveId:
    """Make the function that derives a vendor's ids from its seed, a prefix and JSON values."""

    def derive_id(prefix: str, *parts: object) -> str:
        digest = hmac.digest(str(seed).encode(), json.dumps([prefix, *parts]).encode(), hashlib.sha256)
        return f"{prefix}_{digest.hex()[:32]}"

    return derive_id
