"""Storage targets on S3 and on servers that speak its protocol. boto3 is imported when a target is first used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from videoconf import hookimpl

if TYPE_CHECKING:
    from videoconf.storage import StorageTarget


@hookimpl
def videoconf_storage_targets() -> Iterable[type[StorageTarget]]:
    from videoconf_s3.target import S3Target

    return [S3Target]
