"""The vendor's join tokens: HS256 JWTs, readable by this vendor alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime

from videoconf.errors import ProviderRejected
from videoconf.providers import Role, Secret

ALGORITHM = "HS256"
MIN_SECRET_BYTES = 32


@dataclass(frozen=True)
class Claims:
    """What a token says of its bearer."""

    session: str
    role: Role
    attendee: str | None = None
    name: str | None = None
    data: str | None = None


def sign_token(claims: Claims, secret: Secret, *, issued_at: datetime, expires_at: datetime) -> str:
    """Sign a token. A pure function: the same arguments give the same bytes."""
    import jwt  # here and below, since a command that signs nothing starts sooner without

    payload = {**asdict(claims), "iat": int(issued_at.timestamp()), "exp": int(expires_at.timestamp())}
    payload["jti"] = hashlib.sha256(json.dumps(payload).encode()).hexdigest()[:32]
    return jwt.encode(payload, secret.reveal(), ALGORITHM)


def read_token(token: str, secret: Secret, *, now: datetime) -> Claims:
    """Read a token as the vendor would when a participant joins with it.

    :raises ProviderRejected: it is not one of ours (``token_invalid``), or it has expired (``token_expired``).
    """
    import jwt

    try:
        # PyJWT knows only the wall clock; the times are checked below by the clock that issued them.
        payload = jwt.decode(
            token,
            secret.reveal(),
            algorithms=[ALGORITHM],
            options={"verify_exp": False, "verify_iat": False, "require": ["session", "role", "exp"]},
        )
        expires_at = int(payload["exp"])
        claims = Claims(
            payload["session"], Role(payload["role"]), payload.get("attendee"), payload.get("name"), payload.get("data")
        )
    except (jwt.InvalidTokenError, ValueError, TypeError) as error:
        raise ProviderRejected(
            "This is not a join token of the fake provider.", provider_code="token_invalid"
        ) from error
    if now.timestamp() >= expires_at:
        raise ProviderRejected("The join token has expired.", provider_code="token_expired")
    return claims
