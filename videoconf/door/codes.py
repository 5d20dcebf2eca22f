"""The secrets that the door issues, and how they are stored: codes, seats, tickets and controls.

Each is 192 random bits, so its plain SHA-256 digest cannot be turned back, and a secret cannot be found by trying. A
password needs a slow or keyed digest because it can be guessed; these cannot. A plain digest also needs no key that
every node must have, and that could be lost. Queries compare digests, so how long a comparison takes says nothing about
a secret.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode

BYTES = 24


def new_secret() -> str:
    """Make a secret."""
    return secrets.token_urlsafe(BYTES)


def digest(secret: str) -> bytes:
    """Return what is stored of a secret. A string of another shape has a digest too, which no row has."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def seat_of(code: str, key: str) -> str:
    """Return the secret of the seat that a request with this code and this random key makes.

    It follows from both, so that a repetition whose answer was lost finds the seat, and nothing more is stored. Whoever
    has the code alone cannot make it.
    """
    made = hashlib.sha256(b"\0".join((b"videoconf seat of", code.encode(errors="surrogatepass"), key.encode())))
    return urlsafe_b64encode(made.digest()[:BYTES]).decode()


def control_of(seat: str) -> str:
    """Return the control of a moderator's seat.

    It follows from the seat, so that each reload returns the same one and no other page of the moderator loses its own.
    The seat does not follow from it.
    """
    return urlsafe_b64encode(hashlib.sha256(b"videoconf control of " + seat.encode()).digest()[:BYTES]).decode()
