"""Verify a bearer token: choose the key, check the signature, and explain each refusal in a sentence.

PyJWT verifies, and not Flask-JWT-Extended, which makes the service's own tokens (`keys.py`): that library refuses a
numeric `jti` and a token without the identity claim, and identity providers issue both.
"""

from __future__ import annotations

from typing import Any

import jwt

from videoconf.api.claims import Refusal, TokenClaims, shown
from videoconf.api.jwks import JwksKeys
from videoconf.api.keys import Keys
from videoconf.settings import Settings
from videoconf.tenancy import Caller

EXPIRED = "The token has expired."
DOES_NOT_VERIFY = "The token does not verify."
ACCESS_TOKEN_TYPES = ("jwt", "at+jwt", "application/at+jwt")


class TokenVerifier:
    """Verifies tokens by the configured keys and those of an identity provider. Shared by threads.

    :param jwks: the identity provider's keys; None if the settings name none.
    """

    def __init__(self, settings: Settings, keys: Keys, jwks: JwksKeys | None) -> None:
        self._settings = settings
        self._keys = keys
        self._jwks = jwks
        self._claims = TokenClaims(settings)

    def verify(self, token: str) -> tuple[Caller, float]:
        """Return who a token names, and when it expires, in seconds since 1970.

        The claims are judged after the signature, so that their errors tell a forger nothing.

        :raises Refusal: with the reason.
        :raises IssuerUnavailable: the identity provider's keys were never fetched, and cannot be now.
        """
        header = _header(token)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._settings.jwt_algorithms:
            raise Refusal(
                "The token is signed with an algorithm that is not accepted.",
                f"Its `alg` is {shown(algorithm)}; VIDEOCONF_JWT_ALGORITHMS is {shown(self._settings.jwt_algorithms)}.",
            )
        if str(header.get("typ", "JWT")).lower() not in ACCESS_TOKEN_TYPES:
            raise Refusal("This is not an access token.", f"The `typ` of its header is {shown(header['typ'])}.")
        candidates = self._candidates(algorithm, header.get("kid"))
        for key in candidates:
            try:
                claims = self._decode(token, key, algorithm)
            except jwt.InvalidSignatureError:
                continue
            return self._claims.caller(claims), int(claims["exp"])
        raise Refusal(DOES_NOT_VERIFY, f"Its signature fits none of the keys for {algorithm}: {len(candidates)} tried.")

    def _candidates(self, algorithm: str, key_id: Any) -> tuple[Any, ...]:
        """Return the keys that may verify the token: those of the identity provider that has its id, or ours."""
        own = self._keys.get(algorithm, ())
        is_shared = algorithm.startswith("HS")
        if self._jwks is not None and not is_shared:
            found = self._jwks.find(key_id if isinstance(key_id, str) else None, algorithm) or own
            if not found:
                raise Refusal(
                    DOES_NOT_VERIFY,
                    f"No key for {algorithm} has the id {shown(key_id)}; the key set has {shown(self._jwks.key_ids)}.",
                )
            return found
        if not own:
            needed = "VIDEOCONF_JWT_SECRETS" if is_shared else "VIDEOCONF_JWT_PUBLIC_KEYS or VIDEOCONF_JWT_JWKS_URL"
            raise Refusal(DOES_NOT_VERIFY, f"No key for {algorithm} is configured: {needed} sets one.")
        return own

    def _decode(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key,
                # One of the accepted ones, and the one under which the key stands.
                algorithms=[algorithm],
                leeway=self._settings.jwt_leeway_seconds,
                # Identity providers differ in these: they are judged beside the other claims.
                options={"verify_aud": False, "verify_iss": False, "verify_sub": False, "verify_jti": False},
            )
        except jwt.InvalidSignatureError:
            raise
        except jwt.ExpiredSignatureError:
            raise Refusal(EXPIRED) from None
        except jwt.ImmatureSignatureError:
            raise Refusal("The token is not valid yet.", "The clocks of issuer and service may differ.") from None
        except jwt.InvalidIssuedAtError:
            raise Refusal("The token's `iat` is missing or not a number.") from None
        except Exception as error:  # whatever a forged token makes the library raise, it is refused
            raise Refusal(DOES_NOT_VERIFY, f"It cannot be read: {type(error).__name__}.") from None


def _header(token: str) -> dict[str, Any]:
    parts = token.count(".") + 1
    if parts == 5:
        raise Refusal("The token is encrypted (JWE), and this service verifies signed ones (JWS).")
    try:
        return jwt.get_unverified_header(token)
    except Exception as error:  # whatever a forged token makes the library raise, it is refused
        detail = "An opaque access token cannot be verified: let the issuer make JWTs." if parts != 3 else ""
        raise Refusal("The token is not a JWT.", detail or f"It cannot be read: {type(error).__name__}.") from None
