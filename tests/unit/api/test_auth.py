"""Bearer tokens: what is taken, every way to forge one, rotation, permissions, and what forbids serving."""

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
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api.conftest import JWT_SECRET, _make
from videoconf.api.authentication import init_auth, public, requires, undeclared_routes
from videoconf.api.keys import auth_faults, mint_token
from videoconf.api.permissions import Permission
from videoconf.api.problems import register_problem_handlers
from videoconf.errors import ConfigurationError
from videoconf.settings import Secret, Settings

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


def b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def hs256(header: Any, payload: Any, key: bytes = JWT_SECRET.encode()) -> str:
    """Sign what the library would refuse to sign."""
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def pem(private_key: Any) -> str:
    public_format = serialization.PublicFormat.SubjectPublicKeyInfo
    return private_key.public_key().public_bytes(serialization.Encoding.PEM, public_format).decode()


RSA = rsa.generate_private_key(65537, 2048)
RSA_2 = rsa.generate_private_key(65537, 2048)
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


# --- what is taken --------------------------------------------------------------------------------------------------


def test_a_token_says_who_calls(client: FlaskClient) -> None:
    made = token(
        sub="é👩‍👧", tenant="acme", permissions=["GetMeetings", "Unknown"], meetingRoles=["Publisher", "subscriber"]
    )
    body = client.get("/who", headers={"Authorization": f"Bearer {made}", "X-Request-ID": "r-1"}).get_json()
    assert body == {
        "subject": "é👩‍👧",
        "tenant": "acme",
        "permissions": ["GetMeetings", "Unknown"],
        "meetingRoles": ["publisher", "subscriber"],
        "requestId": "r-1",
    }


def test_the_tenant_and_the_roles_are_optional(client: FlaskClient) -> None:
    body = client.get("/who", headers={"Authorization": f"Bearer {token()}"}).get_json()
    assert (body["tenant"], body["meetingRoles"]) == ("default", None)


def test_no_role_at_all_is_not_any_role(client: FlaskClient) -> None:
    body = client.get("/who", headers={"Authorization": f"Bearer {token(meetingRoles=[])}"}).get_json()
    assert body["meetingRoles"] == []


def test_claim_names_are_settings(make_shell: Make) -> None:
    names = {"jwt_permissions_claim": "scopes", "jwt_tenant_claim": "org", "jwt_issuer": "us", "jwt_audience": "them"}
    settings = Settings(jwt_secrets=(Secret(JWT_SECRET),), default_tenant="home", **names)
    client = make_shell(settings).test_client()
    made = token(permissions=..., scopes=["GetMeetings"], org="acme", iss="us", aud=["x", "them"])
    assert client.get("/who", headers={"Authorization": f"Bearer {made}"}).get_json()["tenant"] == "acme"
    assert status(client, f"Bearer {token(iss='us', aud='them')}") == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_in_any_letter_case(client: FlaskClient, scheme: str) -> None:
    assert status(client, f"{scheme} {token()}") == 200


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_access_tokens_by_their_type_are_taken(client: FlaskClient, typ: str) -> None:
    assert status(client, f"Bearer {token(headers={'typ': typ})}") == 200


# --- F1: no token, or none that can be read -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda good: None,
        lambda good: "",
        lambda good: "Bearer",
        lambda good: "Bearer ",
        lambda good: good,
        lambda good: f"Basic {good}",
        lambda good: f"Token {good}",
        lambda good: f"Bearer {good},Bearer {good}",
        lambda good: f"Bearer {good}, Bearer {good}",
        lambda good: f"Basic eDp5, Bearer {good}",
        lambda good: f"Bearer {good},",
        lambda good: f",Bearer {good}",
        lambda good: f"Bearer {good} x",
        lambda good: f"Bearer x {good}",
        lambda good: f"Bearer\t{good}",
        lambda good: f"Bearer {good}é",
        lambda good: f'Bearer "{good}"',
        lambda good: f"xBearer {good}",
    ],
)
def test_f1_no_single_bearer_token_is_401(client: FlaskClient, make: Callable[[str], str | None]) -> None:
    assert status(client, make(token())) == 401


@pytest.mark.parametrize("name", ["jwt", "access_token", "token"])
def test_f1_a_token_elsewhere_is_not_read(app: Flask, name: str) -> None:
    client = app.test_client()
    client.set_cookie(name, token())
    client.set_cookie("access_token_cookie", token())
    assert status(client, None, query_string={name: token()}, json={name: token()}) == 401


