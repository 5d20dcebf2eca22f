"""The content of the vendor's archives: bytes derived from the archive's id, generated as they are read."""

from __future__ import annotations

import hashlib
import hmac
import io
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK_BYTES = 1 << 20
CONTENT_TYPE = "video/mp4"


class Media(io.RawIOBase):
    """The bytes of one archive, as a file. Each block begins with its number, so that none can stand for another."""

    def __init__(self, archive_id: str, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._position = 0
        self._block = hashlib.shake_128(archive_id.encode()).digest(4096) * (BLOCK_BYTES // 4096)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        number, offset = divmod(self._position, BLOCK_BYTES)
        count = max(0, min(len(view), BLOCK_BYTES - offset, self._size_bytes - self._position))
        head = number.to_bytes(8, "big")
        view[:count] = (head + self._block[8:])[offset : offset + count] if offset < 8 else self._block[offset:][:count]
        self._position += count
        return count


def signed_path(archive_id: str, secret: str, expires_at: datetime) -> str:
    """Make the path and query by which anybody reads an archive until then."""
    expires = str(int(expires_at.timestamp()))
    return f"/{archive_id}?expires={expires}&signature={_signature(archive_id, expires, secret)}"


def may_read(archive_id: str, query: str, secret: str, now: datetime) -> bool:
    """Return whether a query is one of :func:`signed_path` that has not expired."""
    sent = {name: values[0] for name, values in parse_qs(query).items()}
    expires = sent.get("expires", "")
    right = hmac.compare_digest(_signature(archive_id, expires, secret).encode(), sent.get("signature", "").encode())
    return right and now.timestamp() < int(expires)


def _signature(archive_id: str, expires: str, secret: str) -> str:
    return hmac.new(secret.encode(), f"media {archive_id} {expires}".encode(), hashlib.sha256).hexdigest()
