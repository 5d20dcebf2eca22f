"""Rotation of the keys that verify bearer tokens, and keys that forbid serving."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support.settings import JWT_SECRET
from tests.unit.api.bearer_tokens import ED25519, OTHER_SECRET, P256, RSA, Make, pem, status, token
from videoconf.api.keys import auth_faults
from videoconf.settings import Secret, Settings

RSA_2 = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("order", [(JWT_SECRET, OTHER_SECRET), (OTHER_SECRET, JWT_SECRET)])
def test_either_secret_verifies_during_rotation(make_shell: Make, order: tuple[str, str]) -> None:
    client = make_shell(Settings(jwt_secrets=tuple(map(Secret, order)))).test_client()
    for secret in order:
        assert status(client, f"Bearer {token(secret)}") == 200
    assert status(client, f"Bearer {token('a third secret, which is not configured')}") == 401
    assert status(client, f"Bearer {token(order[1])[:-3]}") == 401


def test_removed_secret_answers_401(make_shell: Make) -> None:
    client = make_shell(Settings(jwt_secrets=(Secret(OTHER_SECRET),))).test_client()
    assert status(client, f"Bearer {token(JWT_SECRET)}") == 401


def test_public_keys_of_all_families_verify_together(make_shell: Make) -> None:
    keys = "\n".join(map(pem, (RSA, P256, RSA_2, ED25519)))
    client = make_shell(Settings(jwt_public_keys=keys)).test_client()
    for key, algorithm in ((RSA, "RS256"), (RSA_2, "RS256"), (P256, "ES256"), (ED25519, "EdDSA")):
        assert status(client, f"Bearer {token(key, algorithm)}") == 200
    assert status(client, f"Bearer {token(rsa.generate_private_key(65537, 2048), 'RS256')}") == 401
    assert status(client, f"Bearer {token(ec.generate_private_key(ec.SECP256R1()), 'ES256')}") == 401


PRIVATE = RSA.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({}, "token_urlsafe"),
    "F12 31 bytes": ({"jwt_secrets": (Secret("x" * 31),)}, "secret 1 has fewer than 32 bytes"),
    "F12 the second": ({"jwt_secrets": (Secret("x" * 32), Secret("short"))}, "secret 2"),
    "private key": ({"jwt_public_keys": PRIVATE}, "-pubout"),
    "garbage in a block": ({"jwt_public_keys": "-----BEGIN PUBLIC KEY-----\nAA\n-----END PUBLIC KEY-----"}, "key 1"),
    "no PEM": ({"jwt_public_keys": "garbage"}, "outside PEM"),
    "half a block": ({"jwt_public_keys": pem(RSA) + pem(RSA)[:100]}, "outside PEM"),
    "RSA of 1024 bits": ({"jwt_public_keys": pem(RSA) + pem(rsa.generate_private_key(65537, 1024))}, "key 2 is RSA"),
    "P-384": ({"jwt_public_keys": pem(ec.generate_private_key(ec.SECP384R1()))}, "P-256"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_keys_that_forbid_serving_are_reported_with_a_remedy(make_shell: Make, name: str) -> None:
    values, part = FAULTS[name]
    settings = Settings(**values)
    [fault] = auth_faults(settings)
    assert part in fault
    assert "x" * 31 not in fault
    assert make_shell(settings).test_client().get("/who").status_code == 401  # a command can run anyway


@pytest.mark.parametrize(
    "values",
    [
        {"jwt_secrets": (Secret("x" * 32),)},
        {"jwt_secrets": (Secret("é" * 16),)},
        {"jwt_public_keys": "\n\n" + pem(RSA) + "\r\n" + pem(ED25519)},
        {"auth": "disabled", "development": True},
    ],
)
def test_good_keys_forbid_nothing(values: dict[str, Any]) -> None:
    assert auth_faults(Settings(**values)) == []


def test_all_key_faults_are_reported_together() -> None:
    faults = auth_faults(Settings(jwt_secrets=(Secret("short"), Secret("")), jwt_public_keys=PRIVATE))
    assert len(faults) == 3
