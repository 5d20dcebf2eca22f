"""What one request to a storage target may take, so that a server of a caller's choice cannot hold a thread or memory.

An SDK reads the body of an error into memory whatever its length, and the caller who sets a storage target names the
server. So three bounds apply below every SDK: the deadline of the request, where it has one; a minimum speed, which
lets large objects take as long as they need; and a cap on answers that are not objects.
"""

from __future__ import annotations

import math
from typing import NoReturn
from xml.parsers import expat

from videoconf.bounded_connection import Bounds
from videoconf.errors import StorageError, StorageTimeout
from videoconf.storage.deadline import storage_seconds_left

LARGEST_ANSWER_BYTES = 1 << 20
"""For an answer that is not an object: errors, lists."""
PATIENCE_SECONDS = 20.0
SLOWEST_BYTES_PER_SECOND = 16 << 10
SHORTEST_WAIT_SECONDS = 0.01
"""Timers are not exact: a wait that ended this much before its bound was ended by it."""


class Exchange(Bounds):
    """Bounds of one request and its answer. Time counts only while we wait: our own reader may be slow.

    :param largest_answer_bytes: how much of an answer is read; infinity where the reader bounds it.
    """

    def __init__(self, largest_answer_bytes: float) -> None:
        super().__init__()
        self._largest_answer_bytes = largest_answer_bytes
        self._waited_seconds = 0.0
        self._moved_bytes = 0
        self._received_bytes = 0

    def refuse_more(self) -> None:
        """Accept no more than the length of an error from now on."""
        self._largest_answer_bytes = min(self._largest_answer_bytes, self._received_bytes + LARGEST_ANSWER_BYTES)

    def seconds_left(self, silence_seconds: float) -> float:
        """Return how long the next wait may be.

        :raises StorageTimeout: the deadline has passed, or the exchange is slower than the minimum speed.
        """
        patience = PATIENCE_SECONDS + (silence_seconds if silence_seconds < math.inf else 0.0)
        at_this_speed = patience + self._moved_bytes / SLOWEST_BYTES_PER_SECOND - self._waited_seconds
        left = min(silence_seconds, at_this_speed, storage_seconds_left())
        if left < SHORTEST_WAIT_SECONDS:
            raise StorageTimeout
        return left

    def waited(self, seconds: float) -> None:
        """Count the time of one wait."""
        self._waited_seconds += seconds

    def sent(self, count: int) -> None:
        """Count the bytes of one send."""
        self._moved_bytes += count

    def received(self, count: int) -> None:
        """Count the bytes of one read.

        :raises StorageError: the answer is too long.
        """
        self._moved_bytes += count
        self._received_bytes += count
        if self._received_bytes > self._largest_answer_bytes:
            raise StorageError("The storage target's answer is too long.")


def refuse_entities(body: bytes) -> None:
    """Check an answer before an SDK parses it: entities of its own make a hundred megabytes of half a megabyte of XML.

    A document that is not XML passes; the SDK says what is wrong with it.

    :raises StorageError: it has a document type, in which entities are declared. No storage service sends one.
    """
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_document_type
    try:
        parser.Parse(body, True)
    except expat.ExpatError:
        return


def _refuse_document_type(*said: object) -> NoReturn:
    raise StorageError("The storage target's answer declares entities of its own.")
