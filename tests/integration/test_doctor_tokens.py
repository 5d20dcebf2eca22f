"""What ``videoconf doctor`` says of bearer tokens: it fetches the key set that it judges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from jwt.algorithms import RSAAlgorithm
from pytest_httpserver import HTTPServer

from tests.support.commands import run_json
from tests.support.service import ON_SQLITE
from tests.support.settings import JWT_SECRET
from tests.unit.api.bearer_tokens import RSA
from videoconf.settings import Secret

pytestmark = ON_SQLITE
MakeApp = Callable[..., Flask]
KEY = {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "current"}


def findings(app: Flask, part: str, exit_code: int = 0) -> list[tuple[str, str]]:
    found: list[dict[str, Any]] = run_json(app, "doctor", exit_code=exit_code)
    return [(one["level"], f"{one['said']} {one['remedy']}") for one in found if one["part"] == part]


def test_doctor_fetches_the_key_set(make_app: MakeApp, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/keys").respond_with_json({"keys": [KEY, {**KEY, "kid": "enc", "use": "enc"}]})
    values = {"jwt_secrets": (), "jwt_jwks_url": httpserver.url_for("/keys"), "development": True}
    [note, (level, said)] = findings(make_app(**values, jwt_issuer=("https://id",)), "tokens")
    assert (level, "fetched keys of the identity provider: current" in said) == ("ok", True)
    assert note[0] == "note"
    assert "key 'enc' is not for signatures" in note[1]
    default = findings(make_app(**values), "tokens")
    assert ("warning", "VIDEOCONF_JWT_ISSUER has its default") in [(level, said[:36]) for level, said in default]


@pytest.mark.parametrize("secrets", [(), (Secret(JWT_SECRET),)])
def test_doctor_says_why_the_key_set_is_unusable(
    make_app: MakeApp, httpserver: HTTPServer, secrets: tuple[Secret, ...]
) -> None:
    httpserver.expect_request("/keys").respond_with_data("gone", 404)
    app = make_app(jwt_secrets=secrets, jwt_jwks_url=httpserver.url_for("/keys"), development=True)
    found = findings(app, "tokens", exit_code=0 if secrets else 1)
    level, said = found[-1]
    assert (level, "answers 404" in said) == ("warning" if secrets else "error", True)


def test_doctor_fails_without_a_usable_key_in_the_set(make_app: MakeApp, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/keys").respond_with_json({"keys": [{**KEY, "alg": "PS512"}]})
    app = make_app(jwt_secrets=(), jwt_jwks_url=httpserver.url_for("/keys"), development=True)
    said = findings(app, "tokens", exit_code=1)
    assert any(level == "note" and "PS512, which VIDEOCONF_JWT_ALGORITHMS" in text for level, text in said)
    assert any(level == "error" and "no key of use" in text for level, text in said)


def test_doctor_compares_the_issuer_with_the_discovery_document(make_app: MakeApp, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/keys").respond_with_json({"keys": [KEY]})
    document = {"issuer": "https://id.example.com/", "jwks_uri": httpserver.url_for("/keys")}
    httpserver.expect_request("/discovery").respond_with_json(document)
    values = {"jwt_jwks_url": httpserver.url_for("/discovery"), "development": True}
    warned = findings(make_app(**values, jwt_issuer=("https://id.example.com",)), "tokens")
    assert any(
        level == "warning" and "Set VIDEOCONF_JWT_ISSUER=https://id.example.com/" in said for level, said in warned
    )
    right = findings(make_app(**values, jwt_issuer=("https://id.example.com/",)), "tokens")
    assert {level for level, _ in right} == {"ok"}


def test_doctor_counts_secrets_and_shows_their_ids(make_app: MakeApp) -> None:
    app = make_app(jwt_secrets=(Secret(JWT_SECRET), Secret("x" * 40)), jwt_audience=("*",), development=True)
    [(level, said), (warned, why)] = findings(app, "tokens")
    assert (level, "configured keys, separated by commas" in said) == ("ok", True)
    assert said.count("secret:") == 2
    assert JWT_SECRET[:8] not in said
    assert (warned, "other services" in why) == ("warning", True)


def test_doctor_names_variables_with_quotes(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOCONF_JWT_SECRETS", f'"{JWT_SECRET}"')
    monkeypatch.setenv("VIDEOCONF_PUBLIC_URL", "https://x")
    said = [
        text for level, text in findings(make_app(development=True), "settings") if level == "note" and "quotes" in text
    ]
    assert [text.split()[3] for text in said] == ["VIDEOCONF_JWT_SECRETS"]
