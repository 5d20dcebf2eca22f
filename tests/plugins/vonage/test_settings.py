"""Which settings are taken, which environment they mean, and that none of them is repeated."""

import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.plugins.vonage.conftest import API_KEY, API_SECRET, APPLICATION_ID, pem, session_of
from videoconf.errors import ConfigurationError
from videoconf.hooks import undeclared_capabilities
from videoconf.providers import (
    Capability,
    Role,
    Secret,
    StorageScope,
    StoresArchives,
    TokenRequest,
    WebhookAuthentication,
)
from videoconf_vonage.provider import OpenTokProvider, VonageProvider
from videoconf_vonage.settings import VonageSettings

NEITHER = [
    {},
    {"api_key": API_KEY},
    {"api_secret": Secret(API_SECRET)},
    {"application_id": APPLICATION_ID},
    {"private_key": Secret("x")},
    {"api_key": API_KEY, "private_key": Secret("x")},
    {"application_id": APPLICATION_ID, "api_secret": Secret(API_SECRET)},
    {"api_key": API_KEY, "api_secret": Secret("x"), "application_id": APPLICATION_ID, "private_key": Secret("x")},
    {"api_key": API_KEY, "api_secret": Secret("x"), "application_id": APPLICATION_ID},
]


@pytest.mark.parametrize("given", NEITHER, ids=lambda given: "+".join(given) or "nothing")
def test_the_credentials_of_one_environment_are_needed(given):
    with pytest.raises(ConfigurationError) as caught:
        VonageSettings(**given)
    for name in ("API_KEY", "API_SECRET", "APPLICATION_ID", "PRIVATE_KEY"):
        assert f"VIDEOCONF_VONAGE_{name}" in str(caught.value)


def test_the_environment_follows_from_the_settings(provider, environment):
    opentok = environment == "opentok"
    assert type(provider) is (OpenTokProvider if opentok else VonageProvider)
    assert provider.account == (API_KEY if opentok else APPLICATION_ID)
    assert isinstance(provider, StoresArchives) is opentok
    assert undeclared_capabilities(provider) == []
    facts = provider.capabilities
    assert (Capability.STORES_ARCHIVES in facts) is opentok
    assert facts.storage_scope is (StorageScope.ACCOUNT if opentok else StorageScope.NONE)
    assert facts.storage_kinds == ({"s3", "azure"} if opentok else set())
    assert facts.webhook_success_status == 200
    assert facts.webhook_channels == ("session", "archive")
    assert not facts.idempotent_create


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", "47x"),
        ("api_key", "../1"),
        ("api_key", "٤٧"),
        ("api_url", "api.opentok.com"),
        ("api_url", "ftp://api.opentok.com"),
        ("api_url", "https://user:word@api.opentok.com"),
        ("api_url", "https://api.opentok.com/?a=b"),
        ("api_url", "https://api.opentok.com:port"),
        ("webhook_token", Secret("too-short")),
    ],
)
def test_unusable_setting_is_refused_without_its_value(name, value):
    with pytest.raises(ConfigurationError) as caught:
        VonageSettings(**{"api_key": API_KEY, "api_secret": Secret(API_SECRET), name: value})
    assert f"VIDEOCONF_VONAGE_{name.upper()}" in str(caught.value)
    assert "too-short" not in str(caught.value)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize("value", ["app", "6f1c9cc4", APPLICATION_ID + "0", f"../{APPLICATION_ID}"])
def test_an_application_id_is_a_uuid(value):
    with pytest.raises(ConfigurationError, match="APPLICATION_ID"):
        VonageSettings(application_id=value, private_key=Secret("x"))


@pytest.mark.parametrize("environment", ["unified"], indirect=True)
class TestPrivateKey:
    @pytest.fixture
    def with_key(self, make_provider):
        return lambda text: make_provider(private_key=Secret(text))

    def test_key_as_text_path_or_one_line_is_the_same(self, with_key, application_key, tmp_path):
        text = pem(application_key)
        path = tmp_path / "private key"
        path.write_text(text)
        old = pem(application_key, form=serialization.PrivateFormat.TraditionalOpenSSL)
        for given in (text, str(path), text.replace("\n", "\\n"), f"\n{text}\n", old):
            request = TokenRequest(Role.PUBLISHER, datetime.now(UTC) + timedelta(hours=1))
            token = with_key(given).issue_token(session_of(APPLICATION_ID), request).token
            jwt.decode(
                token, application_key.public_key(), ["RS256"], options={"verify_exp": False, "verify_iat": False}
            )

    def test_unusable_key_is_refused_without_its_text(self, with_key, application_key, tmp_path):
        broken = tmp_path / "broken.pem"
        broken.write_bytes(b"\xff\xfe")
        small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        for given in (
            "tops3cret",
            str(tmp_path / "none.pem"),
            str(tmp_path),
            str(broken),
            "x" * 5000,
            "a\x00b",
            pem(application_key)[:200],
            pem(application_key, password=b"tops3cret"),
            pem(ec.generate_private_key(ec.SECP256R1())),
            pem(small),
        ):
            with pytest.raises(ConfigurationError, match="PRIVATE_KEY") as caught:
                with_key(given)
            assert given not in str(caught.value)
            assert given not in repr(caught.value.__cause__)


def test_missing_callback_secret_is_allowed_only_in_development(make_provider, caplog):
    with pytest.raises(ConfigurationError) as caught:
        make_provider(signature_secrets=())
    assert "VIDEOCONF_VONAGE_SIGNATURE_SECRETS" in str(caught.value)
    assert "VIDEOCONF_VONAGE_WEBHOOK_TOKEN" in str(caught.value)
    provider = make_provider(signature_secrets=(), development=True)
    assert provider.capabilities.webhook_authentication is WebhookAuthentication.NONE
    assert "NOT verified" in caplog.text


def test_declared_authentication_follows_the_settings(make_provider):
    token = Secret("t" * 16)
    assert make_provider().capabilities.webhook_authentication is WebhookAuthentication.SIGNED
    for given in ({"webhook_token": token}, {"webhook_token": token, "signature_secrets": ()}):
        assert make_provider(**given).capabilities.webhook_authentication is WebhookAuthentication.SHARED_SECRET


def test_a_signature_secret_that_can_be_guessed_is_warned_of(make_provider, caplog):
    make_provider(signature_secrets=(Secret("guessme-guessme-"),))
    assert "SIGNATURE_SECRETS" in caplog.text
    assert "guessme" not in caplog.text


@pytest.mark.parametrize("secret", ["", "x", "fifteen-letters"])
def test_short_signature_secret_refuses_to_start(make_provider, secret):
    with pytest.raises(ConfigurationError, match="SIGNATURE_SECRETS"):
        make_provider(signature_secrets=(Secret("x" * 32), Secret(secret)))


def test_plain_http_api_refuses_to_start_in_production(make_provider):
    with pytest.raises(ConfigurationError, match=r"API_URL.*https://"):
        make_provider(api_url="http://vonage.example.com")
    make_provider(api_url="http://vonage.example.com", development=True)
    make_provider(api_url="http://127.0.0.1:4567")


def test_repr_shows_no_secret(make_provider, credentials):
    provider = make_provider(webhook_token=Secret("t" * 16))
    parts = vars(provider).values()
    seen = repr([provider, *parts, *(vars(part) for part in parts if hasattr(part, "__dict__"))])
    for value in (*credentials.values(), *provider.settings.signature_secrets, provider.settings.webhook_token):
        if isinstance(value, Secret):
            assert value.reveal() not in seen
            assert json.dumps(value.reveal()) not in seen
