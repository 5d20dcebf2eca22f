"""Public keys: reading them, and what each may verify."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

MIN_RSA_BITS = 2048
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


def read_public_key(block: str) -> Any:
    """Read a PEM block: a public key, or a certificate's.

    :raises ValueError: it is neither.
    """
    try:
        if "CERTIFICATE" in block.partition("\n")[0]:
            return load_pem_x509_certificate(block.encode()).public_key()
        return load_pem_public_key(block.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        remedy = "Export it: `openssl pkey -in private.pem -pubout`, or of a certificate `openssl x509 -pubkey -noout`."
        raise ValueError(f"is not a readable public key. {remedy}") from error


def algorithms_of(key: object) -> tuple[str, ...]:
    """Return the algorithms that a public key can verify.

    :raises ValueError: it is too weak, or of a type that is not accepted.
    """
    if isinstance(key, RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise ValueError(f"is RSA with {key.key_size} bits. Let the issuer sign with {MIN_RSA_BITS} or more.")
        return ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return (_CURVES[key.curve.name],)
    if isinstance(key, Ed25519PublicKey | Ed448PublicKey):
        return ("EdDSA",)
    raise ValueError("is of another type. Let the issuer sign with RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA).")


def fingerprint(block: str) -> str:
    """Return the start of a key's hash, for the log.

    :raises ValueError: the PEM block is not a public key.
    """
    der = read_public_key(block).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:8]
