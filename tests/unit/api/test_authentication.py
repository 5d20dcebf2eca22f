"""Bearer tokens: which are accepted, where they are read, and how they are minted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import jwt
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from tests.support.settings import JWT_SECRET
from tests.unit.api.bearer_tokens import RSA, Make, pem, status, token
from videoconf.api.keys import auth_faults, mint_token
from videoconf.api.permissions import Permission
from videoconf.errors import ConfigurationError
from videoconf.settings import Secret, Settings


def test_token_identifies_the_caller(client: FlaskClient) -> None:
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


def test_tenant_and_roles_are_optional(client: FlaskClient) -> None:
    body = client.get("/who", headers={"Authorization": f"Bearer {token()}"}).get_json()
    assert (body["tenant"], body["meetingRoles"]) == ("default", None)


def test_empty_roles_differ_from_absent_roles(client: FlaskClient) -> None:
    body = client.get("/who", headers={"Authorization": f"Bearer {token(meetingRoles=[])}"}).get_json()
    assert body["meetingRoles"] == []


def test_claim_names_follow_the_settings(make_shell: Make) -> None:
    names = {
        "jwt_permissions_claim": ("scopes",),
        "jwt_tenant_claim": "org",
        "jwt_issuer": ("us",),
        "jwt_audience": ("them",),
    }
    settings = Settings(jwt_secrets=(Secret(JWT_SECRET),), default_tenant="home", **names)
    client = make_shell(settings).test_client()
    made = token(permissions=..., scopes=["GetMeetings"], org="acme", iss="us", aud=["x", "them"])
    assert client.get("/who", headers={"Authorization": f"Bearer {made}"}).get_json()["tenant"] == "acme"
    assert status(client, f"Bearer {token(iss='us', aud='them')}") == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_scheme_is_case_insensitive(client: FlaskClient, scheme: str) -> None:
    assert status(client, f"{scheme} {token()}") == 200


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_access_token_type_is_accepted(client: FlaskClient, typ: str) -> None:
    assert status(client, f"Bearer {token(headers={'typ': typ})}") == 200


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
def test_header_without_one_bearer_token_answers_401(client: FlaskClient, make: Callable[[str], str | None]) -> None:
    assert status(client, make(token())) == 401


@pytest.mark.parametrize("name", ["jwt", "access_token", "token"])
def test_token_outside_the_header_is_not_read(shell: Flask, name: str) -> None:
    client = shell.test_client()
    client.set_cookie(name, token())
    client.set_cookie("access_token_cookie", token())
    assert status(client, None, query_string={name: token()}, json={name: token()}) == 401


def test_disabled_authentication_makes_callers_the_developer(
    make_shell: Make, caplog: pytest.LogCaptureFixture
) -> None:
    shell = make_shell(Settings(auth="disabled", development=True, default_tenant="home"))
    assert [record.levelno for record in caplog.records if "DISABLED" in record.getMessage()] == [logging.WARNING]
    for headers in ({}, {"Authorization": "Bearer rubbish"}):
        body = shell.test_client().get("/who", headers=headers).get_json()
        assert (body["subject"], body["tenant"], len(body["permissions"])) == ("development", "home", len(Permission))
        assert body["requestId"]


def test_authentication_stays_on_outside_development(make_shell: Make) -> None:
    settings = Settings(auth="disabled", jwt_secrets=(Secret(JWT_SECRET),))
    assert status(make_shell(settings).test_client(), None) == 401
    [fault] = auth_faults(settings)
    assert "VIDEOCONF_DEVELOPMENT" in fault


def test_minted_token_is_accepted(client: FlaskClient, settings: Settings) -> None:
    made = mint_token(
        settings, subject="cli", permissions=["GetMeetings"], tenant="acme", ttl_seconds=5, meeting_roles=["moderator"]
    )
    body = client.get("/who", headers={"Authorization": f"Bearer {made}"}).get_json()
    assert (body["subject"], body["tenant"], body["meetingRoles"]) == ("cli", "acme", ["moderator"])
    with time_machine.travel(time.time() + 20):
        assert status(client, f"Bearer {made}") == 401


def test_minted_token_omits_claims_without_a_value(settings: Settings) -> None:
    made = mint_token(settings, subject="cli", permissions=[], ttl_seconds=5)
    assert jwt.decode(made, options={"verify_signature": False}).keys().isdisjoint({"tenant", "meetingRoles"})


def test_minting_needs_a_shared_secret() -> None:
    with pytest.raises(ConfigurationError, match="VIDEOCONF_JWT_SECRETS"):
        mint_token(Settings(jwt_public_keys=pem(RSA)), subject="cli", permissions=[], ttl_seconds=5)
