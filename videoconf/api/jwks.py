"""Keys of an identity provider, from its JWKS URL: fetched when needed, and cached while it does not answer.

A key id that is not known makes us ask again, at most every :data:`COOLDOWN_SECONDS`, so that a new key is picked up
and a flood of invented ids costs nothing. What was fetched last stays good until something else is fetched.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from videoconf.api.public_keys import algorithms_of
from videoconf.errors import IssuerUnavailable, ProviderBadResponse, ProviderError, ProviderTimeout
from videoconf.forward_proxy import ForwardProxy
from videoconf.providers import provider_deadline
from videoconf.providers.http import GuardedClient
from videoconf.settings import Settings

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 300.0
COOLDOWN_SECONDS = 30.0
MAX_BYTES = 256 * 1024
FETCH_SECONDS = 5.0
_READ_AS = {"RSA": "RS256", "P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "OKP": "EdDSA"}
"""An algorithm by which PyJWT reads a key, by the key's curve or type. What the key verifies is decided apart."""


class KeySetUnusable(Exception):
    """The key set cannot be fetched, or has no key of use. The message is a sentence for the operator."""


@dataclass(frozen=True)
class KeySet:
    """The signing keys of an identity provider."""

    keys: tuple[tuple[str | None, tuple[str, ...], Any], ...]
    """For each key its id, the algorithms that it verifies, and the key."""
    left_out: tuple[str, ...] = ()
    """Why other keys are not used, a sentence for each."""
    issuer: str | None = None
    """What the discovery document names, where the URL leads to one."""
    document: Any = field(default=None, repr=False)
    """As the identity provider sent it, to see a change."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys; a key without an id has none here."""
        return tuple(key_id for key_id, _, _ in self.keys if key_id is not None)


