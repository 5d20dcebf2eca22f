"""Encrypted data: which keys it needs, and encrypting it again with the newest key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import LargeBinary, func, select

from videoconf.db.conditional import update_rows
from videoconf.db.transactions import read, write
from videoconf.errors import DatabaseUnavailable, SchemaNotReady
from videoconf.storage_targets.cipher import KEY_ID_CHARACTERS, Cipher

ROTATION_BATCH = 100


class StoredCredentials:
    """The credentials of storage targets and the secrets of subscriptions. One instance serves all threads.

    :param columns: the encrypted columns, as attributes of models with an ``id`` and a ``tenant``.
    """

    def __init__(self, cipher: Cipher, columns: Sequence[Any]) -> None:
        self._cipher = cipher
        self._columns = tuple(columns)

    @property
    def newest_key_id(self) -> str:
        """Name the key that encrypts."""
        return self._cipher.newest_key_id

    def faults(self) -> list[str]:
        """Return what prevents serving. Empty while the database does not answer; readiness checks again."""
        try:
            missing = self.unknown_key_ids()
        except (DatabaseUnavailable, SchemaNotReady):
            return []
        if not missing:
            return []
        return [
            f"VIDEOCONF_ENCRYPTION_KEYS lacks keys that stored credentials need (their ids: {', '.join(missing)})."
            " Add them; nothing was overwritten."
        ]

    def unknown_key_ids(self) -> list[str]:
        """Name the keys that stored credentials need and that are not configured."""
        ids: set[str] = set()
        with read() as session:
            for column in self._columns:
                used = func.substr(column, 1, KEY_ID_CHARACTERS, type_=LargeBinary)
                found = session.execute(select(used).where(func.length(column) > 0).distinct())
                ids |= {bytes(name).decode("ascii", "replace") for name in found.scalars()}
        return sorted(ids - self._cipher.key_ids)

    def rotate(self) -> int:
        """Encrypt with the newest key whatever still needs another one; return how many rows that were.

        May run beside a service that serves, and again after an interruption.

        :raises EncryptionKeyUnknown: a row cannot be decrypted; those before it are done.
        """
        newest = self._cipher.newest_key_id.encode()
        return sum(self._rotate(column, newest) for column in self._columns)

    def _rotate(self, column: Any, newest: bytes) -> int:
        row_of = column.class_
        rotated, after = 0, 0
        while True:
            statement = (
                select(row_of.id, row_of.tenant, column.label("ciphertext"))
                .where(row_of.id > after)
                .order_by(row_of.id)
                .limit(ROTATION_BATCH)
                .with_for_update()
            )
            with write() as session:
                rows = session.execute(statement).all()
                for row in rows:
                    if row.ciphertext and not row.ciphertext.startswith(newest + b"."):
                        values = self._cipher.decrypt(row.tenant, row.ciphertext)
                        session.execute(
                            update_rows(row_of)
                            .where(row_of.id == row.id)
                            .values({column: self._cipher.encrypt(row.tenant, values)})
                        )
                        rotated += 1
            if not rows:
                return rotated
            after = rows[-1].id
