"""Who calls, and what for: bearer tokens by flask-jwt-extended, one permission for each operation.

A view is marked with :func:`requires` or :func:`public`; one hook before all views reads the mark, so that a token is
checked before a body is read, in whatever order a view's decorators stand. A view without a mark answers nobody.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar, cast
from uuid import uuid4

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from flask import Flask, g, request
from flask_jwt_extended import JWTManager, decode_token
from jwt.utils import base64url_decode

from videoconf.api.json_body import request_id
from videoconf.api.jwks import ALGORITHMS, JwksKeys
from videoconf.api.permissions import Permission
from videoconf.api.problems import problem
from videoconf.errors import ConfigurationError, Forbidden, InternalError, IssuerUnavailable, Unauthenticated
from videoconf.settings import Settings
from videoconf.tenancy import Caller

MIN_SECRET_BYTES = 32
MIN_RSA_BITS = 2048
MAX_TOKEN_LENGTH = 8192
MAX_NAME_LENGTH = 255
MEETING_ROLES_CLAIM = "meetingRoles"

logger = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])
Keys = Mapping[str, tuple[Any, ...]]
"""The keys that may verify each algorithm. A key stands under the one algorithm of its type and under no other."""

_ACCESS = "videoconf_access"
_BEARER = re.compile(r"bearer +([\w.=-]+)", re.ASCII | re.IGNORECASE)
_NAME = re.compile(rf"[^\x00-\x1f\x7f\ud800-\udfff]{{1,{MAX_NAME_LENGTH}}}")
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)
_EXPIRED = "The token has expired."
_MAKE_SECRET = "`python -c 'import secrets; print(secrets.token_urlsafe(48))'` makes one"  # noqa: S105  # advice


# --- declaring who may call ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Access:
    """Who may call a view: the bearer of a token with ``permission``, or with None everybody, for ``reason``."""

    permission: str | None
    reason: str = ""


def requires(permission: str) -> Callable[[View], View]:
    """Mark a view: it answers callers whose token has this permission, to be found by :func:`caller`."""
    return _marked(Access(Permission(permission)))


def public(reason: str) -> Callable[[View], View]:
    """Mark a view: it answers without a token, for this reason."""
    return _marked(Access(None, reason))


def access_of(view: Callable[..., Any]) -> Access | None:
    """Return a view's mark. Decorators that are stacked upon it keep it."""
    return cast("Access | None", getattr(view, _ACCESS, None))


def caller() -> Caller:
    """Return who makes the current request; only in views that are marked with :func:`requires`."""
    return cast("Caller", g.caller)


def undeclared_routes(app: Flask) -> list[str]:
    """List the routes that say neither whom they need nor that they are public. The application must have none."""
    return [f"{rule.endpoint} {rule.rule}" for rule in app.url_map.iter_rules() if _access(app, rule.endpoint) is None]


def _marked(access: Access) -> Callable[[View], View]:
    def mark(view: View) -> View:
        setattr(view, _ACCESS, access)
        return view

    return mark


def _access(app: Flask, endpoint: str) -> Access | None:
    if endpoint.rpartition(".")[2] == "static" or endpoint.startswith("api-docs."):
        return Access(None, "files that Flask and flask-smorest serve")
    return access_of(app.view_functions[endpoint])


# --- checking it ----------------------------------------------------------------------------------------------------


