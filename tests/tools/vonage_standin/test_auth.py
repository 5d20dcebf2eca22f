"""Who is refused, and how."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tools.vonage_standin import Unauthorized, VonageStandin
from tools.vonage_standin.callers import Got, authorization, call, sdk_client, server_token

OTHER_SECRET = "another-secret-that-is-long-enough-for-hmac"
OTHER_KEY = (
    rsa.generate_private_key(public_exponent=65537, key_size=2048)
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)


def at_present(changes: dict[str, Any]) -> dict[str, Any]:
    """Return claims with times in seconds from now: a suite may run for longer than a token lives."""
    now = int(time.time())
    times = {claim: now + changes[claim] for claim in ("iat", "exp") if changes.get(claim) is not None}
    return {**changes, **times}


def listing(standin: VonageStandin, token: str, **headers: str) -> Got:
    return call(standin, "GET", "{p}/archive", headers={**authorization(standin, token), **headers})


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # the secret is short for HS512
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iss": "99999999"}, "Issuer not found"),
        ({"iss": "unknown"}, "Invalid issuer format"),
        ({"iss": None}, "Invalid issuer format"),
        ({"secret": OTHER_SECRET}, "Invalid signature"),
        ({"algorithm": "HS512"}, "Invalid signature"),
        ({"ist": "account"}, "Invalid issuer type"),
        ({"ist": None}, "Invalid issuer type"),
        ({"iat": 200, "exp": 300}, "issued time cannot be great"),
        ({"iat": -200, "exp": -20}, "Token expired"),
        ({"iat": -100, "exp": 201}, "Token lifetime is too long"),
        ({"iat": None}, "Token without iat or exp"),
        ({"exp": None}, "Token without iat or exp"),
    ],
)
def test_opentok_refuses_with_403(opentok: VonageStandin, changes: dict[str, Any], message: str) -> None:
    got = listing(opentok, server_token(opentok, **at_present(changes)))
    assert (got.status, got.json["code"]) == (403, -1)
    assert got.json["message"].startswith(message)
    assert got.json["description"] == got.json["message"]


def test_opentok_refuses_an_unsigned_token(opentok: VonageStandin) -> None:
    claims = {"iss": opentok.account, "ist": "project", "iat": int(time.time()), "exp": int(time.time()) + 60}
    got = listing(opentok, jwt.encode(claims, None, algorithm="none"))
    assert (got.status, got.json["message"]) == (403, "Invalid signature")


def test_opentok_accepts_the_longest_life_and_ist_in_the_header(opentok: VonageStandin) -> None:
    now = int(time.time())
    assert listing(opentok, server_token(opentok, iat=now, exp=now + 300)).status == 200
    assert listing(opentok, server_token(opentok, ist=None, header={"ist": "project"})).status == 200


def test_opentok_refuses_without_a_header(opentok: VonageStandin) -> None:
    assert call(opentok, "GET", "{p}/archive", authorized=False).json["message"].startswith("No suit")
    old = call(opentok, "GET", "{p}/archive", authorized=False, headers={"X-TB-PARTNER-AUTH": "47123456:x"})
    assert (old.status, old.json["message"]) == (403, "Invalid partner credentials")
    bearer = {"Authorization": f"Bearer {server_token(opentok)}"}
    assert call(opentok, "GET", "{p}/archive", authorized=False, headers=bearer).status == 403


def test_opentok_refuses_another_project_in_the_path(opentok: VonageStandin) -> None:
    got = call(opentok, "GET", "/v2/project/99999999/archive")
    assert (got.status, got.json["message"]) == (403, "Id in the token does not match the one in the url")


def test_opentok_refuses_in_xml_where_json_is_not_asked_for(opentok: VonageStandin) -> None:
    got = listing(opentok, server_token(opentok, secret=OTHER_SECRET), Accept="*/*")
    assert got.headers["Content-Type"] == "text/xml"
    assert got.body == b"<errorPayload><code>-1</code><message>Invalid signature</message></errorPayload>"


def test_a_clock_that_is_ahead_looks_like_bad_credentials(opentok: VonageStandin, tmp_path: Any) -> None:
    opentok.credentials.skew_seconds = -60
    got = listing(opentok, server_token(opentok))
    assert (got.status, got.json["message"][:27]) == (403, "issued time cannot be great")


@pytest.mark.parametrize(
    "changes",
    [
        {"application_id": "2e3a1c6e-0000-4000-8000-000000000000"},
        {"application_id": None},
        {"secret": OTHER_KEY},
        {"secret": OTHER_SECRET, "algorithm": "HS256"},
        {"jti": None},
        {"iat": None, "exp": None},
        {"iat": None},
        {"iat": 200, "exp": 300},
        {"iat": -200, "exp": -20},
        {"iat": -16 * 60, "exp": None},
        {"iat": 0, "exp": 24 * 3600 + 1},
    ],
)
def test_unified_refuses_with_a_problem_document(
    make_vonage_standin: Callable[..., VonageStandin], changes: dict[str, Any]
) -> None:
    standin = make_vonage_standin("unified")
    got = listing(standin, server_token(standin, **at_present(changes)))
    assert got.status == 401
    assert set(got.json) == {"type", "title", "detail", "instance"}


def test_unified_accepts_a_token_of_a_day_and_one_without_an_end(
    make_vonage_standin: Callable[..., VonageStandin],
) -> None:
    standin = make_vonage_standin("unified")
    now = int(time.time())
    assert listing(standin, server_token(standin, iat=now, exp=now + 24 * 3600)).status == 200
    assert listing(standin, server_token(standin, iat=now - 14 * 60, exp=None)).status == 200


def test_unified_refuses_other_headers_and_other_applications(
    make_vonage_standin: Callable[..., VonageStandin],
) -> None:
    standin = make_vonage_standin("unified")
    assert call(standin, "GET", "{p}/archive", authorized=False).status == 401
    wrong = {"X-OPENTOK-AUTH": server_token(standin)}
    assert call(standin, "GET", "{p}/archive", authorized=False, headers=wrong).status == 401
    elsewhere = call(standin, "GET", "/v2/project/2e3a1c6e-0000-4000-8000-000000000000/archive")
    assert (elsewhere.status, elsewhere.json["title"]) == (403, "Forbidden")


def test_session_create_asks_for_credentials_too(vonage_standin: VonageStandin) -> None:
    got = call(vonage_standin, "POST", "/session/create", b"", authorized=False)
    assert got.status == (403 if vonage_standin.environment == "opentok" else 401)


def client_claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": -1},
        {"iat": 600, "exp": 900},
        {"exp": 31 * 86400},
        {"scope": "session.watch"},
        {"role": "king"},
        {"connection_data": "x" * 1001},
        {"session_id": ""},
        {"iss": "99999999", "application_id": "2e3a1c6e-0000-4000-8000-000000000000"},
        {"ist": "account", "acl": {}},
    ],
)
def test_client_token_with_wrong_claims_is_refused(
    vonage_standin: VonageStandin, tmp_path: Any, changes: dict[str, Any]
) -> None:
    sdk = sdk_client(vonage_standin, tmp_path)
    claims = client_claims(sdk.generate_token(sdk.create_session().session_id))
    algorithm = "HS256" if vonage_standin.environment == "opentok" else "RS256"
    assert vonage_standin.connect(jwt.encode(claims, vonage_standin.secret, algorithm))
    with pytest.raises(Unauthorized):
        vonage_standin.connect(jwt.encode({**claims, **at_present(changes)}, vonage_standin.secret, algorithm))


def test_client_token_of_another_issuer_is_refused(vonage_standin: VonageStandin, tmp_path: Any) -> None:
    sdk = sdk_client(vonage_standin, tmp_path)
    claims = client_claims(sdk.generate_token(sdk.create_session().session_id))
    for token in (
        jwt.encode(claims, OTHER_SECRET, "HS256"),
        jwt.encode(claims, OTHER_KEY, "RS256"),
        jwt.encode(claims, None, "none"),
        server_token(vonage_standin),
        "T1==bm90aGluZw==",
        "T1==%",
        "nothing",
        "",
    ):
        with pytest.raises(Unauthorized):
            vonage_standin.connect(token)
