"""An identity provider withdraws a key, while tokens of that key are being verified, or publishes a weak one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from flask.testing import FlaskClient
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.unit.api.bearer_tokens import RSA, Make, claims
from videoconf.api.jwks import JwksKeys
from videoconf.settings import Settings

RSA_2 = rsa.generate_private_key(65537, 2048)
Verify = Callable[[RSAAlgorithm, bytes, Any, bytes], bool]


class Issuer:
    """Publishes a key set, which a test changes."""

    def __init__(self, server: HTTPServer) -> None:
        self.keys: dict[str, dict[str, Any]] = {}
        server.expect_request("/keys").respond_with_handler(self._answer)
        self.url = server.url_for("/keys")

    def publish(self, key_id: str, private: Any) -> None:
        kind = ECAlgorithm if isinstance(private, ec.EllipticCurvePrivateKey) else RSAAlgorithm
        self.keys[key_id] = {**kind.to_jwk(private.public_key(), as_dict=True), "use": "sig", "kid": key_id}

    def _answer(self, request: Request) -> Response:
        return Response(json.dumps({"keys": list(self.keys.values())}))


@pytest.fixture
def issuer(httpserver: HTTPServer) -> Issuer:
    return Issuer(httpserver)


@pytest.fixture
def client(issuer: Issuer, make_shell: Make, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setattr("videoconf.api.jwks.REFRESH_SECONDS", 0.0)
    return make_shell(Settings(jwt_jwks_url=issuer.url, development=True)).test_client()


def token(key_id: str, private: Any, algorithm: str = "RS256") -> str:
    return jwt.encode(claims(), private, algorithm, headers={"kid": key_id})


def status(client: FlaskClient, sent: str) -> int:
    return client.get("/who", headers={"Authorization": f"Bearer {sent}"}).status_code


def test_key_withdrawn_during_verification_stops_verifying(
    issuer: Issuer, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.publish("old", RSA)
    issuer.publish("new", RSA_2)
    old, new = token("old", RSA), token("new", RSA_2)
    verify: Verify = RSAAlgorithm.verify
    withdrawals = []

    def withdraw_meanwhile(algorithm: RSAAlgorithm, message: bytes, key: Any, signature: bytes) -> bool:
        if issuer.keys.pop("old", None):
            withdrawals.append(status(client, new))  # another request, which fetches the keys
        return verify(algorithm, message, key, signature)

    monkeypatch.setattr(RSAAlgorithm, "verify", withdraw_meanwhile)
    assert status(client, old) == 200  # its key was good when its request came
    assert withdrawals == [200]
    assert [status(client, old) for _ in range(2)] == [401, 401]
    assert status(client, new) == 200


def test_verified_token_is_not_verified_again(
    issuer: Issuer, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.publish("k", RSA)
    sent, verify, verified = token("k", RSA), RSAAlgorithm.verify, []

    def counted(algorithm: RSAAlgorithm, message: bytes, key: Any, signature: bytes) -> bool:
        verified.append(signature)
        return verify(algorithm, message, key, signature)

    monkeypatch.setattr(RSAAlgorithm, "verify", counted)
    assert [status(client, sent) for _ in range(3)] == [200, 200, 200]
    assert len(verified) == 1


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits long")  # the test signs with it
def test_weak_key_of_issuer_verifies_nothing(issuer: Issuer, client: FlaskClient) -> None:
    weak, other_curve = rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP384R1())
    issuer.publish("good", RSA)
    issuer.publish("weak", weak)
    issuer.publish("P-384", other_curve)
    assert status(client, token("good", RSA)) == 200
    assert status(client, token("weak", weak)) == 401
    keys = JwksKeys(issuer.url, Settings().jwt_algorithms)
    assert [keys.find(id, algorithm) for id, algorithm in (("weak", "RS256"), ("P-384", "ES256"))] == [(), ()]
    assert keys.find("good", "RS256")


def test_time_between_iat_and_exp_is_bounded(make_shell: Make) -> None:
    from tests.support.settings import JWT_SECRET
    from videoconf.settings import Secret

    now = int(time.time())
    client = make_shell(Settings(jwt_secrets=(Secret(JWT_SECRET),), jwt_max_life_seconds=3600)).test_client()

    def sent(**changes: Any) -> int:
        return status(client, jwt.encode(claims(iat=now, **changes), JWT_SECRET, "HS256"))

    assert sent(exp=now + 3600) == 200
    for exp in (now + 3601, now * 1000, now + 100 * 365 * 86400, 10**399, 1e308):
        assert sent(exp=exp) == 401
    assert status(client, jwt.encode(claims(iat=now - 4000, exp=now + 60), JWT_SECRET, "HS256")) == 401