# --- F2, F3, F8 to F11, F15: forged tokens --------------------------------------------------------------------------

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
    "F10 header is no JSON": lambda: f"{b64(b'x')}.{b64(claims())}.{b64(b'x')}",
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
    "F15 a type that is no text": lambda: hs256({"alg": "HS256", "typ": 7}, claims()),
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_token_is_401(client: FlaskClient, forged: str) -> None:
    assert status(client, f"Bearer {FORGED[forged]()}") == 401


def test_f3_a_public_key_is_no_shared_secret(make_shell: Make) -> None:
    settings = Settings(jwt_secrets=(Secret(JWT_SECRET),), jwt_public_keys=pem(RSA) + pem(P256) + pem(ED25519))
    client = make_shell(settings).test_client()
    assert status(client, f"Bearer {token(RSA, 'RS256')}") == 200
    for key in (RSA, P256, ED25519):
        der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        for secret in (pem(key).encode(), pem(key).strip().encode(), der):
            assert status(client, f"Bearer {hs256({'alg': 'HS256', 'typ': 'JWT'}, claims(), secret)}") == 401


def test_f3_each_key_verifies_its_own_algorithm_only(make_shell: Make) -> None:
    client = make_shell(Settings(jwt_public_keys=pem(RSA))).test_client()
    assert status(client, f"Bearer {token(RSA, 'RS256')}") == 200
    for algorithm in ("RS384", "RS512", "PS256"):
        assert status(client, f"Bearer {token(RSA, algorithm)}") == 401
    assert status(client, f"Bearer {token(JWT_SECRET)}") == 401  # no shared secret is set at all
    assert status(client, f"Bearer {hs256({'alg': 'HS256'}, claims(), b'')}") == 401


def test_f8_no_key_is_fetched(client: FlaskClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
        for name in ("jku", "x5u"):
            assert status(client, f"Bearer {token(OTHER_SECRET, headers={name: url})}") == 401
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_f8_a_kid_is_no_matter(client: FlaskClient) -> None:
    assert status(client, f"Bearer {token(headers={'kid': '../../dev/null'})}") == 200


# --- F4, F6: claims -------------------------------------------------------------------------------------------------

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
    "F4 nbf no number": {"nbf": "soon"},
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
    "sub a number": {"sub": 7},
    "sub with a NUL": {"sub": "a\0"},
    "sub with a surrogate": {"sub": "\ud800"},
    "sub too long": {"sub": "x" * 256},
    "no permissions": {"permissions": ...},
    "permissions null": {"permissions": None},
    "permissions a text": {"permissions": "GetMeetings"},
    "permissions an object": {"permissions": {"GetMeetings": True}},
    "permissions with a number": {"permissions": ["GetMeetings", 7]},
    "permissions with a list": {"permissions": [["GetMeetings"]]},
    "tenant empty": {"tenant": ""},
    "tenant null": {"tenant": None},
    "tenant a number": {"tenant": 7},
    "tenant with a newline": {"tenant": "a\nb"},
    "tenant too long": {"tenant": "x" * 256},
    "roles a text": {"meetingRoles": "publisher"},
    "roles with a number": {"meetingRoles": [1]},
}


@pytest.mark.parametrize("name", BAD_CLAIMS)
def test_bad_claims_are_401(client: FlaskClient, name: str) -> None:
    made = hs256({"alg": "HS256", "typ": "JWT"}, claims(**BAD_CLAIMS[name]))
    assert status(client, f"Bearer {made}") == 401


def test_the_limits_of_texts_are_taken(client: FlaskClient) -> None:
    assert status(client, f"Bearer {token(sub='x' * 255, tenant='t' * 255)}") == 200


JSON_VALUE = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text() | st.integers())
CLIENT = _make(Settings(jwt_secrets=(Secret(JWT_SECRET),))).test_client()


@given(st.dictionaries(st.sampled_from([*claims(), "tenant", "meetingRoles", "nbf", "type", "jti"]), JSON_VALUE))
def test_any_signed_claims_are_taken_or_401(changes: dict[str, Any]) -> None:
    made = hs256({"alg": "HS256", "typ": "JWT"}, claims(**changes))
    assert status(CLIENT, f"Bearer {made}") in (200, 401, 403)


@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "cty"]), JSON_VALUE))
def test_any_signed_header_is_taken_or_401(header: dict[str, Any]) -> None:
    assert status(CLIENT, f"Bearer {hs256({'alg': 'HS256'} | header, claims())}") in (200, 401)


