"""Keys of an identity provider, from its JWKS URL: fetched when they are needed, kept while it is away.

A key id that is not known makes us ask again, at most every :data:`COOLDOWN_SECONDS`, so that a new key is picked up
and a flood of invented ids costs nothing. What was fetched last stays good until something else is fetched.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import jwt

from videoconf.api.keys import checked_key
from videoconf.errors import IssuerUnavailable
from videoconf.providers import provider_deadline
from videoconf.providers.http import GuardedClient

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 300.0
COOLDOWN_SECONDS = 30.0
MAX_BYTES = 256 * 1024
FETCH_SECONDS = 5.0
ALGORITHMS = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
"""The one algorithm that each type of key verifies."""


class JwksKeys:
    """The provider's present keys by id. Thread-safe."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self.generation = 0
        """Grows with each change of the keys, after it. What was verified is valid for the generation that was read
        before verifying, or for none: a later key set may lack the key."""
        self._http = GuardedClient(provider="issuer", account="keys", slots=1, answer_cap_bytes=MAX_BYTES)
        self._lock = threading.Lock()
        self._keys: dict[str, tuple[str, Any]] = {}
        self._document: bytes | None = None
        self._asked_at: float | None = None

    def find(self, key_id: str, algorithm: str) -> Any | None:
        """Return the key of this id that verifies this algorithm, or None.

        :raises IssuerUnavailable: no key was ever fetched, and none can be now.
        """
        now = self._clock()
        known = self._keys.get(key_id)
        age = None if self._asked_at is None else now - self._asked_at
        if age is None or age >= REFRESH_SECONDS or (known is None and age >= COOLDOWN_SECONDS):
            self._refresh(now)
            known = self._keys.get(key_id)
        if known is None and self._document is None:
            raise IssuerUnavailable(retry_after_seconds=5)
        return known[1] if known is not None and known[0] == algorithm else None

    def refresh_if_due(self) -> None:
        """Fetch the keys when they are old: a key that was withdrawn must stop verifying what is cached."""
        if self._asked_at is None or self._clock() - self._asked_at >= REFRESH_SECONDS:
            self._refresh(self._clock())

    def _refresh(self, now: float) -> None:
        if not self._lock.acquire(blocking=self._document is None):
            return  # another thread asks already, and there are keys to go on with
        try:
            if self._asked_at is not None and self._asked_at >= now:
                return  # it was asked while this thread waited
            try:
                document = self._fetch()
            finally:
                # Not before the answer: without any keys, other threads must wait for it instead of giving up.
                self._asked_at = self._clock()
            if document != self._document:
                self._keys, self._document = _read(document), document
                self.generation += 1  # after the keys: who reads it finds them changed
        except Exception as error:  # whatever is wrong with what the provider sends, the last keys go on
            logger.warning("the identity provider's keys cannot be fetched: %s", type(error).__name__)
        finally:
            self._lock.release()

    def _fetch(self) -> bytes:
        # Once: requests wait for it, and the next one may be made soon.
        with provider_deadline(FETCH_SECONDS):
            return self._http.request("GET", self._url, operation="keys", idempotent=False).body


def _read(document: bytes) -> dict[str, tuple[str, Any]]:
    """Read a key set; keys that are not for signatures, or that we cannot use, are left out: the others go on.

    :raises Exception: it is not a key set, or none of its keys can be read.
    """
    keys: dict[str, tuple[str, Any]] = {}
    unreadable = None
    for entry in json.loads(document)["keys"]:
        if entry.get("use", "sig") != "sig" or "kid" not in entry:
            continue
        algorithm = ALGORITHMS.get(entry.get("kty"))
        if algorithm is None or entry.get("alg", algorithm) != algorithm:
            continue
        try:
            keys[str(entry["kid"])] = checked_key(jwt.PyJWK.from_dict(entry, algorithm).key)
        except (jwt.PyJWTError, ValueError, TypeError) as error:  # too weak, of another curve, or damaged
            unreadable = error
            logger.warning("a key of the identity provider cannot be read: %s", type(error).__name__)
    if unreadable is not None and not keys:
        raise ValueError("no key of the set can be read") from unreadable
    return keys
