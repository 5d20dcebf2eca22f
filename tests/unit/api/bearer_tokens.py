"""Bearer tokens, right and wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from flask import Flask
from flask.testing import FlaskClient

from tests.support.settings import JWT_SECRET
from videoconf.settings import Settings

Make = Callable[[Settings], Flask]
OTHER_SECRET = "another-secret-of-more-than-thirty-two-bytes"


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {
        "sub": "tester",
        "iat": now,
        "exp": now + 60,
        "iss": "videoconf",
        "aud": "videoconf",
        "permissions": ["GetMeetings"],
    } | changes
    return {name: value for name, value in made.items() if value is not ...}


def token(
    key: Any = JWT_SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **changes: Any
) -> str:
    return jwt.encode(claims(**changes), key, algorithm, headers=headers)


def pem(private_key: Any) -> str:
    public_format = serialization.PublicFormat.SubjectPublicKeyInfo
    return private_key.public_key().public_bytes(serialization.Encoding.PEM, public_format).decode()


RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()


def status(client: FlaskClient, sent: str | None, **kwargs: Any) -> int:
    headers = {} if sent is None else {"Authorization": sent}
    response = client.get("/who", headers=headers, **kwargs)
    if response.status_code == 401:
        body = response.get_json(force=True)
        assert (response.content_type, body["code"]) == ("application/problem+json", "unauthenticated")
        expected = "Bearer" if sent is None else 'Bearer error="invalid_token"'
        assert response.headers["WWW-Authenticate"] == expected
    return response.status_code
