"""The settings of docs/how-to/identity-provider.md, tried against tokens and key sets in each shape."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flask.testing import FlaskClient
from jwt.algorithms import RSAAlgorithm
from pytest_httpserver import HTTPServer

from tests.unit.api.bearer_tokens import RSA, Make
from videoconf.api.permissions import Permission
from videoconf.configuration import load
from videoconf.settings import Settings

PAGE = Path(__file__).parents[3] / "docs/how-to/identity-provider.md"
SECTION = re.compile(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```ini\n(.*?)^```", re.MULTILINE | re.DOTALL)
SETTINGS = {
    name: dict(line.split("=", 1) for line in text.splitlines()) for name, text in SECTION.findall(PAGE.read_text())
}
STRANGER = rsa.generate_private_key(65537, 2048)
UUID = "f3c1b6e2-7f0c-4a59-9f3d-1f6d0c5a2b11"
DIRECTORY = "11111111-2222-3333-4444-555555555555"


class Shape:
    """What an identity provider puts into a token and a key set, beside what all have."""

    def __init__(
        self,
        header: dict[str, Any],
        claims: dict[str, Any],
        key: dict[str, Any],
        expected: dict[str, Any],
        programs: dict[str, Any],
        program: str,
    ) -> None:
        self.header, self.claims, self.key, self.expected = header, claims, key, expected
        self.programs, self.program = programs, program


SHAPES = {
    "Keycloak": Shape(
        header={"typ": "JWT"},
        claims={
            "auth_time": 1, "jti": f"onrtac:{UUID}", "iss": "https://id.example.com/realms/acme",
            "aud": ["videoconf", "account"], "sub": UUID, "typ": "Bearer", "azp": "shop", "sid": UUID, "acr": "1",
            "allowed-origins": ["https://shop.example.com"],
            "realm_access": {"roles": ["default-roles-acme", "offline_access", "GetMeetings"]},
            "resource_access": {
                "videoconf": {"roles": ["CreateMeetingSession"]}, "account": {"roles": ["view-profile"]}
            },
            "scope": "openid profile email", "email_verified": True, "organization": ["globex"],
            "preferred_username": "ada",
        },
        key={"alg": "RS256", "use": "sig", "x5c": ["MIIClTCCAX0"], "x5t": "abc", "x5t#S256": "abc"},
        expected={"subject": UUID, "tenant": "globex", "permissions": {"GetMeetings", "CreateMeetingSession"}},
        programs={"sub": ..., "organization": ..., "client_id": "back-end", "clientHost": "192.0.2.7"},
        program="back-end",
    ),
    "Auth0": Shape(
        header={"typ": "JWT"},
        claims={
            "iss": "https://acme.eu.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
            "aud": ["https://videoconf.example.com", "https://acme.eu.auth0.com/userinfo"],
            "azp": "my_client_id", "scope": "openid profile email", "org_id": "org_9ybsU1dN2dKfDkBi",
            "permissions": ["GetMeetings", "CreateMeetingSession"],
        },
        key={"alg": "RS256", "use": "sig", "x5c": ["MIIDDTCCAfWgAwIBAgIJ"], "x5t": "abc"},
        expected={
            "subject": "auth0|5f7c8ec7c33c6c004bbafe82", "tenant": "org_9ybsU1dN2dKfDkBi",
            "permissions": {"GetMeetings", "CreateMeetingSession"},
        },
        programs={
            "sub": "my_client_id@clients", "gty": "client-credentials", "org_id": ...,
            "aud": "https://videoconf.example.com", "scope": "GetMeetings",
        },
        program="my_client_id@clients",
    ),
    "Entra ID": Shape(
        header={"typ": "JWT"},
        claims={
            "aud": "66666666-7777-8888-9999-000000000000",
            "iss": f"https://login.microsoftonline.com/{DIRECTORY}/v2.0", "nbf": 0, "aio": "E2ZgY", "azp": UUID,
            "azpacr": "1", "name": "Ada", "oid": UUID, "rh": "0.AX0A", "scp": "GetMeetings CreateMeetingSession",
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "tid": DIRECTORY, "uti": "abc", "ver": "2.0",
        },
        key={"use": "sig", "x5t": "abc", "x5c": ["MIIC/TCCAeWg"], "issuer": "https://login.microsoftonline.com/x"},
        expected={
            "subject": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "tenant": "default",
            "permissions": {"GetMeetings", "CreateMeetingSession"},
        },
        programs={"scp": ..., "roles": ["GetMeetings"], "sub": UUID, "idtyp": "app"},
        program=UUID,
    ),
    "Okta": Shape(
        header={},
        claims={
            "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
            "iss": "https://acme.okta.com/oauth2/default", "aud": "api://default", "cid": "nmdP1fcyvdVO11AL7ECm",
            "uid": "00ujmkLgagxeRrAg20g3", "scp": ["openid", "GetMeetings", "CreateMeetingSession"],
            "sub": "ada@example.com", "auth_time": 1, "groups": ["Everyone", "Video Support"],
        },
        key={"alg": "RS256", "use": "sig"},
        expected={
            "subject": "ada@example.com", "tenant": "default",
            "permissions": {"GetMeetings", "CreateMeetingSession", "GetMeetingArchives"},
        },
        programs={"sub": "nmdP1fcyvdVO11AL7ECm", "uid": ..., "groups": ..., "scp": ["GetMeetings"]},
        program="nmdP1fcyvdVO11AL7ECm",
    ),
    "Cognito": Shape(
        header={},
        claims={
            "sub": UUID, "cognito:groups": ["video-admins"], "version": 2, "client_id": "1example23456789",
            "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI", "token_use": "access",
            "origin_jti": UUID, "event_id": UUID, "scope": "aws.cognito.signin.user.admin videoconf/GetMeetings",
            "auth_time": 1, "jti": UUID, "username": "ada",
        },
        key={"alg": "RS256", "use": "sig"},
        expected={"subject": UUID, "tenant": "default", "permissions": set(Permission)},
        programs={
            "cognito:groups": ..., "sub": "2example3456789", "client_id": "2example3456789", "username": ...,
            "scope": "videoconf/GetMeetings",
        },
        program="2example3456789",
    ),
    "Google": Shape(
        header={"typ": "JWT"},
        claims={
            "aud": "https://meet.example.com", "azp": "112010400000000710080", "email_verified": True,
            "email": "back-end@acme.iam.gserviceaccount.com", "iss": "https://accounts.google.com",
            "sub": "112010400000000710080",
        },
        key={"alg": "RS256", "use": "sig"},
        expected={"subject": "112010400000000710080", "tenant": "default", "permissions": set(Permission)},
        programs={"iss": "accounts.google.com"},
        program="112010400000000710080",
    ),
}  # fmt: skip


class IdentityProvider:
    """Publishes a key set and the discovery document that names it, and signs tokens."""

    def __init__(self, server: HTTPServer, shape: Shape, issuer: str) -> None:
        self._shape = shape
        jwk = {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), **shape.key, "kid": "current", "kty": "RSA"}
        jwk.pop("key_ops", None)
        encrypts = {**jwk, "kid": "encrypts", "use": "enc", "alg": "RSA-OAEP"}
        server.expect_request("/keys").respond_with_json({"keys": [encrypts, jwk]})
        server.expect_request("/discovery").respond_with_json({"issuer": issuer, "jwks_uri": server.url_for("/keys")})
        self.urls = {True: server.url_for("/discovery"), False: server.url_for("/keys")}

    def sign(self, key: Any = RSA, **changes: Any) -> str:
        now = int(time.time())
        claims = {"iat": now, "exp": now + 3600, **self._shape.claims, **changes}
        made = {name: value for name, value in claims.items() if value is not ...}
        token = jwt.encode(made, key, "RS256", headers={"kid": "current", **self._shape.header})
        if "typ" not in self._shape.header:  # PyJWT writes one of its own otherwise
            token = jwt.encode(made, key, "RS256", headers={"kid": "current", "typ": None})
        return token


@pytest.fixture(params=SHAPES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def provider(name: str, httpserver: HTTPServer) -> IdentityProvider:
    return IdentityProvider(httpserver, SHAPES[name], SETTINGS[name]["VIDEOCONF_JWT_ISSUER"].partition(",")[0])


@pytest.fixture
def client(name: str, provider: IdentityProvider, make_shell: Make, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    for variable, value in SETTINGS[name].items():
        monkeypatch.setenv(variable, value)
    is_discovery = SETTINGS[name]["VIDEOCONF_JWT_JWKS_URL"].endswith("/openid-configuration")
    monkeypatch.setenv("VIDEOCONF_JWT_JWKS_URL", provider.urls[is_discovery])
    monkeypatch.setenv("VIDEOCONF_DEVELOPMENT", "true")  # the key set is on plain HTTP
    return make_shell(load(Settings)).test_client()


def who(client: FlaskClient, token: str) -> Any:
    return client.get("/who", headers={"Authorization": f"Bearer {token}"})


def test_page_has_each_provider() -> None:
    assert SETTINGS.keys() == SHAPES.keys()


def test_person_of_each_provider_is_accepted(name: str, provider: IdentityProvider, client: FlaskClient) -> None:
    answer = who(client, provider.sign())
    assert answer.status_code == 200, answer.get_data(as_text=True)
    found = json.loads(answer.data)
    expected = SHAPES[name].expected
    assert (found["subject"], found["tenant"]) == (expected["subject"], expected["tenant"])
    granted = {permission for permission in found["permissions"] if permission in set(Permission)}
    assert granted == expected["permissions"]


def test_program_of_each_provider_is_accepted(name: str, provider: IdentityProvider, client: FlaskClient) -> None:
    answer = who(client, provider.sign(**SHAPES[name].programs))
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert json.loads(answer.data)["subject"] == SHAPES[name].program


def test_token_for_another_service_is_refused(name: str, provider: IdentityProvider, client: FlaskClient) -> None:
    claim = SETTINGS[name].get("VIDEOCONF_JWT_AUDIENCE_CLAIM", "aud")
    assert who(client, provider.sign(**{claim: "another"})).status_code == 401
    assert who(client, provider.sign(**{claim: ...})).status_code == 401
    assert who(client, provider.sign(iss="https://other.example.com")).status_code == 401
    assert who(client, provider.sign(STRANGER)).status_code == 401


OTHER_TOKENS = {
    "Keycloak": [{"typ": "ID"}, {"typ": "Refresh"}, {"typ": "Offline"}, {"typ": "Logout"}],
    "Cognito": [{"token_use": "id", "aud": "1example23456789"}],
}


@pytest.mark.parametrize("name", OTHER_TOKENS, indirect=True)
def test_other_tokens_of_a_provider_are_refused(name: str, provider: IdentityProvider, client: FlaskClient) -> None:
    for changes in OTHER_TOKENS[name]:
        answer = who(client, provider.sign(**changes))
        assert (answer.status_code, "access token" in answer.get_data(as_text=True)) == (401, True)