class JwksKeys:
    """The identity provider's present keys by id. Thread-safe.

    :param url: of the key set, or of the discovery document (OpenID Connect Discovery, RFC 8414) that names it.
    :param algorithms: those that may sign tokens.
    :param allow_http: whether the discovery document may name a key set on plain HTTP, for development.
    :param proxy: the operator's forward proxy.
    """

    def __init__(
        self,
        url: str,
        algorithms: Collection[str],
        *,
        allow_http: bool = False,
        proxy: ForwardProxy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._algorithms = algorithms
        self._allow_http = allow_http
        self._clock = clock
        self.generation = 0
        """Grows with each change of the keys, after it. What was verified is valid for the generation that was read
        before verifying, or for none: a later key set may lack the key."""
        self._http = GuardedClient(provider="issuer", account="keys", slots=1, answer_cap_bytes=MAX_BYTES, proxy=proxy)
        self._lock = threading.Lock()
        self._set: KeySet | None = None
        self._asked_at: float | None = None

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys that were fetched last."""
        return () if self._set is None else self._set.ids

    def find(self, key_id: str | None, algorithm: str) -> tuple[Any, ...]:
        """Return the keys that may verify a token of this algorithm.

        :param key_id: the token's ``kid``; None if it has none, so that each key may be meant. A key without an id
            may be meant by every token.
        :raises IssuerUnavailable: no key was ever fetched, and none can be now.
        """
        now = self._clock()
        age = None if self._asked_at is None else now - self._asked_at
        is_known = self._set is not None and (key_id is None or key_id in self._set.ids)
        if age is None or age >= REFRESH_SECONDS or (not is_known and age >= COOLDOWN_SECONDS):
            self._refresh(now)
        if self._set is None:
            raise IssuerUnavailable(retry_after_seconds=5)
        return tuple(
            key
            for known, algorithms, key in self._set.keys
            if algorithm in algorithms and (key_id is None or known is None or known == key_id)
        )

    def fetch(self) -> KeySet:
        """Fetch the key set now, to check that this works. Changes nothing.

        :raises KeySetUnusable: it does not, with the reason.
        """
        with provider_deadline(FETCH_SECONDS):
            url, issuer = self._url, None
            document = self._fetch(url)
            if "keys" not in document and isinstance(document.get("jwks_uri"), str):
                url, issuer = document["jwks_uri"], document.get("issuer")
                if not url.startswith("https://") and not self._allow_http:
                    raise KeySetUnusable("The discovery document names a key set that is not on https://.")
                document = self._fetch(url)
        return _read(document, self._algorithms, issuer if isinstance(issuer, str) else None)

    def refresh_if_due(self) -> None:
        """Fetch the keys when they are old: a key that was withdrawn must stop verifying what is cached."""
        if self._asked_at is None or self._clock() - self._asked_at >= REFRESH_SECONDS:
            self._refresh(self._clock())

    def _refresh(self, now: float) -> None:
        if not self._lock.acquire(blocking=self._set is None):
            return  # another thread is fetching already, and older keys are available
        try:
            if self._asked_at is not None and self._asked_at >= now:
                return  # it was asked while this thread waited
            try:
                found = self.fetch()
            finally:
                # Not before the answer: without any keys, other threads must wait for it instead of giving up.
                self._asked_at = self._clock()
            if self._set is None or found.document != self._set.document:
                self._set = found
                self.generation += 1  # after the keys: who reads it finds them changed
                _log(found)
        except Exception as error:  # whatever is wrong with what the provider sends, the last keys go on
            reason = error if isinstance(error, KeySetUnusable) else type(error).__name__
            logger.warning("the identity provider's keys cannot be fetched: %s", reason)
        finally:
            self._lock.release()

    def _fetch(self, url: str) -> Mapping[str, Any]:
        # Once: requests wait for it, and the next one may be made soon.
        try:
            found = self._http.request("GET", url, operation="keys", idempotent=False).json()
        except ProviderError as error:
            raise KeySetUnusable(f"{url} {_how_it_failed(error)}.") from None
        if not isinstance(found, dict) or not ("keys" in found or "jwks_uri" in found):
            raise KeySetUnusable(f"{url} answers neither a key set nor a discovery document.")
        return found


def _how_it_failed(error: ProviderError) -> str:
    if error.provider_status is not None and not isinstance(error, ProviderBadResponse):
        return f"answers {error.provider_status}"
    if isinstance(error, ProviderBadResponse):
        return "answers a redirect, more than 256 KiB, or something other than JSON"
    if isinstance(error, ProviderTimeout):
        return "does not answer in time"
    return f"cannot be reached ({error.provider_message or error.code})"


def _read(document: Mapping[str, Any], algorithms: Collection[str], issuer: str | None) -> KeySet:
    """Read a key set; keys that are not for signatures, or that we cannot use, are left out: the others go on.

    :raises KeySetUnusable: it is not a key set, or none of its keys can be read.
    """
    keys: list[tuple[str | None, tuple[str, ...], Any]] = []
    left_out, damaged = [], False
    entries = document.get("keys")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise KeySetUnusable("The document's `keys` is not a list of keys.")
    for entry in entries:
        key_id = None if entry.get("kid") is None else str(entry["kid"])
        operations = entry.get("key_ops")
        if entry.get("use", "sig") != "sig" or (isinstance(operations, list) and "verify" not in operations):
            left_out.append(f"key {key_id!r} is not for signatures")
            continue
        try:
            key = jwt.PyJWK.from_dict(entry, _READ_AS.get(entry.get("crv")) or _READ_AS.get(entry.get("kty"))).key
            possible = algorithms_of(key)
        except Exception as error:  # too weak, of another curve, or damaged in whatever way
            damaged = True
            said = str(error) if type(error) is ValueError else f"cannot be read ({type(error).__name__})"
            left_out.append(f"key {key_id!r} {said}")
            continue
        usable = tuple(name for name in possible if name in algorithms and entry.get("alg", name) == name)
        if usable:
            keys.append((key_id, usable, key))
        else:
            left_out.append(
                f"key {key_id!r} verifies {entry.get('alg') or ', '.join(possible)}, which VIDEOCONF_JWT_ALGORITHMS"
                " does not list"
            )
    if damaged and not keys:
        raise KeySetUnusable(f"No key of the set can be used: {'; '.join(left_out)}.")
    return KeySet(tuple(keys), tuple(left_out), issuer, document)


def _log(found: KeySet) -> None:
    ids = [key_id or "(without id)" for key_id, _, _ in found.keys]
    logger.info("keys of the identity provider: %s", ", ".join(ids) or "none", extra={"key_ids": ids})
    for sentence in found.left_out:
        logger.info("a key of the identity provider is not used: %s", sentence)


def jwks_of(settings: Settings) -> JwksKeys | None:
    """Return the keys of the identity provider that the settings name; None if they name none."""
    if not settings.jwt_jwks_url:
        return None
    return JwksKeys(
        settings.jwt_jwks_url,
        settings.jwt_algorithms,
        allow_http=settings.development,
        proxy=settings.proxy,
    )
