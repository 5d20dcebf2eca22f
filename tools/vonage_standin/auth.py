"""Who may call: the JWT of a server request and the token of a client, both really verified.

The OpenTok environment refuses with 403 and never 401; its messages are those that people reported. The unified one
answers with a problem document (RFC 7807) of the API gateway: 401, or 403 for another customer's application.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tools.vonage_standin.switches import Switches
from tools.vonage_standin.world import Environment

OPENTOK_LIFETIME_SECONDS = 300
"""Between iat and exp (tokbox REST reference)."""
UNIFIED_LIFETIME_SECONDS = 24 * 3600
UNIFIED_DEFAULT_SECONDS = 15 * 60
"""Without exp (Vonage support article 360000958407)."""
CLIENT_LIFETIME_SECONDS = 30 * 86400
DATA_LIMIT = 1000
ROLES = ("subscriber", "publisher", "publisheronly", "moderator")
SIGNATURE_ALONE: Any = {f"verify_{name}": False for name in ("exp", "iat", "nbf", "aud", "iss", "sub", "jti")}
"""PyJWT knows only the wall clock, and its messages are its own."""


UNCHECKED: Any = {**SIGNATURE_ALONE, "verify_signature": False}


class Unauthorized(Exception):
    """The caller is refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Credentials:
    """The credentials of one project or application, as its owner holds them.

    :param now: the clock that tokens are checked by: seconds. The wall clock unless given, since it is the one by which
        an SDK signs them.
    """

    def __init__(self, environment: Environment, switches: Switches, now: Callable[[], float]) -> None:
        self.environment = environment
        self.now = now
        self.skew_seconds = 0.0
        """How far the vendor's clock is ahead of the caller's; negative: behind."""
        self._switches = switches
        if environment == "opentok":
            self.account = "47123456"
            self.secret = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c"
            """As long as a real one."""
            self._verifying_key: Any = self.secret
        else:
            self.account = "78d335fa-323d-0114-9c3d-d6f0d48968cf"
            key = _application_key()
            self.secret = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode()
            """The private key, PEM."""
            self._verifying_key = key.public_key()

    # --- server requests --------------------------------------------------------------------------------------------

    def check_request(self, headers: Mapping[str, str], account_in_path: str | None) -> None:
        """Check a server's request.

        :param headers: names in lower case.
        :raises Unauthorized: it is refused.
        """
        if self.environment == "opentok":
            self._check_opentok(headers, account_in_path)
        else:
            self._check_unified(headers, account_in_path)

    def _check_opentok(self, headers: Mapping[str, str], account_in_path: str | None) -> None:
        token = headers.get("x-opentok-auth", "")
        try:
            header, claims = _read(token)
        except jwt.InvalidTokenError:
            if headers.get("x-tb-partner-auth"):
                raise Unauthorized(403, "Invalid partner credentials") from None  # opentok-node issue 106
            # PHP SDK issue 284; the end of the wording is own choice.
            raise Unauthorized(403, "No suitable authentication found") from None
        issuer = str(claims.get("iss", ""))
        if not issuer.isascii() or not issuer.isdigit():
            raise Unauthorized(403, "Invalid issuer format")  # opentok-node issue 232
        if issuer != self.account:
            raise Unauthorized(403, "Issuer not found")  # recorded traffic of the Ruby SDK
        if not _is_signed(token, self._verifying_key, "HS256"):
            raise Unauthorized(403, "Invalid signature")  # opentok-node issue 191
        # The Ruby SDK puts it into the header, and the service takes that (opentok-ruby source).
        if "project" not in (claims.get("ist"), header.get("ist")):
            raise Unauthorized(403, "Invalid issuer type")  # own wording
        issued_at, expires_at = claims.get("iat"), claims.get("exp")
        if not isinstance(issued_at, int | float) or not isinstance(expires_at, int | float):
            raise Unauthorized(403, "Token without iat or exp")  # own wording
        if issued_at > self._now():
            # PHP SDK issue 223; the end of the wording is own choice. It is what a fast clock looks like.
            raise Unauthorized(403, "issued time cannot be greater than the current time")
        if expires_at <= self._now():
            raise Unauthorized(403, "Token expired")  # own wording
        if expires_at - issued_at > OPENTOK_LIFETIME_SECONDS:
            raise Unauthorized(403, "Token lifetime is too long")  # own wording; limit: tokbox REST reference
        if account_in_path not in (None, self.account):
            # Test data of the PHP SDK.
            raise Unauthorized(403, "Id in the token does not match the one in the url")

    def _check_unified(self, headers: Mapping[str, str], account_in_path: str | None) -> None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        try:
            _, claims = _read(token.strip())
        except jwt.InvalidTokenError:
            raise Unauthorized(401, "You did not provide correct credentials.") from None
        issued_at, expires_at = claims.get("iat"), claims.get("exp")
        if scheme.lower() != "bearer":
            raise Unauthorized(401, "You did not provide correct credentials.")
        if claims.get("application_id") != self.account or not _is_signed(token.strip(), self._verifying_key, "RS256"):
            raise Unauthorized(401, "You did not provide correct credentials.")
        if not claims.get("jti") or not isinstance(issued_at, int | float) or issued_at > self._now():
            raise Unauthorized(401, "You did not provide correct credentials.")
        until = issued_at + UNIFIED_DEFAULT_SECONDS if expires_at is None else expires_at
        if until <= self._now() or until - issued_at > UNIFIED_LIFETIME_SECONDS:
            raise Unauthorized(401, "You did not provide correct credentials.")
        if account_in_path not in (None, self.account):
            raise Unauthorized(403, "Your account does not have permission to perform this action.")

    # --- clients ----------------------------------------------------------------------------------------------------

    def read_client_token(self, token: str) -> dict[str, Any]:
        """Check the token with which a client joins; return ``session_id``, ``role`` and ``connection_data``.

        Claims: opentok-python 3.15 source, generate_token; limits: Vonage guide: create a token.

        :raises Unauthorized: it does not let anybody in.
        """
        claims = self._read_t1(token) if token.startswith("T1==") else self._read_client_jwt(token)
        issued_at, expires_at = claims["iat"], claims["exp"]
        if issued_at > self._now() or expires_at <= self._now():
            raise Unauthorized(403, "Token expired")
        if expires_at - issued_at > CLIENT_LIFETIME_SECONDS:
            raise Unauthorized(403, "Token lifetime is too long")
        data = str(claims.get("connection_data") or "")
        length = len(data if self._switches.token_data_limit_counts == "characters" else data.encode())
        if length > DATA_LIMIT:
            raise Unauthorized(403, "Connection data is too long")
        role = claims.get("role") or "publisher"
        if role not in ROLES:
            raise Unauthorized(403, "Invalid role")
        return {"session_id": str(claims["session_id"]), "role": role, "connection_data": data}

    def _read_client_jwt(self, token: str) -> dict[str, Any]:
        try:
            _, claims = _read(token)
        except jwt.InvalidTokenError:
            raise Unauthorized(403, "Invalid token format") from None
        if self.environment == "opentok":
            algorithm, key, account = "HS256", self._verifying_key, claims.get("iss")
            typed = claims.get("ist") == "project"
        else:
            algorithm, key, account = "RS256", self._verifying_key, claims.get("application_id")
            acl = claims.get("acl")
            typed = isinstance(acl, dict) and "/session/**" in (acl.get("paths") or ())
        if account != self.account or not _is_signed(token, key, algorithm):
            raise Unauthorized(403, "Invalid signature")
        complete = all(isinstance(claims.get(name), int) for name in ("iat", "exp")) and claims.get("session_id")
        if not typed or not complete or claims.get("scope") != "session.connect":
            raise Unauthorized(403, "Invalid token format")
        return claims

    def _read_t1(self, token: str) -> dict[str, Any]:
        """The old format: HMAC-SHA1 over an url-encoded payload; the unified environment never had it."""
        try:
            head, _, payload = base64.b64decode(token[4:], validate=True).decode().partition(":")
            given = {name: values[0] for name, values in parse_qs(head).items()}
            fields = {name: values[0] for name, values in parse_qs(payload).items()}
            expected = hmac.new(self.secret.encode(), payload.encode(), hashlib.sha1).hexdigest()
            good = self.environment == "opentok" and given["partner_id"] == self.account
            if not good or not hmac.compare_digest(given["sig"], expected):
                raise Unauthorized(403, "Invalid signature")
            return {**fields, "iat": int(fields["create_time"]), "exp": int(fields["expire_time"])}
        except (KeyError, ValueError, binascii.Error):
            raise Unauthorized(403, "Invalid token format") from None

    def _now(self) -> float:
        return self.now() + self.skew_seconds


@cache
def _application_key() -> rsa.RSAPrivateKey:
    """Return the application's key: one in each run, since making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = jwt.decode_complete(token, options=UNCHECKED)
    return parts["header"], parts["payload"]


def _is_signed(token: str, key: Any, algorithm: str) -> bool:
    try:
        jwt.decode(token, key, algorithms=[algorithm], options=SIGNATURE_ALONE)
    except jwt.InvalidTokenError:
        return False
    return True
