"""Encryption of storage credentials in the database, with keys that can be changed while the service runs.

A ciphertext begins with the id of its key, so that a query can tell which rows still need an old one. The tenant is
part of what is encrypted and is compared on the way back: a row that was moved to another tenant cannot be read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from videoconf.errors import EncryptionKeyUnknown, EncryptionNotConfigured
from videoconf.settings import Secret

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_ID_CHARACTERS = 8
"""A ciphertext begins with so many characters that name its key, and a full stop."""
MAKE_A_KEY = "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"


class Cipher:
    """Encrypts with the first key and decrypts with any of them. Thread-safe.

    :param keys: as :func:`key_faults` accepts them, newest first.
    """

    def __init__(self, keys: Sequence[Secret]) -> None:
        self._keys = {key_id(key): _fernet(key) for key in keys}

    @property
    def newest_key_id(self) -> str:
        """Name the key that encrypts.

        :raises EncryptionNotConfigured: no key is configured.
        """
        for name in self._keys:
            return name
        raise EncryptionNotConfigured

    @property
    def key_ids(self) -> frozenset[str]:
        """Name all keys."""
        return frozenset(self._keys)

    def encrypt(self, tenant: str, values: Mapping[str, Any]) -> bytes:
        """Encrypt JSON values for a tenant.

        :raises EncryptionNotConfigured: no key is configured.
        """
        newest = self.newest_key_id
        plain = json.dumps({"tenant": tenant, "values": dict(values)}).encode()
        return newest.encode() + b"." + self._keys[newest].encrypt(plain)

    def decrypt(self, tenant: str, ciphertext: bytes) -> dict[str, Any]:
        """Decrypt a tenant's values.

        :raises EncryptionKeyUnknown: its key is unknown, it is damaged, or it belongs to another tenant.
        """
        name, _, token = ciphertext.partition(b".")
        key = self._keys.get(name.decode("ascii", "replace"))
        if key is None:
            raise EncryptionKeyUnknown
        from cryptography.fernet import InvalidToken

        try:
            plain = json.loads(key.decrypt(token))
        except InvalidToken:
            raise EncryptionKeyUnknown from None
        if plain["tenant"] != tenant:
            raise EncryptionKeyUnknown
        return dict(plain["values"])


def key_id(key: Secret) -> str:
    """Name a key without telling anything of it."""
    digest = hashlib.sha256(b"videoconf key id" + key.reveal().encode(errors="surrogateescape"))
    return digest.hexdigest()[:KEY_ID_CHARACTERS]


def key_faults(keys: Sequence[Secret]) -> list[str]:
    """Return the faults of the keys in the settings, without the keys themselves."""
    faults = []
    for number, key in enumerate(keys, start=1):
        try:
            _fernet(key)
        except ValueError:
            faults.append(f"VIDEOCONF_ENCRYPTION_KEYS: key {number} is not a valid key. Make one with: {MAKE_A_KEY}")
    return faults


def _fernet(key: Secret) -> Fernet:
    from cryptography.fernet import Fernet  # when there is a key: a command's start does without

    return Fernet(key.reveal())
