"""Who may call: JWTs and their grants, and errors in Twirp's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt

LEEWAY_SECONDS = 60
STATUSES = {
    "canceled": 408,
    "deadline_exceeded": 408,
    "invalid_argument": 400,
    "malformed": 400,
    "out_of_range": 400,
    "not_found": 404,
    "bad_route": 404,
    "already_exists": 409,
    "aborted": 409,
    "permission_denied": 403,
    "unauthenticated": 401,
    "failed_precondition": 412,
    "resource_exhausted": 429,
    "unimplemented": 501,
    "internal": 500,
    "unknown": 500,
    "unavailable": 503,
}


class Refused(Exception):  # as the server says it
    """An error answer. ``code`` None: plain text, as the check of the API key answers."""

    def __init__(self, code: str | None, message: str, *, meta: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.meta = meta
        self.status = 401 if code is None else STATUSES[code]


def read_token(token: str, keys: Mapping[str, str], now: float) -> dict[str, Any]:
    """Return the claims of a token that one of the keys signed.

    :raises Refused: it is not valid now.
    """
    options: Any = {f"verify_{name}": False for name in ("exp", "iat", "nbf", "aud", "sub", "jti")}
    try:
        issuer = jwt.decode(token, options={"verify_signature": False, **options}).get("iss")
        if issuer not in keys:
            raise Refused(None, "invalid API key")
        claims = jwt.decode(token, keys[issuer], algorithms=["HS256"], options={"require": ["exp"], **options})
    except jwt.PyJWTError as error:
        raise _invalid(token, f"token signature is invalid: {error}") from error
    if now > claims["exp"] + LEEWAY_SECONDS:
        raise _invalid(token, "token has invalid claims: token is expired")
    if now < claims.get("nbf", 0) - LEEWAY_SECONDS:
        raise _invalid(token, "token has invalid claims: token is not valid yet")
    return claims


def _invalid(token: str, why: str) -> Refused:
    """Refuse a token as servers 1.13 do, which repeat it."""
    return Refused(None, f"invalid token: {token}, error: {why}")


def read_header(headers: Mapping[str, str], keys: Mapping[str, str], now: float) -> dict[str, Any]:
    """Return the grants of a request."""
    header = headers.get("authorization")
    if header is None:
        raise Refused("unauthenticated", "permissions denied")
    if not header.startswith("Bearer "):
        raise Refused(None, "invalid authorization header. Must start with Bearer ")
    claims = read_token(header.removeprefix("Bearer "), keys, now)
    grants = claims.get("video")
    return grants if isinstance(grants, dict) else {}


def demand(grants: Mapping[str, Any], grant: str, room: str | None = None) -> None:
    """Check a grant. One that is missing is 401 and never 403."""
    if grants.get(grant) is not True or (room is not None and grants.get("room") != room):
        raise Refused("unauthenticated", "permissions denied")
