"""A storage target in the memory of the process, for tests and demonstrations. The content ends with the process."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any, BinaryIO, ClassVar

from marshmallow import RAISE, Schema, fields
from marshmallow.validate import Length, OneOf, Regexp

from videoconf.errors import StorageContainerNotFound, StorageDenied, StoredObjectNotFound
from videoconf.storage import SignedUrl, StorageTarget, StoredObject


class MemoryConfiguration(Schema):
    """What names an area of memory and lets one in."""

    class Meta:
        unknown = RAISE

    area = fields.String(
        required=True,
        validate=Regexp(r"^[a-z0-9-]{1,63}$(?!\n)", error="Must be 1 to 63 lower-case letters, digits and hyphens."),
    )
    password = fields.String(required=True, validate=Length(min=1, max=128))
    fallback = fields.String(load_default="none", validate=OneOf(["none", "provider"]))


@dataclass(frozen=True)
class _Object:
    content: bytes
    content_type: str | None
    modified_at: datetime


class Areas:
    """Named areas and what they hold. Thread-safe."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.objects: defaultdict[str, dict[str, _Object]] = defaultdict(dict)
        self.passwords: dict[str, str] = {}
        """Of areas that were made on purpose; any other area comes to be by its first use."""
        self.missing: set[str] = set()


AREAS = Areas()
"""Those of this process."""


class MemoryTarget(StorageTarget):
    """An area of memory. ``AREAS.passwords`` and ``AREAS.missing`` make one refuse, as a bucket does."""

    key = "memory"
    wire_name = "MEMORY"
    label = "Memory (fake)"
    configuration_schema = MemoryConfiguration
    example: ClassVar[Mapping[str, Any]] = {"area": "recordings", "password": "any"}
    secret_fields = frozenset({"password"})

    def _enter(self) -> dict[str, _Object]:
        area: str = self.configuration["area"]
        if area in AREAS.missing:
            raise StorageContainerNotFound
        if not hmac.compare_digest(AREAS.passwords.get(area, self._password).encode(), self._password.encode()):
            raise StorageDenied
        return AREAS.objects[area]

    @property
    def _password(self) -> str:
        return str(self.configuration["password"])

    def put(self, key: str, stream: BinaryIO, *, content_type: str | None = None) -> StoredObject:
        content = stream.read()
        with AREAS.lock:
            self._enter()[key] = _Object(content, content_type, self.context.clock())
        return self.stat(key)

    def open(self, key: str) -> BinaryIO:
        return BytesIO(self._get(key).content)

    def stat(self, key: str) -> StoredObject:
        found = self._get(key)
        return StoredObject(key, len(found.content), found.content_type, found.modified_at)

    def delete(self, key: str) -> None:
        with AREAS.lock:
            if self.configuration["area"] not in AREAS.missing:
                self._enter().pop(key, None)

    def signed_url(self, key: str, *, expires_in_seconds: int) -> SignedUrl:
        expires_at = self.context.clock() + timedelta(seconds=expires_in_seconds)
        path = f"{self.configuration['area']}/{key}?expires={int(expires_at.timestamp())}"
        signature = hmac.new(self._password.encode(), path.encode(), hashlib.sha256).hexdigest()
        return SignedUrl(f"memory://{path}&signature={signature}", expires_at)

    def _get(self, key: str) -> _Object:
        with AREAS.lock:
            found = self._enter().get(key)
        if found is None:
            raise StoredObjectNotFound
        return found
