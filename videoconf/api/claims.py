"""What the claims of a bearer token say about the caller."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from videoconf.errors import Unauthenticated
from videoconf.settings import Settings
from videoconf.tenancy import Caller

MAX_NAME_LENGTH = 255
MEETING_ROLES_CLAIM = "meetingRoles"

_NAME = re.compile(rf"[^\x00-\x1f\x7f\ud800-\udfff]{{1,{MAX_NAME_LENGTH}}}")


def caller_of(claims: Mapping[str, Any], settings: Settings) -> Caller:
    """Read the verified claims, and refuse what the library lets pass: no ``exp``, numbers as text, refresh tokens."""
    for claim in ("exp", "iat"):
        if type(claims.get(claim)) not in (int, float):
            raise Unauthenticated(f"The token's `{claim}` is missing or no number.")
    if not claims["exp"] <= claims["iat"] + settings.jwt_max_life_seconds:  # exact, for any int and float
        raise Unauthenticated(f"The token is valid for longer than {settings.jwt_max_life_seconds} s.")
    for claim in ("type", "typ", "token_use"):
        if str(claims.get(claim)).lower() in ("refresh", "id"):
            raise Unauthenticated("This is not an access token.")
    meeting_roles = claims.get(MEETING_ROLES_CLAIM)
    return Caller(
        subject=_name(claims.get("sub"), "sub"),
        tenant=_tenant(_claim(claims, settings.jwt_tenant_claim, settings.default_tenant), settings.jwt_tenant_claim),
        permissions=_texts(_claim(claims, settings.jwt_permissions_claim), settings.jwt_permissions_claim),
        meeting_roles=(
            None
            if meeting_roles is None
            else frozenset(role.lower() for role in _texts(meeting_roles, MEETING_ROLES_CLAIM))
        ),
    )


def _claim(claims: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """Return a claim by its name or, where no claim has the whole name, by its path through objects."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return default
        found = found[part]
    return found


def _tenant(value: Any, claim: str) -> str:
    if value == "":  # from the token, or the default of a deployment that has none
        raise Unauthenticated(f"The token names no tenant in `{claim}`.")
    return _name(value, claim)


def _name(value: Any, claim: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Unauthenticated(f"The token's `{claim}` is not a text of 1 to {MAX_NAME_LENGTH} printable characters.")
    return value


def _texts(value: Any, claim: str) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unauthenticated(f"The token's `{claim}` is not a list of texts.")
    return frozenset(value)
