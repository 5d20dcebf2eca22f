"""Sign deliveries as Standard Webhooks, and keep the secrets encrypted."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from standardwebhooks import Webhook

from videoconf.formats import utc_text
from videoconf.storage_targets.cipher import Cipher

PREFIX = "whsec_"
SECRET_BYTES = 32
OVERLAP = timedelta(hours=24)
"""How long the secret before a rotation signs beside the new one."""


@dataclass(frozen=True)
class Secrets:
    """The secrets of one subscription."""

    current: str
    previous: str | None = None
    previous_until: datetime | None = None

    def at(self, now: datetime) -> list[str]:
        """Return those that sign now, the current one first."""
        if self.previous is None or self.previous_until is None or now >= self.previous_until:
            return [self.current]
        return [self.current, self.previous]

    def rotated(self, now: datetime) -> Secrets:
        """Return new secrets, beside which the current one signs for a while."""
        return Secrets(new_secret(), self.current, now + OVERLAP)

    def __repr__(self) -> str:
        return "Secrets(…)"


def new_secret() -> str:
    """Make a secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def encrypt(cipher: Cipher, tenant: str, known: Secrets) -> bytes:
    """Encrypt secrets for a tenant.

    :raises EncryptionNotConfigured: no key is configured.
    """
    until = None if known.previous_until is None else utc_text(known.previous_until)
    values = {"current": known.current, "previous": known.previous, "previousUntil": until}
    return cipher.encrypt(tenant, values)


def decrypt(cipher: Cipher, tenant: str, ciphertext: bytes) -> Secrets:
    """Decrypt a tenant's secrets.

    :raises EncryptionKeyUnknown: the key is not configured.
    """
    values = cipher.decrypt(tenant, ciphertext)
    until = values["previousUntil"]
    return Secrets(values["current"], values["previous"], None if until is None else datetime.fromisoformat(until))


def signed_headers(keys: list[str], event_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """Return the headers of one attempt: its id is the event's, its time is now, one signature for each key."""
    text = body.decode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.astimezone(UTC).timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(event_id, now, text) for key in keys),
    }
