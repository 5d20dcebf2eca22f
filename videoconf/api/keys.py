"""The configured keys of bearer tokens: which verify them, what is wrong with them, and a token made with one."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from videoconf.api.claims import ANY_AUDIENCE, MEETING_ROLES_CLAIM, read_groups
from videoconf.errors import ConfigurationError
from videoconf.settings import Settings

MIN_SECRET_BYTES = 32

Keys = Mapping[str, tuple[Any, ...]]
"""The keys that may verify each algorithm. A key stands under the accepted algorithms of its type and no others."""


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
    faults += _claim_faults(settings)
    if settings.jwt_jwks_url and not _is_safe(settings):
        faults.append("VIDEOCONF_JWT_JWKS_URL must begin with https://: over http anybody on the way gives out keys.")
    if not keys and not faults and not settings.jwt_jwks_url:
        faults.append(
            "No key verifies bearer tokens. Set VIDEOCONF_JWT_SECRETS to a secret that the issuer of tokens shares "
            f"({_MAKE_SECRET}), VIDEOCONF_JWT_PUBLIC_KEYS to its public keys, or VIDEOCONF_JWT_JWKS_URL to their URL."
        )
    return faults


def _claim_faults(settings: Settings) -> list[str]:
    """List the settings that would refuse every token."""
    needed = {
        "VIDEOCONF_JWT_ALGORITHMS": settings.jwt_algorithms,
        "VIDEOCONF_JWT_ISSUER": settings.jwt_issuer,
        "VIDEOCONF_JWT_AUDIENCE": settings.jwt_audience,
        "VIDEOCONF_JWT_AUDIENCE_CLAIM": settings.jwt_audience_claim,
        "VIDEOCONF_JWT_SUBJECT_CLAIM": settings.jwt_subject_claim,
        "VIDEOCONF_JWT_PERMISSIONS_CLAIM": settings.jwt_permissions_claim,
    }
    faults = [
        f"{variable} is empty, which would refuse every token. Unset it for the default, or name a value"
        + (f"; `{ANY_AUDIENCE}` accepts tokens for any audience." if variable == "VIDEOCONF_JWT_AUDIENCE" else ".")
        for variable, value in needed.items()
        if not value
    ]
    return [*faults, *read_groups(settings.jwt_permission_groups)[1]]


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
    shared = [algorithm for algorithm in settings.jwt_algorithms if algorithm.startswith("HS")]
    for position, secret in enumerate(settings.jwt_secrets, 1):
        text = secret.reveal().encode()
        if fault := _secret_fault(text, shared):
            faults.append(f"VIDEOCONF_JWT_SECRETS: secret {position} {fault}")
            continue
        for algorithm in shared:
            keys[algorithm] = (*keys.get(algorithm, ()), text)
    if len(settings.jwt_secrets) > 1:
        # A comma may belong to a secret, which cannot be seen from here. As one, the secrets verify nothing new.
        whole = ",".join(secret.reveal() for secret in settings.jwt_secrets).encode()
        keys |= {algorithm: (*keys[algorithm], whole) for algorithm in shared if algorithm in keys}
    blocks = [match[0] for match in _PEM.finditer(settings.jwt_public_keys)]
    if _PEM.sub("", settings.jwt_public_keys).strip():
        faults.append(
            "VIDEOCONF_JWT_PUBLIC_KEYS has text outside PEM blocks. Name a file that holds only the keys in "
            "VIDEOCONF_JWT_PUBLIC_KEYS_FILE."
        )
    for position, block in enumerate(blocks, 1):
        from videoconf.api.public_keys import algorithms_of, read_public_key  # with cryptography, which takes a while

        try:
            key = read_public_key(block)
            possible = algorithms_of(key)
            accepted = [algorithm for algorithm in possible if algorithm in settings.jwt_algorithms]
            if not accepted:
                raise ValueError(
                    f"verifies {', '.join(possible)}, which VIDEOCONF_JWT_ALGORITHMS does not list. Add the one that"
                    " the issuer signs with, or let it sign with RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA)."
                )
        except ValueError as error:
            faults.append(f"VIDEOCONF_JWT_PUBLIC_KEYS: key {position} {error}")
        else:
            keys |= {algorithm: (*keys.get(algorithm, ()), key) for algorithm in accepted}
    return keys, faults


def key_ids(settings: Settings) -> list[str]:
    """Return an id for each configured key, which tells old from new in the log and leads back to no secret.

    A public key has the start of its hash, a secret that of a keyed hash.
    """
    ids = [
        f"secret:{hmac.digest(secret.reveal().encode(), b'videoconf key id', 'sha256').hex()[:8]}"
        for secret in settings.jwt_secrets
    ]
    for match in _PEM.finditer(settings.jwt_public_keys):
        from videoconf.api.public_keys import fingerprint

        with suppress(ValueError):
            ids.append(f"public:{fingerprint(match[0])}")
    return ids


def _secret_fault(secret: bytes, algorithms: Sequence[str]) -> str:
    """Return what is wrong with a shared secret; empty where nothing is."""
    longest = max((int(algorithm[2:]) // 8 for algorithm in algorithms), default=MIN_SECRET_BYTES)
    if len(secret) < longest:
        why = "" if longest == MIN_SECRET_BYTES else f", which HS{longest * 8} in VIDEOCONF_JWT_ALGORITHMS needs,"
        return (
            f"has fewer than {longest} bytes{why} and could be guessed. Replace it; {_MAKE_SECRET}. Commas and line"
            " ends separate secrets: write a comma that belongs to one as `\\,`."
        )
    if b"-----BEGIN " in secret or secret.startswith((b"ssh-", b"ecdsa-sha2-")):
        return "is a public key or a certificate. Set VIDEOCONF_JWT_PUBLIC_KEYS to it instead."
    return ""


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
    if not settings.jwt_secrets:
        raise ConfigurationError(f"A token is made with the first of VIDEOCONF_JWT_SECRETS. Set it; {_MAKE_SECRET}.")
    if ttl_seconds > settings.jwt_max_life_seconds:
        raise ConfigurationError(
            f"A token may be valid for {settings.jwt_max_life_seconds} s at most. Choose a shorter time, or raise"
            " VIDEOCONF_JWT_MAX_LIFE_SECONDS."
        )
    if tenant is None and not settings.default_tenant:
        raise ConfigurationError("VIDEOCONF_DEFAULT_TENANT is empty, so a token needs a tenant. Name one: --tenant.")
    shared = [algorithm for algorithm in settings.jwt_algorithms if algorithm.startswith("HS")]
    if not shared:
        raise ConfigurationError("VIDEOCONF_JWT_ALGORITHMS lists no algorithm for shared secrets. Add HS256.")
    claims: dict[str, Any] = {
        settings.jwt_permissions_claim[0]: [f"{settings.jwt_permissions_prefix}{name}" for name in permissions]
    }
    if ANY_AUDIENCE not in settings.jwt_audience:
        claims[settings.jwt_audience_claim[0]] = settings.jwt_audience[0]
    if tenant is not None:
        claims[settings.jwt_tenant_claim] = tenant
    if meeting_roles is not None:
        claims[MEETING_ROLES_CLAIM] = list(meeting_roles)
    from flask import Flask
    from flask_jwt_extended import JWTManager, create_access_token

    issuer = Flask("videoconf.tokens")  # the library reads its settings from an application
    issuer.config |= {
        "JWT_SECRET_KEY": settings.jwt_secrets[0].reveal(),
        "JWT_ALGORITHM": shared[0],
        "JWT_ENCODE_ISSUER": settings.jwt_issuer[0],
        "JWT_IDENTITY_CLAIM": settings.jwt_subject_claim[0],
        "JWT_ENCODE_NBF": False,  # a service whose clock is behind would refuse the token at first
    }
    JWTManager(issuer)
    with issuer.app_context():
        lifetime = timedelta(seconds=ttl_seconds)
        token: str = create_access_token(subject, expires_delta=lifetime, additional_claims=claims)
        return token