def init_auth(app: Flask, settings: Settings, before_refusing: Callable[[], None] = lambda: None) -> None:
    """Check every request of the application before its view runs.

    :param before_refusing: adds hooks that run once it is known who calls, and for callers that will be refused, too.
    """
    keys, _ = _read_keys(settings)
    jwks = JwksKeys(settings.jwt_jwks_url) if settings.jwt_jwks_url else None
    _init_flask_jwt_extended(app, settings, keys, jwks)
    # Without the development setting nothing is ever open, even where no one looked at auth_faults().
    is_open = settings.auth == "disabled" and settings.development
    if is_open:
        logger.warning("authentication is DISABLED: every caller is the development actor with all permissions")
    developer = Caller("development", settings.default_tenant, frozenset(Permission))

    # Verifying costs more than the rest of a small request, and back ends send one token many times. A token that was
    # verified stays so until it expires, or until the keys of an identity provider change. Refusals are not kept.
    @lru_cache(maxsize=1024)
    def verified(token: str) -> tuple[Caller, float]:
        g.bearer_token = token
        claims = decode_token(token)
        return _caller(claims, settings), int(claims["exp"])

    if jwks is not None:
        jwks.on_change = verified.cache_clear

    def needed() -> str | None:
        rule = request.url_rule
        # Flask sets the attribute on werkzeug's rule, whose types do not have it.
        if rule is None or (rule.provide_automatic_options and request.method == "OPTIONS"):  # type: ignore[attr-defined]
            return None
        access = _access(app, rule.endpoint)
        if access is None:
            raise InternalError(f"{rule.endpoint} declares no permission")
        return access.permission

    @app.before_request
    def authenticate() -> None:
        g.refused = None
        permission = needed()
        if permission is None:
            return
        if jwks is not None:
            jwks.refresh_if_due()
        try:
            known = developer if is_open else _authenticate(verified, settings.jwt_leeway_seconds)
        except (Unauthenticated, IssuerUnavailable) as error:
            g.refused = error
            return
        g.caller = replace(known, request_id=request_id())
        if permission not in known.permissions:
            g.refused = Forbidden(f"The token lacks the permission {permission}.")

    before_refusing()

    @app.before_request
    def refuse() -> None:
        if (refused := g.refused) is not None:
            raise refused


def _authenticate(verified: Callable[[str], tuple[Caller, float]], leeway_seconds: int) -> Caller:
    header = request.headers.get("Authorization")
    if header is None:
        raise Unauthenticated("Send a bearer token in the Authorization header.")
    match = _BEARER.fullmatch(header)
    if match is None or len(match[1]) > MAX_TOKEN_LENGTH:
        raise Unauthenticated("The Authorization header is not one bearer token.")
    try:
        known, expires = verified(match[1])
    except (Unauthenticated, IssuerUnavailable):
        raise
    except Exception as error:  # whatever a forged token makes the libraries raise, it is refused
        logger.info("request %s: token refused: %s", request_id(), type(error).__name__)
        raise Unauthenticated(_reason(error)) from error
    if expires <= time.time() - leeway_seconds:
        raise Unauthenticated(_EXPIRED)
    return known


