"""Slots and a circuit breaker for each storage target, so that one that stalls takes few threads, and then none.

A tenant has a share of all calls that are under way, whatever their targets are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from videoconf.breaker import Breaker, Verdict
from videoconf.errors import ProviderError, StorageTimeout, StorageUnavailable, VideoconfError
from videoconf.shares import Share, own_share
from videoconf.storage.deadline import storage_seconds_left

TARGET_SLOTS = 8
"""Calls of one target that may be under way at once in one process. Streams are bounded by who copies."""
TENANT_SLOTS = 12
"""Calls of one tenant, to all of its targets."""
TENANT_WAITING = 8
"""Calls of one tenant that wait for its share. Each holds a thread; further ones are refused at once."""
SLOT_WAIT_SECONDS = 1.0

tenant_share = Share(TENANT_SLOTS, TENANT_WAITING)


class Bulkhead:
    """The slots and the breaker of one target. Thread-safe."""

    def __init__(self) -> None:
        self._slots = BoundedSemaphore(TARGET_SLOTS)
        self._breaker = Breaker(time.monotonic)

    @contextmanager
    def call(self, *, takes_slot: bool = True) -> Iterator[None]:
        """Enclose one call.

        :param takes_slot: not for a stream, which may take hours.
        :raises StorageUnavailable: nothing was done, because the target failed repeatedly or its slots are taken.
        """
        wait = min(SLOT_WAIT_SECONDS, storage_seconds_left())
        busy = StorageUnavailable("Too many calls to the storage target are under way.", retry_after_seconds=1.0)
        if not takes_slot:
            with self._watched():
                yield
            return
        with own_share(tenant_share, wait, busy):
            if not self._slots.acquire(timeout=wait):
                raise busy
            try:
                with self._watched():
                    yield
            finally:
                self._slots.release()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            ticket = self._breaker.enter()
        except ProviderError as error:  # the breaker knows no storage
            raise StorageUnavailable(
                "The storage target failed repeatedly; calls to it are suspended.",
                retry_after_seconds=error.retry_after_seconds,
            ) from None
        verdict: Verdict | None = None
        try:
            yield
            verdict = Verdict.SUCCEEDED
        except (StorageTimeout, StorageUnavailable):
            verdict = Verdict.FAILED
            raise
        except VideoconfError:
            verdict = Verdict.ANSWERED
            raise
        finally:
            self._breaker.leave(ticket, verdict)
