"""Tokens that an operator's own issuer makes: odd claims, other algorithms, and a sentence for each refusal."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding
from pytest_httpserver import HTTPServer

from tests.support.settings import JWT_SECRET
from tests.unit.api.bearer_tokens import OTHER_SECRET, P256, RSA, Make, claims, pem, token
from videoconf.api.keys import auth_faults, mint_token
from videoconf.configuration import load
from videoconf.settings import Secret, Settings

LONG_SECRET = JWT_SECRET * 2
P384 = ec.generate_private_key(ec.SECP384R1())
P521 = ec.generate_private_key(ec.SECP521R1())
ED448 = ed448.Ed448PrivateKey.generate()


def who(make_shell: Make, settings: Settings, sent: str) -> Any:
    answer = make_shell(settings).test_client().get("/who", headers={"Authorization": f"Bearer {sent}"})
    return answer.status_code, json.loads(answer.data)


def accepting(**values: Any) -> Settings:
    return Settings(**{"jwt_secrets": (Secret(JWT_SECRET),), **values})


ODD_CLAIMS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "a numeric sub": ({}, {"sub": 42}, {"subject": "42"}),
    "a numeric tenant": ({}, {"tenant": 7}, {"tenant": "7"}),
    "a numeric jti": ({}, {"jti": 7}, {"subject": "tester"}),
    "one permission as a string": ({}, {"permissions": "GetMeetings"}, {"permissions": ["GetMeetings"]}),
    "scope": ({"jwt_permissions_claim": ("scope",)}, {"scope": "openid GetMeetings"}, {"subject": "tester"}),
    "scp": ({"jwt_permissions_claim": ("scp",)}, {"scp": ["GetMeetings"]}, {"permissions": ["GetMeetings"]}),
    "permissions in several claims": (
        {"jwt_permissions_claim": ("roles", "scp")},
        {"roles": ["GetMeetings"], "scp": "EditMeeting"},
        {"permissions": ["EditMeeting", "GetMeetings"]},
    ),
    "roles of a client whose id has full stops": (
        {"jwt_permissions_claim": ("resource_access.my.client.roles",)},
        {"resource_access": {"my.client": {"roles": ["GetMeetings"]}}},
        {"permissions": ["GetMeetings"]},
    ),
    "a claim in a namespace": (
        {"jwt_permissions_claim": ("https://acme.example/permissions",)},
        {"https://acme.example/permissions": ["GetMeetings"]},
        {"permissions": ["GetMeetings"]},
    ),
    "permissions behind a prefix": (
        {"jwt_permissions_prefix": "video:"},
        {"permissions": ["video:GetMeetings", "EditMeeting", "mail:EditMeeting"]},
        {"permissions": ["GetMeetings"]},
    ),
    "a group": (
        {"jwt_permission_groups": ("CN=Video,OU=x=GetMeetings EditMeeting",)},
        {"permissions": ["CN=Video,OU=x", "Others"]},
        {"permissions": ["CN=Video,OU=x", "EditMeeting", "GetMeetings", "Others"]},
    ),
    "no sub but a client_id": (
        {"jwt_subject_claim": ("sub", "client_id")},
        {"sub": ..., "client_id": "back-end"},
        {"subject": "back-end"},
    ),
    "no aud but a client_id": (
        {"jwt_audience_claim": ("client_id",), "jwt_audience": ("shop", "back-end")},
        {"aud": ..., "client_id": "back-end"},
        {"subject": "tester"},
    ),
    "no aud at all": ({"jwt_audience": ("*",)}, {"aud": ...}, {"subject": "tester"}),
    "the second issuer": ({"jwt_issuer": ("a", "b")}, {"iss": "b"}, {"subject": "tester"}),
    "an organisation in a list": (
        {"jwt_tenant_claim": "organization"},
        {"organization": ["acme"]},
        {"tenant": "acme"},
    ),
    "an organisation in an object": (
        {"jwt_tenant_claim": "organization"},
        {"organization": {"acme": {"id": "1"}}},
        {"tenant": "acme"},
    ),
}


@pytest.mark.parametrize("name", ODD_CLAIMS)
def test_token_with_odd_claims_is_accepted(make_shell: Make, name: str) -> None:
    values, changes, expected = ODD_CLAIMS[name]
    status, body = who(make_shell, accepting(**values), token(**changes))
    assert status == 200, body
    assert body | expected == body


ALGORITHMS = {
    "HS384": (LONG_SECRET, {"jwt_secrets": (Secret(LONG_SECRET),)}),
    "HS512": (LONG_SECRET, {"jwt_secrets": (Secret(LONG_SECRET),)}),
    "RS384": (RSA, {"jwt_public_keys": pem(RSA)}),
    "RS512": (RSA, {"jwt_public_keys": pem(RSA)}),
    "PS256": (RSA, {"jwt_public_keys": pem(RSA)}),
    "ES384": (P384, {"jwt_public_keys": pem(P384)}),
    "ES512": (P521, {"jwt_public_keys": pem(P521)}),
    "EdDSA": (ED448, {"jwt_public_keys": pem(ED448)}),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithm_is_accepted_once_it_is_listed(make_shell: Make, algorithm: str) -> None:
    key, values = ALGORITHMS[algorithm]
    settings = Settings(**values, jwt_algorithms=("RS256", algorithm))
    assert auth_faults(settings) == []
    assert who(make_shell, settings, token(key, algorithm))[0] == 200
    if algorithm != "EdDSA":
        assert who(make_shell, Settings(**values), token(key, algorithm))[0] == 401


def certificate() -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    then = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(RSA.public_key())
    start = datetime(2026, 1, 1)
    dated = then.serial_number(7).not_valid_before(start).not_valid_after(start.replace(year=2027))
    return dated.sign(RSA, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_certificate_verifies_as_its_key_does(make_shell: Make) -> None:
    settings = Settings(jwt_public_keys=certificate() + pem(P256))
    assert auth_faults(settings) == []
    assert who(make_shell, settings, token(RSA, "RS256"))[0] == 200
    assert who(make_shell, settings, token(P256, "ES256"))[0] == 200


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "VIDEOCONF_JWT_AUDIENCE=": ({"jwt_audience": ()}, "`*` accepts tokens for any audience"),
    "VIDEOCONF_JWT_ISSUER=": ({"jwt_issuer": ()}, "VIDEOCONF_JWT_ISSUER is empty"),
    "VIDEOCONF_JWT_PERMISSIONS_CLAIM=": ({"jwt_permissions_claim": ()}, "PERMISSIONS_CLAIM is empty"),
    "a group without permissions": ({"jwt_permission_groups": ("admins",)}, "an equals sign"),
    "a group with a wrong permission": ({"jwt_permission_groups": ("a=GetMeeting",)}, "'GetMeeting' is not"),
    "a short secret for HS512": ({"jwt_algorithms": ("HS512",)}, "64 bytes, which HS512"),
    "a public key as a shared secret": ({"jwt_secrets": (Secret(pem(RSA)),)}, "JWT_PUBLIC_KEYS"),
    "a secret that a comma divides": ({"jwt_secrets": (Secret(JWT_SECRET), Secret("rest"))}, "`\\,`"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_setting_that_would_refuse_all_is_reported(name: str) -> None:
    values, part = FAULTS[name]
    [fault] = auth_faults(accepting(**values))
    assert part in fault


def test_secret_with_a_comma_verifies(make_shell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = f"{JWT_SECRET},{OTHER_SECRET}"
    monkeypatch.setenv("VIDEOCONF_JWT_SECRETS", secret)
    settings = load(Settings)
    assert len(settings.jwt_secrets) == 2
    for one in (secret, JWT_SECRET, OTHER_SECRET):
        assert who(make_shell, settings, token(one))[0] == 200
    monkeypatch.setenv("VIDEOCONF_JWT_SECRETS", f"{JWT_SECRET}\\,x")
    assert who(make_shell, load(Settings), token(f"{JWT_SECRET},x"))[0] == 200


def test_minted_token_fits_the_claims_of_the_settings(make_shell: Make) -> None:
    for values in (
        {"jwt_algorithms": ("HS512",), "jwt_secrets": (Secret(LONG_SECRET),)},
        {"jwt_audience": ("*",)},
        {"jwt_audience_claim": ("client_id",), "jwt_audience": ("a", "b")},
        {"jwt_subject_claim": ("client_id",), "jwt_issuer": ("x", "y")},
        {"jwt_permissions_claim": ("scope", "roles"), "jwt_permissions_prefix": "video/"},
    ):
        settings = accepting(**values)
        made = mint_token(settings, subject="cli", permissions=["GetMeetings"], ttl_seconds=60)
        status, body = who(make_shell, settings, made)
        assert (status, body.get("subject"), body.get("permissions")) == (200, "cli", ["GetMeetings"])


def unsigned(header: Any) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(claims())}.c2ln"


REASONS: dict[str, tuple[Callable[[], str], str, str]] = {
    "opaque": (lambda: "ya29.a0AfH6SMBx", "The token is not a JWT.", "opaque access token"),
    "encrypted": (lambda: "e30.e30.e30.e30.e30", "encrypted (JWE)", "encrypted (JWE)"),
    "HS512": (lambda: token(LONG_SECRET, "HS512"), "an algorithm that is not accepted", "`alg` is 'HS512'"),
    "alg none": (lambda: unsigned({"alg": "none"}), "an algorithm that is not accepted", "`alg` is 'none'"),
    "RS256 without a key": (lambda: token(RSA, "RS256"), "does not verify", "VIDEOCONF_JWT_PUBLIC_KEYS or"),
    "another secret": (lambda: token(OTHER_SECRET), "does not verify", "fits none of the keys for HS256: 1 tried"),
    "another type": (lambda: token(headers={"typ": "dpop+jwt"}), "not an access token", "'dpop+jwt'"),
    "a refresh token": (lambda: token(typ="Refresh"), "not an access token", "`typ` is 'Refresh'"),
    "expired": (lambda: token(exp=int(time.time()) - 60), "has expired", "has expired"),
    "no exp": (lambda: token(exp=...), "`exp` is missing", "`exp` is missing"),
    "iat as a string": (lambda: token(iat=str(int(time.time()))), "`iat` is missing or not a number", "`iat`"),
    "not yet valid": (lambda: token(nbf=int(time.time()) + 900), "not valid yet", "clocks"),
    "too long": (lambda: token(exp=int(time.time()) + 10**6), "longer than 86400 s", "VIDEOCONF_JWT_MAX_LIFE_SECONDS"),
    "another issuer": (
        lambda: token(iss="https://x/"),
        "another issuer",
        "`iss` is 'https://x/'; VIDEOCONF_JWT_ISSUER is",
    ),
    "no issuer": (lambda: token(iss=...), "lacks `iss`", "lacks `iss`"),
    "another audience": (
        lambda: token(aud=["a", "b"]),
        "another audience",
        "`aud` is 'a', 'b'; VIDEOCONF_JWT_AUDIENCE is",
    ),
    "no audience": (lambda: token(aud=..., client_id="x"), "lacks `aud`", "It has `client_id`"),
    "no subject": (lambda: token(sub=...), "lacks `sub`", "VIDEOCONF_JWT_SUBJECT_CLAIM"),
    "an empty subject": (lambda: token(sub=""), "`sub` must be a string of 1–255", "`sub` must be"),
    "no permissions": (
        lambda: token(permissions=..., scope="x"),
        "lacks `permissions`",
        "The token has 'aud', 'exp', 'iat'",
    ),
    "odd permissions": (lambda: token(permissions={"a": 1}), "neither a list of strings nor", "`permissions`"),
    "odd roles": (lambda: token(meetingRoles="x"), "`meetingRoles` is not a list", "`meetingRoles`"),
    "no tenant": (lambda: token(tenant=""), "names no tenant", "VIDEOCONF_DEFAULT_TENANT"),
    "a long token": (lambda: token(padding="x" * 9000), "longer than 8192 characters", "longer than 8192"),
}


@pytest.mark.parametrize("name", REASONS)
def test_refusal_has_its_own_sentence(make_shell: Make, caplog: pytest.LogCaptureFixture, name: str) -> None:
    make, answered, logged = REASONS[name]
    sent = make()
    caplog.set_level(logging.INFO, "videoconf")
    status, body = who(make_shell, accepting(), sent)
    [line] = [record.getMessage() for record in caplog.records if "token refused" in record.getMessage()]
    assert (status, answered in body["detail"], logged in line) == (401, True, True), (body["detail"], line)
    assert sent.split(".")[1] not in line


def test_request_without_a_token_is_in_the_log_too(make_shell: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "videoconf")
    client = make_shell(accepting()).test_client()
    for headers in ({}, {"Authorization": "Basic eDp4"}, {"Authorization": f"Bearer {token()}, Bearer x"}):
        assert client.get("/who", headers=headers).status_code == 401
    said = [record.getMessage() for record in caplog.records if "token refused" in record.getMessage()]
    assert [("Send a bearer" in said[0]), *("not one bearer token" in line for line in said[1:])] == [True] * 3


# --- key sets -------------------------------------------------------------------------------------------------------


def public(key: Any, **more: Any) -> dict[str, Any]:
    kind = jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else jwt.algorithms.RSAAlgorithm
    return {**kind.to_jwk(key.public_key(), as_dict=True), **more}


def fetching(url: str, **values: Any) -> Settings:
    return Settings(jwt_jwks_url=url, development=True, **values)


def test_url_of_the_discovery_document_works(make_shell: Make, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/keys").respond_with_json({"keys": [public(RSA, kid="k")]})
    document = {"issuer": "videoconf", "jwks_uri": httpserver.url_for("/keys"), "response_types_supported": ["code"]}
    httpserver.expect_request("/.well-known/openid-configuration").respond_with_json(document)
    settings = fetching(httpserver.url_for("/.well-known/openid-configuration"))
    assert who(make_shell, settings, token(RSA, "RS256", {"kid": "k"}))[0] == 200


def test_key_or_token_without_an_id_is_tried(make_shell: Make, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/keys").respond_with_json({"keys": [public(P384), public(RSA, kid="k"), public(P256)]})
    settings = fetching(httpserver.url_for("/keys"), jwt_algorithms=("RS256", "ES256", "ES384"))
    for sent in (
        token(RSA, "RS256"),
        token(P256, "ES256", {"kid": "any"}),
        token(P384, "ES384", {"kid": "other"}),
    ):
        assert who(make_shell, settings, sent)[0] == 200
    assert who(make_shell, settings, token(RSA, "RS256", {"kid": "unknown"}))[0] == 401


UNUSABLE: dict[str, tuple[int, str, str]] = {
    "answers 404": (404, "{}", "answers 404"),
    "answers 500": (500, "{}", "answers 500"),
    "a page for people": (200, "<html>", "something other than JSON"),
    "a redirect": (302, "", "answers a redirect"),
    "an object without keys": (200, '{"issuer": "x"}', "neither a key set nor a discovery document"),
    "keys that are not a list": (200, '{"keys": 1}', "`keys` is not a list"),
    "keys of another curve": (
        200,
        json.dumps({"keys": [public(ec.generate_private_key(ec.SECP256K1()), kid="k")]}),
        "key 'k'",
    ),
    "a discovery document that names no URL": (200, '{"jwks_uri": 7}', "neither|keys"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_key_set_has_its_reason_in_the_log(
    make_shell: Make, httpserver: HTTPServer, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    status, body, part = UNUSABLE[name]
    httpserver.expect_request("/keys").respond_with_data(body, status)
    answer, problem = who(make_shell, fetching(httpserver.url_for("/keys")), token(RSA, "RS256", {"kid": "k"}))
    assert (answer, problem["code"]) == (503, "issuer_unavailable")
    [line] = [record.getMessage() for record in caplog.records if "cannot be fetched:" in record.getMessage()]
    assert any(expected in line for expected in part.split("|")), line
    assert httpserver.url_for("/keys") not in problem["detail"]


def test_discovery_document_names_no_plain_key_set(httpserver: HTTPServer) -> None:
    from videoconf.api.jwks import JwksKeys, KeySetUnusable

    httpserver.expect_request("/d").respond_with_json({"jwks_uri": "http://issuer.example/keys"})
    with pytest.raises(KeySetUnusable, match="https"):
        JwksKeys(httpserver.url_for("/d"), ("RS256",)).fetch()


def test_unknown_key_id_is_named_beside_the_known_ones(
    make_shell: Make, httpserver: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "videoconf")
    httpserver.expect_request("/keys").respond_with_json({"keys": [public(RSA, kid="new")]})
    assert who(make_shell, fetching(httpserver.url_for("/keys")), token(RSA, "RS256", {"kid": "old"}))[0] == 401
    assert "No key for RS256 has the id 'old'; the key set has 'new'." in caplog.text
    assert "keys of the identity provider: new" in caplog.text
