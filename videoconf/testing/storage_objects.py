"""Objects for the kit of storage targets: streams that are put or break off, contents read back, URLs fetched."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Mapping
from contextlib import closing
from typing import Any, BinaryIO, cast

import urllib3

from videoconf.errors import StoredObjectNotFound
from videoconf.storage import StorageTarget
from videoconf.testing.harness import wrong

BLOCK_BYTES = 1 << 20
LONGEST_SECONDS = 30.0


class Source(io.RawIOBase):
    """A stream of random bytes that are made as they are read.

    :param breaks: raise at the end, as a connection that breaks does.
    """

    def __init__(self, size: int, *, breaks: bool = False) -> None:
        self.digest = hashlib.sha256()
        self._left, self._breaks = size, breaks
        self._block = secrets.token_bytes(BLOCK_BYTES)

    def readable(self) -> bool:
        """Return True: it is there to be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Make the next bytes, and add them to the digest."""
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        if self._breaks and (wanted == 0 or size is None or size < 0):
            raise ConnectionAbortedError("the stream broke off")
        content = (self._block * (wanted // BLOCK_BYTES + 1))[:wanted]
        self._left -= wanted
        self.digest.update(content)
        return content

    def readinto(self, buffer: Any) -> int:
        """Make as many bytes as the buffer has room for."""
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


def read(target: StorageTarget, key: str) -> bytes:
    """Read a whole object."""
    with closing(target.open(key)) as stream:
        return stream.read()


def holds(target: StorageTarget, key: str, content: bytes) -> bool:
    """Return whether a key has an object of this content."""
    try:
        return read(target, key) == content
    except StoredObjectNotFound:
        return False


def break_off(target: StorageTarget, key: str, size: int) -> None:
    """Put a stream that breaks off after so many bytes."""
    try:
        target.put(key, cast("BinaryIO", Source(size, breaks=True)))
    except ConnectionAbortedError:
        return
    except Exception as error:
        wrong(f"put() of a stream that breaks off raises {error!r}, not what the stream raised")
    wrong("put() of a stream that breaks off succeeds")


def fetch(url: str, **headers: str) -> tuple[int, bytes]:
    """Fetch a URL as a plain client does; return the status and the body."""
    return send("GET", url, headers=headers)


def send(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Send a request as a plain client does; return the status and the body."""
    with urllib3.PoolManager(retries=False, timeout=LONGEST_SECONDS) as pool:
        answer = pool.request(method, url, body=body, headers=headers, redirect=False)
        return answer.status, answer.data
