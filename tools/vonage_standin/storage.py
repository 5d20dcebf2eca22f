"""Where finished archives go: the body of ``PUT …/archive/storage``.

Fields: tokbox REST reference, Vonage guide: archiving, a third-party Go SDK with tests, the Midspace integration.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

REQUIRED = {"s3": ("accessKey", "secretKey", "bucket"), "azure": ("accountName", "accountKey", "container")}
OPTIONAL = {"s3": ("endpoint", "sse"), "azure": ("domain",)}
FALLBACKS = ("none", "opentok")


class NotAccepted(Exception):
    """The target is refused with 400, for all of these reasons at once (opentok-node issue 226)."""


@dataclass(frozen=True)
class Target:
    """A storage target in force."""

    kind: str
    config: dict[str, Any]
    fallback: str
    body: dict[str, Any]
    """As it was sent; echoed as such, credentials included (third-party Go SDK)."""


def read_target(raw: bytes, *, any_case: bool, default_fallback: str) -> Target:
    """Check what was sent.

    :raises NotAccepted: it is not a target.
    """
    try:
        body = json.loads(raw)
    except ValueError:
        raise NotAccepted("Invalid JSON") from None
    if not isinstance(body, dict):
        raise NotAccepted("Invalid JSON")
    sent = body.get("type")
    kind = str(sent).lower() if any_case else str(sent)
    problems = [] if kind in REQUIRED else ["type Is not one of the valid set"]
    config = body.get("config")
    if not isinstance(config, dict):
        problems.append("config may not be empty")
    elif kind in REQUIRED:
        problems += [f"config.{name} may not be empty" for name in REQUIRED[kind] if not _text(config.get(name))]
        unknown = sorted(set(config) - {*REQUIRED[kind], *OPTIONAL[kind]})
        problems += [f"config.{name} unknown" for name in unknown]
        if config.get("sse") not in (None, "s3", "none"):
            problems.append("config.sse Is not one of the valid set")
    fallback = body.get("fallback") or default_fallback
    if fallback not in FALLBACKS:
        problems.append("fallback Is not one of the valid set")
    if problems:
        raise NotAccepted(", ".join(problems))
    return Target(kind, dict(config or {}), fallback, {**body, "fallback": fallback})


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
