"""What crosses the seam between the core and a storage target: frozen, times aware and in UTC, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class StoredObject:
    """An object in a storage target."""

    key: str
    size_bytes: int
    content_type: str | None = None
    modified_at: datetime | None = None


@dataclass(frozen=True)
class SignedUrl:
    """A URL by which anybody can read one object until it expires. A secret: never stored, never logged."""

    url: str
    expires_at: datetime