@given(st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0")))
def test_any_header_is_401(sent: str) -> None:
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
def test_the_detail_says_what_is_wrong_with_ones_own_token(
    client: FlaskClient, changes: dict[str, Any], detail: str
) -> None:
    for key, expected in ((JWT_SECRET, detail), (OTHER_SECRET, "does not verify")):
        response = client.get("/who", headers={"Authorization": f"Bearer {token(key, **changes)}"})
        assert expected in response.get_json(force=True)["detail"]


def test_leeway_is_allowed_and_no_more(client: FlaskClient) -> None:
    made = token(exp=NOW + 100, iat=NOW - 100)
    # The second time it comes from memory.
    for offset, expected in ((109, 200), (109, 200), (111, 401), (109, 200)):
        with time_machine.travel(NOW + offset, tick=False):
            assert status(client, f"Bearer {made}") == expected
    with time_machine.travel(NOW, tick=False):
        assert status(client, f"Bearer {token(iat=NOW + 9, nbf=NOW + 9)}") == 200
        assert status(client, f"Bearer {token(iat=NOW + 11)}") == 401


def test_a_token_that_was_refused_is_taken_once_it_is_valid(client: FlaskClient) -> None:
    made = token(nbf=NOW + 600, exp=NOW + 900)
    with time_machine.travel(NOW, tick=False):  # which was when the run began, and that may be long ago
        assert status(client, f"Bearer {made}") == 401
    with time_machine.travel(NOW + 601, tick=False):
        assert status(client, f"Bearer {made}") == 200


def test_the_log_names_no_token(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = token(OTHER_SECRET)
    assert status(client, f"Bearer {made}") == 401
    assert "token refused" in caplog.text
    assert made not in caplog.text
    assert made.split(".")[1] not in caplog.text


# --- F14: rotation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(JWT_SECRET, OTHER_SECRET), (OTHER_SECRET, JWT_SECRET)])
def test_f14_during_rotation_either_secret_verifies(make_shell: Make, order: tuple[str, str]) -> None:
    client = make_shell(Settings(jwt_secrets=tuple(map(Secret, order)))).test_client()
    for secret in order:
        assert status(client, f"Bearer {token(secret)}") == 200
    assert status(client, f"Bearer {token('a third secret, which nobody configured here')}") == 401
    assert status(client, f"Bearer {token(order[1])[:-3]}") == 401


def test_f14_a_removed_secret_is_401(make_shell: Make) -> None:
    client = make_shell(Settings(jwt_secrets=(Secret(OTHER_SECRET),))).test_client()
    assert status(client, f"Bearer {token(JWT_SECRET)}") == 401


def test_f14_public_keys_of_all_families_verify_at_once(make_shell: Make) -> None:
    keys = "\n".join(map(pem, (RSA, P256, RSA_2, ED25519)))
    client = make_shell(Settings(jwt_public_keys=keys)).test_client()
    for key, algorithm in ((RSA, "RS256"), (RSA_2, "RS256"), (P256, "ES256"), (ED25519, "EdDSA")):
        assert status(client, f"Bearer {token(key, algorithm)}") == 200
    assert status(client, f"Bearer {token(rsa.generate_private_key(65537, 2048), 'RS256')}") == 401
    assert status(client, f"Bearer {token(ec.generate_private_key(ec.SECP256R1()), 'ES256')}") == 401


# --- permissions ----------------------------------------------------------------------------------------------------

OPERATIONS = {
    ("POST", "/things"): "CreateMeetingSession",
    ("GET", "/things"): "GetMeetings",
    ("DELETE", "/things/a"): "DeleteMeeting",
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_an_operation_needs_exactly_its_permission(client: FlaskClient, operation: tuple[str, str]) -> None:
    method, path = operation
    needed = OPERATIONS[operation]

    def answer(permissions: list[str]) -> Any:
        made = token(permissions=permissions)
        return client.open(path, method=method, headers={"Authorization": f"Bearer {made}"})

    assert answer([needed]).status_code in (200, 204)
    for permissions in ([], [str(other) for other in Permission if other != needed], [needed.lower()], [f"{needed} "]):
        refused = answer(permissions)
        assert (refused.status_code, refused.get_json(force=True)["code"]) == (403, "forbidden")
        assert needed in refused.get_json(force=True)["detail"]


def test_permissions_are_those_of_the_documentation() -> None:
    assert [str(permission) for permission in Permission] == [
        "CreateMeetingSession",
        "GetMeetings",
        "EditMeeting",
        "StopMeeting",
        "DeleteMeeting",
        "GenerateMeetingToken",
        "GetMeetingAttendees",
        "ModerateMeeting",
        "GetAuditEntries",
        "GetMeetingArchives",
        "DeleteMeetingArchive",
        "StartMeetingArchive",
        "StopMeetingArchive",
        "SetMeetingUploadTarget",
        "GetProviders",
    ]


def test_a_permission_that_does_not_exist_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="GetMeeting"):
        requires("GetMeeting")


def test_authentication_comes_before_validation(client: FlaskClient) -> None:
    for headers, expected in (({}, 401), ({"Authorization": f"Bearer {token(permissions=[])}"}, 403)):
        response = client.post("/things", data=b"{", content_type="text/plain", headers=headers)
        assert response.status_code == expected


def test_a_webhook_needs_no_token_and_options_neither(client: FlaskClient) -> None:
    assert client.post("/hooks").status_code == 200
    assert client.options("/things").status_code == 200


def test_a_route_that_declares_nothing_is_listed_and_answers_nobody(settings: Settings) -> None:
    app = Flask("t")  # with its static route
    init_auth(app, settings)
    register_problem_handlers(app)
    app.add_url_rule("/open", "open", lambda: {"secret": 1})
    app.add_url_rule("/public", "public", public("a test")(lambda: {}))
    assert undeclared_routes(app) == ["open /open"]
    response = app.test_client().get("/open", headers={"Authorization": f"Bearer {token()}"})
    assert (response.status_code, response.get_json(force=True)["code"]) == (500, "internal")
    assert app.test_client().get("/public").status_code == 200


def test_the_shell_declares_all_its_routes(app: Flask) -> None:
    assert undeclared_routes(app) == []


# --- authentication switched off ------------------------------------------------------------------------------------


def test_without_authentication_all_is_the_development_actors(
    make_shell: Make, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_shell(Settings(auth="disabled", development=True, default_tenant="home"))
    assert [record.levelno for record in caplog.records if "DISABLED" in record.getMessage()] == [logging.WARNING]
    for headers in ({}, {"Authorization": "Bearer rubbish"}):
        body = app.test_client().get("/who", headers=headers).get_json()
        assert (body["subject"], body["tenant"], len(body["permissions"])) == ("development", "home", len(Permission))
        assert body["requestId"]


def test_it_is_not_switched_off_outside_development(make_shell: Make) -> None:
    settings = Settings(auth="disabled", jwt_secrets=(Secret(JWT_SECRET),))
    assert status(make_shell(settings).test_client(), None) == 401
    [fault] = auth_faults(settings)
    assert "VIDEOCONF_DEVELOPMENT" in fault


# --- F12: keys that forbid serving ----------------------------------------------------------------------------------

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
def test_keys_that_forbid_serving_are_named_with_their_remedy(make_shell: Make, name: str) -> None:
    values, part = FAULTS[name]
    settings = Settings(**values)
    [fault] = auth_faults(settings)
    assert part in fault
    assert "x" * 31 not in fault
    assert make_shell(settings).test_client().get("/who").status_code == 401  # a command can run all the same


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


def test_all_faults_are_told_at_once() -> None:
    faults = auth_faults(Settings(jwt_secrets=(Secret("short"), Secret("")), jwt_public_keys=PRIVATE))
    assert len(faults) == 3


# --- minting --------------------------------------------------------------------------------------------------------


def test_a_minted_token_is_taken(client: FlaskClient, settings: Settings) -> None:
    made = mint_token(
        settings, subject="cli", permissions=["GetMeetings"], tenant="acme", ttl_seconds=5, meeting_roles=["moderator"]
    )
    body = client.get("/who", headers={"Authorization": f"Bearer {made}"}).get_json()
    assert (body["subject"], body["tenant"], body["meetingRoles"]) == ("cli", "acme", ["moderator"])
    with time_machine.travel(time.time() + 20):
        assert status(client, f"Bearer {made}") == 401


def test_a_minted_token_leaves_out_what_is_not_given(settings: Settings) -> None:
    made = mint_token(settings, subject="cli", permissions=[], ttl_seconds=5)
    assert jwt.decode(made, options={"verify_signature": False}).keys().isdisjoint({"tenant", "meetingRoles"})


def test_without_a_shared_secret_nothing_is_minted() -> None:
    with pytest.raises(ConfigurationError, match="VIDEOCONF_JWT_SECRETS"):
        mint_token(Settings(jwt_public_keys=pem(RSA)), subject="cli", permissions=[], ttl_seconds=5)
