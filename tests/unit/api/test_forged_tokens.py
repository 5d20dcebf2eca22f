"""Every way to forge a bearer token, and claims that are invalid."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives import serialization
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from tests.support.settings import JWT_SECRET
from tests.unit.api.bearer_tokens import ED25519, OTHER_SECRET, P256, RSA, Make, claims, pem, status, token
from tests.unit.api.shell import shell_with
from videoconf.settings import Secret, Settings


def b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def hs256(header: Any, payload: Any, key: bytes = JWT_SECRET.encode()) -> str:
    """Sign what the library would refuse to sign."""
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


NOW = int(time.time())
FORGED: dict[str, Callable[[], str]] = {
    "F2 alg none": lambda: f"{b64({'alg': 'none', 'typ': 'JWT'})}.{b64(claims())}.",
    "F2 alg nOnE": lambda: f"{b64({'alg': 'nOnE', 'typ': 'JWT'})}.{b64(claims())}.",
    "F2 alg none, a signature": lambda: f"{b64({'alg': 'none'})}.{token().split('.', 1)[1]}",
    "F2 alg empty": lambda: hs256({"alg": ""}, claims()),
    "F2 alg null": lambda: hs256({"alg": None}, claims()),
    "F2 no alg": lambda: hs256({"typ": "JWT"}, claims()),
    "F2 alg a list": lambda: hs256({"alg": ["HS256"]}, claims()),
    "F2 alg an object": lambda: hs256({"alg": {"HS256": 1}}, claims()),
    "F2 alg in lower case": lambda: hs256({"alg": "hs256"}, claims()),
    "F2 HS384 with our secret": lambda: jwt.encode(claims(), JWT_SECRET * 2, "HS384"),
    "F2 HS512 with our secret": lambda: jwt.encode(claims(), JWT_SECRET * 2, "HS512"),
    "F3 RS256 by a stranger": lambda: token(RSA, "RS256"),
    "F3 ES256 by a stranger": lambda: token(P256, "ES256"),
    "F8 kid is a path": lambda: hs256({"alg": "HS256", "kid": "../../dev/null"}, claims(), b""),
    "F8 kid is SQL": lambda: hs256({"alg": "HS256", "kid": "x' UNION SELECT 'k"}, claims(), b"k"),
    "F8 embedded key": lambda: hs256({"alg": "HS256", "jwk": {"kty": "oct", "k": b64(b"k")}}, claims(), b"k"),
    "F9 unknown crit": lambda: hs256({"alg": "HS256", "crit": ["exp2"], "exp2": 1}, claims()),
    "F9 crit of another type": lambda: hs256({"alg": "HS256", "crit": "exp"}, claims()),
    "F9 b64": lambda: hs256({"alg": "HS256", "crit": ["b64"], "b64": False}, claims()),
    "F10 no signature": lambda: token().rpartition(".")[0] + ".",
    "F10 two segments": lambda: token().rpartition(".")[0],
    "F10 another segment": lambda: token() + ".x",
    "F10 a signature's bit": lambda: token()[:-2] + ("A" if token()[-2] != "A" else "B") + token()[-1],
    "F10 another payload": lambda: ".".join([*token().split(".")[:1], b64(claims(sub="admin")), token().split(".")[2]]),
    "F10 dots": lambda: "..",
    "F10 one word": lambda: "x",
    "F10 200 kB": lambda: token(padding="x" * 200_000),
    "F10 header is not JSON": lambda: f"{b64(b'x')}.{b64(claims())}.{b64(b'x')}",
    "F10 header is a list": lambda: hs256([], claims()),
    "F10 header is deep": lambda: hs256(b"[" * 3000, claims()),
    "F10 payload is deep": lambda: hs256({"alg": "HS256"}, b'{"a":' + b"[" * 3000),
    "F10 payload is a list": lambda: hs256({"alg": "HS256"}, [claims()]),
    "F10 payload is not UTF-8": lambda: hs256({"alg": "HS256"}, b'{"sub": "\xff"}'),
    "F11 of another environment": lambda: token(OTHER_SECRET),
    "F15 refresh token": lambda: token(type="refresh"),
    "F15 refresh token of Keycloak": lambda: token(typ="Refresh"),
    "F15 ID token of Keycloak": lambda: token(typ="ID"),
    "F15 ID token of Cognito": lambda: token(token_use="id"),
    "F15 logout token": lambda: token(headers={"typ": "logout+jwt"}),
    "F15 another type": lambda: token(headers={"typ": "dpop+jwt"}),
    "F15 a type that is not a string": lambda: hs256({"alg": "HS256", "typ": 7}, claims()),
}


@pytest.mark.parametrize("forged", FORGED)
def test_forged_token_answers_401(client: FlaskClient, forged: str) -> None:
    assert status(client, f"Bearer {FORGED[forged]()}") == 401


def test_public_key_is_not_accepted_as_a_shared_secret(make_shell: Make) -> None:
    settings = Settings(jwt_secrets=(Secret(JWT_SECRET),), jwt_public_keys=pem(RSA) + pem(P256) + pem(ED25519))
    client = make_shell(settings).test_client()
    assert status(client, f"Bearer {token(RSA, 'RS256')}") == 200
    for key in (RSA, P256, ED25519):
        der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        for secret in (pem(key).encode(), pem(key).strip().encode(), der):
            assert status(client, f"Bearer {hs256({'alg': 'HS256', 'typ': 'JWT'}, claims(), secret)}") == 401


def test_each_key_verifies_its_own_algorithm_only(make_shell: Make) -> None:
    client = make_shell(Settings(jwt_public_keys=pem(RSA))).test_client()
    assert status(client, f"Bearer {token(RSA, 'RS256')}") == 200
    for algorithm in ("RS384", "RS512", "PS256"):
        assert status(client, f"Bearer {token(RSA, algorithm)}") == 401
    assert status(client, f"Bearer {token(JWT_SECRET)}") == 401  # no shared secret is set at all
    assert status(client, f"Bearer {hs256({'alg': 'HS256'}, claims(), b'')}") == 401


def test_key_url_in_a_token_is_not_fetched(client: FlaskClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
        for name in ("jku", "x5u"):
            assert status(client, f"Bearer {token(OTHER_SECRET, headers={name: url})}") == 401
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_kid_of_a_static_key_is_ignored(client: FlaskClient) -> None:
    assert status(client, f"Bearer {token(headers={'kid': '../../dev/null'})}") == 200


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "F4 expired": {"exp": NOW - 60},
    "F4 no exp": {"exp": ...},
    "F4 exp null": {"exp": None},
    "F4 exp a text": {"exp": "9999999999"},
    "F4 exp true": {"exp": True},
    "F4 exp infinite": {"exp": float("inf")},
    "F4 exp NaN": {"exp": float("nan")},
    "F4 exp a list": {"exp": [NOW + 60]},
    "F4 nbf in the future": {"nbf": NOW + 86400},
    "F4 nbf is not a number": {"nbf": "soon"},
    "F4 iat in the future": {"iat": NOW + 86400},
    "F4 no iat": {"iat": ...},
    "F4 iat a text": {"iat": str(NOW)},
    "F6 no aud": {"aud": ...},
    "F6 another aud": {"aud": "other"},
    "F6 aud null": {"aud": None},
    "F6 aud empty": {"aud": []},
    "F6 aud a number": {"aud": 7},
    "F6 aud with ours inside": {"aud": "videoconf-test"},
    "F6 no iss": {"iss": ...},
    "F6 another iss": {"iss": "other"},
    "F6 iss null": {"iss": None},
    "F6 iss a list": {"iss": ["videoconf"]},
    "F6 part of our iss": {"iss": "video"},
    "no sub": {"sub": ...},
    "sub null": {"sub": None},
    "sub empty": {"sub": ""},
    "sub true": {"sub": True},
    "sub a fraction": {"sub": 7.5},
    "sub with a NUL": {"sub": "a\0"},
    "sub with a surrogate": {"sub": "\ud800"},
    "sub too long": {"sub": "x" * 256},
    "no permissions": {"permissions": ...},
    "permissions null": {"permissions": None},
    "permissions an object": {"permissions": {"GetMeetings": True}},
    "permissions with a number": {"permissions": ["GetMeetings", 7]},
    "permissions with a list": {"permissions": [["GetMeetings"]]},
    "tenant empty": {"tenant": ""},
    "tenant null": {"tenant": None},
    "tenant true": {"tenant": True},
    "tenant two": {"tenant": ["a", "b"]},
    "tenant with a newline": {"tenant": "a\nb"},
    "tenant too long": {"tenant": "x" * 256},
    "roles a text": {"meetingRoles": "publisher"},
    "roles with a number": {"meetingRoles": [1]},
}


@pytest.mark.parametrize("name", BAD_CLAIMS)
def test_invalid_claims_answer_401(client: FlaskClient, name: str) -> None:
    made = hs256({"alg": "HS256", "typ": "JWT"}, claims(**BAD_CLAIMS[name]))
    assert status(client, f"Bearer {made}") == 401


def test_longest_claims_are_accepted(client: FlaskClient) -> None:
    assert status(client, f"Bearer {token(sub='x' * 255, tenant='t' * 255)}") == 200


JSON_VALUE = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text() | st.integers())
CLIENT = shell_with(Settings(jwt_secrets=(Secret(JWT_SECRET),))).test_client()


@given(st.dictionaries(st.sampled_from([*claims(), "tenant", "meetingRoles", "nbf", "type", "jti"]), JSON_VALUE))
def test_any_signed_claims_are_accepted_or_answer_401(changes: dict[str, Any]) -> None:
    made = hs256({"alg": "HS256", "typ": "JWT"}, claims(**changes))
    assert status(CLIENT, f"Bearer {made}") in (200, 401, 403)


@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "cty"]), JSON_VALUE))
def test_any_signed_header_is_accepted_or_answers_401(header: dict[str, Any]) -> None:
    assert status(CLIENT, f"Bearer {hs256({'alg': 'HS256'} | header, claims())}") in (200, 401)


@given(st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0")))
def test_any_header_answers_401(sent: str) -> None:
    assert status(CLIENT, sent) == 401


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"exp": NOW - 60}, "expired"),
        ({"nbf": NOW + 86400}, "not valid yet"),
        ({"aud": "other"}, "another audience"),
        ({"iss": "other"}, "another issuer"),
        ({"aud": ...}, "`aud`"),
        ({"exp": ...}, "`exp`"),
    ],
)
def test_detail_explains_a_refused_token(client: FlaskClient, changes: dict[str, Any], detail: str) -> None:
    for key, expected in ((JWT_SECRET, detail), (OTHER_SECRET, "does not verify")):
        response = client.get("/who", headers={"Authorization": f"Bearer {token(key, **changes)}"})
        assert expected in response.get_json(force=True)["detail"]


def test_leeway_is_exact(client: FlaskClient) -> None:
    made = token(exp=NOW + 100, iat=NOW - 100)
    # The second time it comes from memory.
    for offset, expected in ((109, 200), (109, 200), (111, 401), (109, 200)):
        with time_machine.travel(NOW + offset, tick=False):
            assert status(client, f"Bearer {made}") == expected
    with time_machine.travel(NOW, tick=False):
        assert status(client, f"Bearer {token(iat=NOW + 9, nbf=NOW + 9)}") == 200
        assert status(client, f"Bearer {token(iat=NOW + 11)}") == 401


def test_refused_token_is_accepted_once_it_is_valid(client: FlaskClient) -> None:
    # NOW is when this file was imported, which can be minutes ago: `iat` must not be later than the times below.
    made = token(iat=NOW, nbf=NOW + 600, exp=NOW + 900)
    with time_machine.travel(NOW, tick=False):
        assert status(client, f"Bearer {made}") == 401
    with time_machine.travel(NOW + 601, tick=False):
        assert status(client, f"Bearer {made}") == 200


def test_log_omits_tokens(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = token(OTHER_SECRET)
    assert status(client, f"Bearer {made}") == 401
    assert "token refused" in caplog.text
    assert made not in caplog.text
    assert made.split(".")[1] not in caplog.text
