"""What stands between a stream of ours and an SDK's, in both directions."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class ReadOnce(io.RawIOBase):
    """Hides all of a stream but reading: an SDK that can seek reads twice, and what was opened once cannot be."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read at most so many bytes."""
        return self._stream.read(size)


class RemoteBody(io.RawIOBase):
    """An object's content as an SDK gives it, whose errors of reading are ours.

    :param body: anything with ``read(size)``; closed with the stream where it can be.
    :param mapped: gives a context that turns the SDK's errors into :mod:`videoconf.errors`.
    """

    def __init__(self, body: Any, mapped: Callable[[], AbstractContextManager[None]]) -> None:
        self._body = body
        self._mapped = mapped

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into a buffer; return how many bytes, 0 at the end.

        :raises StorageError: the target failed meanwhile.
        """
        view = memoryview(buffer).cast("B")
        with self._mapped():
            chunk = self._body.read(len(view))
            view[: len(chunk)] = chunk
            return len(chunk)

    def close(self) -> None:
        """Let go of the connection. May be called twice."""
        if not self.closed:
            super().close()
            if hasattr(self._body, "close"):
                with self._mapped():
                    self._body.close()