def _caller(claims: Mapping[str, Any], settings: Settings) -> Caller:
    """Read the verified claims, and refuse what the library lets pass: no ``exp``, numbers as text, refresh tokens."""
    for claim in ("exp", "iat"):
        if type(claims.get(claim)) not in (int, float):
            raise Unauthenticated(f"The token's `{claim}` is missing or no number.")
    for claim in ("type", "typ", "token_use"):
        if str(claims.get(claim)).lower() in ("refresh", "id"):
            raise Unauthenticated("This is no access token.")
    meeting_roles = claims.get(MEETING_ROLES_CLAIM)
    return Caller(
        subject=_name(claims.get("sub"), "sub"),
        tenant=_name(_claim(claims, settings.jwt_tenant_claim, settings.default_tenant), settings.jwt_tenant_claim),
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


def _name(value: Any, claim: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Unauthenticated(f"The token's `{claim}` is not a text of 1 to {MAX_NAME_LENGTH} printable characters.")
    return value


def _texts(value: Any, claim: str) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unauthenticated(f"The token's `{claim}` is not a list of texts.")
    return frozenset(value)


def _reason(error: Exception) -> str:
    """Say why a token is refused; the claims are only judged after the signature, so no forger learns from it."""
    match error:
        case jwt.ExpiredSignatureError():
            return _EXPIRED
        case jwt.ImmatureSignatureError():
            return "The token is not valid yet."
        case jwt.InvalidAudienceError():
            return "The token is for another audience."
        case jwt.InvalidIssuerError():
            return "The token is from another issuer."
        case jwt.MissingRequiredClaimError():
            return f"The token lacks `{error.claim}`."
    return "The token does not verify."


def _init_flask_jwt_extended(app: Flask, settings: Settings, keys: Keys, jwks: JwksKeys | None) -> None:
    algorithms = list({**dict.fromkeys(keys), **dict.fromkeys(ALGORITHMS.values() if jwks else ())}) or ["HS256"]
    app.config |= {
        "JWT_ALGORITHM": algorithms[0],  # the library adds it to those it decodes
        "JWT_DECODE_ALGORITHMS": algorithms,
        "JWT_DECODE_AUDIENCE": settings.jwt_audience,
        "JWT_DECODE_ISSUER": settings.jwt_issuer,
        "JWT_DECODE_LEEWAY": settings.jwt_leeway_seconds,
        "JWT_TOKEN_LOCATION": ["headers"],
    }
    manager = JWTManager(app)

    @manager.decode_key_loader
    def decode_key(header: Mapping[str, Any], claims: Mapping[str, Any]) -> Any:
        """Choose among the keys of the token's algorithm the one that verifies it, since the library takes only one."""
        if str(header.get("typ", "JWT")).lower() not in ("jwt", "at+jwt", "application/at+jwt"):
            raise jwt.InvalidTokenError("not an access token")
        candidates = keys.get(header["alg"], ())
        if jwks is not None and isinstance(header.get("kid"), str):
            issued = jwks.find(header["kid"], header["alg"])
            candidates = candidates if issued is None else (issued,)
        if not candidates:
            raise jwt.InvalidAlgorithmError("no key is of this algorithm's type")
        if len(candidates) > 1:
            algorithm = jwt.get_algorithm_by_name(header["alg"])
            signed, _, signature = g.bearer_token.rpartition(".")
            for key in candidates:
                if algorithm.verify(signed.encode(), key, base64url_decode(signature)):
                    return key
        return candidates[0]

    def refuse(*_: Any) -> Any:
        return problem(Unauthenticated())

    # These answer where a view uses the library's own decorators. Its defaults are another shape, and some are 422.
    for loader in (
        manager.expired_token_loader,
        manager.invalid_token_loader,
        manager.needs_fresh_token_loader,
        manager.revoked_token_loader,
        manager.token_verification_failed_loader,
        manager.unauthorized_loader,
        manager.user_lookup_error_loader,
    ):
        loader(refuse)


# --- keys -----------------------------------------------------------------------------------------------------------


def auth_faults(settings: Settings) -> list[str]:
    """List what about authentication forbids serving, each with its remedy."""
    if settings.auth == "disabled":
        if settings.development:
            return []
        return ["VIDEOCONF_AUTH=disabled needs VIDEOCONF_DEVELOPMENT=true. Unset it, and set VIDEOCONF_JWT_SECRETS."]
    keys, faults = _read_keys(settings)
    if settings.jwt_jwks_url and not _is_safe(settings):
        faults.append("VIDEOCONF_JWT_JWKS_URL must begin with https://: over http anybody on the way gives out keys.")
    if not keys and not faults and not settings.jwt_jwks_url:
        faults.append(
            "No key verifies bearer tokens. Set VIDEOCONF_JWT_SECRETS to a secret that the issuer of tokens shares "
            f"({_MAKE_SECRET}), VIDEOCONF_JWT_PUBLIC_KEYS to its public keys, or VIDEOCONF_JWT_JWKS_URL to their URL."
        )
    return faults


def _is_safe(settings: Settings) -> bool:
    return settings.jwt_jwks_url.startswith("https://") or settings.development


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

    :raises ConfigurationError: no shared secret is set; with public keys alone, only their issuer makes tokens.
    """
    if not settings.jwt_secrets:
        raise ConfigurationError(f"A token is made with the first of VIDEOCONF_JWT_SECRETS. Set it; {_MAKE_SECRET}.")
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


def _read_keys(settings: Settings) -> tuple[Keys, list[str]]:
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
        except (ValueError, UnsupportedAlgorithm) as error:
            faults.append(f"VIDEOCONF_JWT_PUBLIC_KEYS: key {position} {error}")
        else:
            keys[algorithm] = (*keys.get(algorithm, ()), key)
    return keys, faults


def _read_public_key(block: str) -> tuple[str, Any]:
    try:
        key = load_pem_public_key(block.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        remedy = "Export it: `openssl pkey -in private.pem -pubout`, or of a certificate `openssl x509 -pubkey -noout`."
        raise ValueError(f"is no readable public key. {remedy}") from error
    if isinstance(key, RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise ValueError(f"is RSA with {key.key_size} bits. Let the issuer sign with {MIN_RSA_BITS} or more.")
        return "RS256", key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256", key
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA", key
    raise ValueError("is of another type. Let the issuer sign with RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA).")
