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
def test_f1_a_token_elsewhere_is_not_read(shell: Flask, name: str) -> None:
    client = shell.test_client()
    client.set_cookie(name, token())
    client.set_cookie("access_token_cookie", token())
    assert status(client, None, query_string={name: token()}, json={name: token()}) == 401


def test_without_authentication_all_is_the_development_actors(
    make_shell: Make, caplog: pytest.LogCaptureFixture
) -> None:
    shell = make_shell(Settings(auth="disabled", development=True, default_tenant="home"))
    assert [record.levelno for record in caplog.records if "DISABLED" in record.getMessage()] == [logging.WARNING]
    for headers in ({}, {"Authorization": "Bearer rubbish"}):
        body = shell.test_client().get("/who", headers=headers).get_json()
        assert (body["subject"], body["tenant"], len(body["permissions"])) == ("development", "home", len(Permission))
        assert body["requestId"]


def test_it_is_not_switched_off_outside_development(make_shell: Make) -> None:
    settings = Settings(auth="disabled", jwt_secrets=(Secret(JWT_SECRET),))
    assert status(make_shell(settings).test_client(), None) == 401
    [fault] = auth_faults(settings)
    assert "VIDEOCONF_DEVELOPMENT" in fault


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
