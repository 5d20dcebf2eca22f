"""A provider for each environment, without a network unless a test brings one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from videoconf.providers import ProviderContext, Secret, SessionRef
from videoconf_vonage.provider import VonageProvider
from videoconf_vonage.settings import VonageSettings

API_KEY = "47999111"
API_SECRET = "an.api.secret.that_ends_like_a.file"
"""The SDK would take it for the path of a private key."""
APPLICATION_ID = "6f1c9cc4-5a5c-4d6f-9f3b-0a1b2c3d4e5f"
SIGNATURE_SECRET = "callbacks-are-signed-with-this-secret"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def session_of(account: str) -> SessionRef:
    """Make a session with an id as Vonage makes them, which names the account."""
    noise = base64.urlsafe_b64encode(f"1~{account}~~1760000000000~noise~~".encode()).decode().rstrip("=")
    return SessionRef(account, f"2_{noise}")


def pem(key: Any, *, password: bytes | None = None, form: Any = serialization.PrivateFormat.PKCS8) -> str:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


class NoNetwork:
    """An HTTP client that no test may use."""

    def request(self, *args: object, **kwargs: object) -> None:
        raise AssertionError("the test has no network")

    def close(self) -> None:
        pass


@pytest.fixture(scope="session")
def application_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(params=["opentok", "unified"])
def environment(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def credentials(environment: str, application_key: rsa.RSAPrivateKey) -> dict[str, Any]:
    if environment == "opentok":
        return {"api_key": API_KEY, "api_secret": Secret(API_SECRET)}
    return {"application_id": APPLICATION_ID, "private_key": Secret(pem(application_key))}


@pytest.fixture
def make_provider(credentials: dict[str, Any]) -> Callable[..., VonageProvider]:
    """Give a function that makes a provider; keywords are settings."""

    def make(*, development: bool = False, clock: Any = lambda: NOW, http: Any = None, **settings: Any) -> Any:
        values = {"signature_secrets": (Secret(SIGNATURE_SECRET),)} | credentials | settings
        context = ProviderContext(clock, http or (lambda account: NoNetwork()), development)
        return VonageProvider.create(VonageSettings(**values), context)

    return make


@pytest.fixture
def provider(make_provider: Callable[..., VonageProvider]) -> VonageProvider:
    return make_provider()
