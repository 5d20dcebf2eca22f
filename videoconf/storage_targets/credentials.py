"""The credentials that are stored: which keys they need, and encrypting them with the newest."""

from __future__ import annotations

from sqlalchemy import LargeBinary, func, select, update

from videoconf.db.transactions import read, write
from videoconf.errors import DatabaseUnavailable, SchemaNotReady
from videoconf.storage_targets.cipher import KEY_ID_CHARACTERS, Cipher
from videoconf.storage_targets.models import StorageTargetRow

ROTATION_BATCH = 100


class StoredCredentials:
    """Those of all storage targets. One instance serves all threads."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    @property
    def newest_key_id(self) -> str:
        """Name the key that encrypts."""
        return self._cipher.newest_key_id

    def faults(self) -> list[str]:
        """Say what forbids serving. Where the database cannot tell, nothing; readiness goes on asking."""
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
        used = func.substr(StorageTargetRow.configuration, 1, KEY_ID_CHARACTERS, type_=LargeBinary)
        with read() as session:
            found = session.execute(select(used).where(func.length(StorageTargetRow.configuration) > 0).distinct())
            ids = {bytes(name).decode("ascii", "replace") for name in found.scalars()}
        return sorted(ids - self._cipher.key_ids)

    def rotate(self) -> int:
        """Encrypt with the newest key whatever still needs another one; return how many rows that were.

        May run beside a service that serves, and again after an interruption.

        :raises EncryptionKeyUnknown: a row cannot be decrypted; those before it are done.
        """
        newest = self._cipher.newest_key_id.encode()
        rotated, after = 0, 0
        while True:
            statement = (
                select(StorageTargetRow.id, StorageTargetRow.tenant, StorageTargetRow.configuration)
                .where(StorageTargetRow.id > after)
                .order_by(StorageTargetRow.id)
                .limit(ROTATION_BATCH)
                .with_for_update()
            )
            with write() as session:
                rows = session.execute(statement).all()
                for row in rows:
                    if row.configuration and not row.configuration.startswith(newest + b"."):
                        values = self._cipher.decrypt(row.tenant, row.configuration)
                        session.execute(
                            update(StorageTargetRow)
                            .where(StorageTargetRow.id == row.id)
                            .values(configuration=self._cipher.encrypt(row.tenant, values))
                            .execution_options(synchronize_session=False)
                        )
                        rotated += 1
            if not rows:
                return rotated
            after = rows[-1].id
