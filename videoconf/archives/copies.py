"""Delete an archive's copies in storage targets."""

from __future__ import annotations

import logging

from sqlalchemy import select

from videoconf.archives.models import Archive
from videoconf.db.transactions import read
from videoconf.errors import VideoconfError
from videoconf.storage_targets.in_force import StorageTargets

logger = logging.getLogger(__name__)


def delete_copies(targets: StorageTargets, archive: Archive) -> bool:
    """Delete an archive's copies; return whether it may ever have had one. Idempotent.

    :raises StorageError: a copy may still be there.
    """
    copies = dict(archive.begun_copies or {})
    if archive.storage_target_id is not None and archive.object_key is not None:
        copies[str(archive.storage_target_id)] = archive.object_key
    for row_id, key in copies.items():
        targets.delete_object(int(row_id), key)
    return bool(copies)


def delete_unfinished(targets: StorageTargets, archive_id: int) -> None:
    """Delete what was begun to be copied and is not the archive's copy: all of it when the archive is deleted.

    A target that is down keeps its part until the archive is deleted.
    """
    with read() as session:
        archive = session.execute(select(Archive).where(Archive.id == archive_id)).scalar_one_or_none()
    if archive is None or not archive.begun_copies:
        return
    is_deleted = archive.deleted_on is not None
    if not is_deleted and archive.object_key is None:
        return  # the next attempt goes on with one of them
    for row_id, key in archive.begun_copies.items():
        if is_deleted or int(row_id) != archive.storage_target_id:
            try:
                targets.delete_object(int(row_id), key)
            except VideoconfError as error:
                if is_deleted:
                    raise
                logger.warning("an unfinished copy stays in target %s: %s", row_id, error.code)
