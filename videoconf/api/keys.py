"""The configured keys of bearer tokens: which verify them, what is wrong with them, and a token made with one."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from videoconf.api.claims import MEETING_ROLES_CLAIM
from videoconf.errors import ConfigurationError
from videoconf.settings import Settings

MIN_SECRET_BYTES = 32
MIN_RSA_BITS = 2048

Keys = Mapping[str, tuple[Any, ...]]
"""The keys that may verify each algorithm. A key stands under the one algorithm of its type and under no other."""


_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)
_MAKE_SECRET = "`python -c 'import secrets; print(secrets.token_urlsafe(48))'` makes one"  # noqa: S105  # advice


def auth_faults(settings: Settings) -> list[str]:
    """List what about authentication forbids serving, each with its remedy."""
    if settings.auth == "disabled":
        if not settings.development:
            return [
                "VIDEOCONF_AUTH=disabled needs VIDEOCONF_DEVELOPMENT=true. Unset it, and set VIDEOCONF_JWT_SECRETS."
            ]
        if not is_local(settings.public_url):
            return [
                "VIDEOCONF_AUTH=disabled serves every client that reaches VIDEOCONF_PUBLIC_URL, which is not on this"
                " machine or a private network. Set VIDEOCONF_AUTH=jwt and VIDEOCONF_JWT_SECRETS."
            ]
        return []
    keys, faults = read_keys(settings)
    if settings.jwt_jwks_url and not _is_safe(settings):
        faults.append("VIDEOCONF_JWT_JWKS_URL must begin with https://: over http anybody on the way gives out keys.")
    if not keys and not faults and not settings.jwt_jwks_url:
        faults.append(
            "No key verifies bearer tokens. Set VIDEOCONF_JWT_SECRETS to a secret that the issuer of tokens shares "
            f"({_MAKE_SECRET}), VIDEOCONF_JWT_PUBLIC_KEYS to its public keys, or VIDEOCONF_JWT_JWKS_URL to their URL."
        )
    return faults


def is_local(url: str) -> bool:
    """Return whether a URL's host is this machine, a private address, or a name without a domain."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".test"))
    return address.is_loopback or address.is_private


def _is_safe(settings: Settings) -> bool:
    return settings.jwt_jwks_url.startswith("https://") or settings.development


def read_keys(settings: Settings) -> tuple[Keys, list[str]]:
    """Read the configured keys, in the order in which they are tried, and list the faults of those left out."""
    keys: dict[str, tuple[Any, ...]] = {}
    faults: list[str] = []
    for position, secret in enumerate(settings.jwt_secrets, 1):
        text = secret.reveal().encode()
        if len(text) < MIN_SECRET_BYTES:
            faults.append(
                f"VIDEOCONF_JWT_SECRETS: secret {position} has fewer than {MIN_SECRET_BYTES} bytes and could be "
                f"guessed. Replace it; {_MAKE_SECRET}."
            )
        else:
            keys["HS256"] = (*keys.get("HS256", ()), text)
    blocks = [match[0] for match in _PEM.finditer(settings.jwt_public_keys)]
    if _PEM.sub("", settings.jwt_public_keys).strip():
        faults.append(
            "VIDEOCONF_JWT_PUBLIC_KEYS has text outside PEM blocks. Name a file that holds only the keys in "
            "VIDEOCONF_JWT_PUBLIC_KEYS_FILE."
        )
    for position, block in enumerate(blocks, 1):
        try:
            algorithm, key = _read_public_key(block)
        except ValueError as error:
            faults.append(f"VIDEOCONF_JWT_PUBLIC_KEYS: key {position} {error}")
        else:
            keys[algorithm] = (*keys.get(algorithm, ()), key)
    return keys, faults


def _read_public_key(block: str) -> tuple[str, Any]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(block.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        remedy = "Export it: `openssl pkey -in private.pem -pubout`, or of a certificate `openssl x509 -pubkey -noout`."
        raise ValueError(f"is not a readable public key. {remedy}") from error
    return checked_key(key)


def checked_key(key: object) -> tuple[str, Any]:
    """Return the algorithm that a public key verifies, and the key.

    :raises ValueError: it is too weak, or of a type that is not accepted.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if isinstance(key, RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise ValueError(f"is RSA with {key.key_size} bits. Let the issuer sign with {MIN_RSA_BITS} or more.")
        return "RS256", key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256", key
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA", key
    raise ValueError("is of another type. Let the issuer sign with RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA).")


def mint_token(
    settings: Settings,
    *,
    subject: str,
    permissions: Sequence[str],
    tenant: str | None = None,
    ttl_seconds: int,
    meeting_roles: Sequence[str] | None = None,
) -> str:
    """Make a bearer token with the first shared secret.

    :raises ConfigurationError: no shared secret is set; with public keys alone, only their issuer makes tokens. Or this
        service would refuse the token.
    """
    import jwt

    if not settings.jwt_secrets:
        raise ConfigurationError(f"A token is made with the first of VIDEOCONF_JWT_SECRETS. Set it; {_MAKE_SECRET}.")
    if ttl_seconds > settings.jwt_max_life_seconds:
        raise ConfigurationError(
            f"A token may be valid for {settings.jwt_max_life_seconds} s at most. Choose a shorter time, or raise"
            " VIDEOCONF_JWT_MAX_LIFE_SECONDS."
        )
    if tenant is None and not settings.default_tenant:
        raise ConfigurationError("VIDEOCONF_DEFAULT_TENANT is empty, so a token needs a tenant. Name one: --tenant.")
    now = int(time.time())
    claims: dict[str, Any] = {
        "sub": subject,
        "iat": now,
        "exp": now + ttl_seconds,
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "jti": uuid4().hex,
        settings.jwt_permissions_claim: list(permissions),
    }
    if tenant is not None:
        claims[settings.jwt_tenant_claim] = tenant
    if meeting_roles is not None:
        claims[MEETING_ROLES_CLAIM] = list(meeting_roles)
    return jwt.encode(claims, settings.jwt_secrets[0].reveal(), "HS256")
