"""Sign with the account's credentials: tokens of clients, with Vonage's SDK, and tokens of our own requests.

The SDK guesses the environment from the looks of the secret, and opens what it takes for a file. It is given no secret
to guess from; environment and key are set afterwards, so that no key is ever written to a disk.
"""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from videoconf.errors import ConfigurationError, ProviderRejected
from videoconf.providers import Role, Secret, as_meant, text_of_file
from videoconf_vonage.settings import PREFIX

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

REQUEST_TOKEN_SECONDS = 180
"""The OpenTok environment takes 300 at most."""
MIN_KEY_BITS = 2048


class Credentials(ABC):
    """One account in one environment. Thread-safe."""

    api_url: ClassVar[str]
    connect_name: ClassVar[str]
    """What client SDKs call the account."""

    def __init__(self, account: str) -> None:
        self.account = account

    @property
    @abstractmethod
    def signing_key(self) -> Any:
        """What the SDK signs with."""

    @abstractmethod
    def headers(self) -> dict[str, str]:
        """Sign one request to the REST API: a new token each time, by the wall clock, with which Vonage compares it."""

    @property
    @abstractmethod
    def is_unified(self) -> bool:
        """Whether this is the unified environment."""

    @abstractmethod
    def signs_for_us(self, claims: Mapping[str, Any]) -> bool:
        """Return whether the claims of a callback's signature are about this account."""

    def client_token(self, session_id: str, role: Role, expires_at: datetime, data: str) -> str:
        """Sign the token with which one client joins a session.

        :raises ProviderRejected: the SDK refuses; it finds our account in the session's id, for one thing.
        """
        from opentok import Roles
        from opentok.exceptions import OpenTokException

        try:
            token = self._sdk.generate_token(
                session_id, Roles(str(role)), expire_time=int(expires_at.timestamp()), data=data or None
            )
        except OpenTokException as error:
            raise ProviderRejected("Vonage's SDK makes no such token.", provider_message=str(error)) from error
        return str(token)

    @cached_property
    def _sdk(self) -> Any:
        from opentok import Client

        client = Client(self.account, "")
        client._using_vonage = self.is_unified  # private; tests/plugins/vonage/test_canaries.py watches it
        client.api_secret = self.signing_key
        return client


class OpenTokCredentials(Credentials):
    """A project of the OpenTok environment: API key and secret."""

    api_url = "https://api.opentok.com"
    connect_name = "apiKey"
    is_unified = False

    def __init__(self, api_key: str, api_secret: Secret) -> None:
        super().__init__(api_key)
        self._secret = api_secret

    @property
    def signing_key(self) -> str:
        return self._secret.reveal()

    def headers(self) -> dict[str, str]:
        import jwt  # here and below, since a command that signs nothing starts sooner without

        now = int(time.time())
        claims = {"iss": self.account, "ist": "project", "iat": now, "exp": now + REQUEST_TOKEN_SECONDS}
        token = jwt.encode({**claims, "jti": str(uuid.uuid4())}, self.signing_key, "HS256")
        return {"X-OPENTOK-AUTH": token, "Accept": "application/json"}

    def signs_for_us(self, claims: Mapping[str, Any]) -> bool:
        return str(claims.get("api_key")) == self.account


class UnifiedCredentials(Credentials):
    """An application of the unified environment: its id and private key.

    :raises ConfigurationError: the key cannot be read, or is not an RSA key of 2048 bits or more.
    """

    api_url = "https://video.api.vonage.com"
    connect_name = "applicationId"
    is_unified = True

    def __init__(self, application_id: str, private_key: Secret) -> None:
        super().__init__(application_id)
        self._key = _load_key(private_key)

    @property
    def signing_key(self) -> RSAPrivateKey:
        return self._key

    def headers(self) -> dict[str, str]:
        import jwt

        now = int(time.time())
        claims = {"application_id": self.account, "iat": now, "exp": now + REQUEST_TOKEN_SECONDS}
        token = jwt.encode({**claims, "jti": str(uuid.uuid4())}, self._key, "RS256")
        return {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def signs_for_us(self, claims: Mapping[str, Any]) -> bool:
        # ``api_key`` is here that of the account which owns the application, and no setting of ours. The application
        # is documented as optional; without it the secret, which belongs to one callback URL, has to be enough.
        return str(claims.get("application_id", self.account)) == self.account


def _load_key(private_key: Secret) -> RSAPrivateKey:
    """Load a PEM key, given as such or by its path. No message repeats what was given: it may be half a key."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text = as_meant(private_key.reveal())
    try:
        if not text.startswith("-----BEGIN"):
            text = text_of_file(text)
        key = load_pem_private_key(text.encode(), password=None)
    except (OSError, ValueError, TypeError):  # TypeError: it is encrypted
        raise ConfigurationError(
            f"{PREFIX}PRIVATE_KEY: neither a PEM private key without a password nor the path of a file that is one."
        ) from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < MIN_KEY_BITS:
        raise ConfigurationError(f"{PREFIX}PRIVATE_KEY: it is no RSA key of {MIN_KEY_BITS} bits or more.")
    return key
