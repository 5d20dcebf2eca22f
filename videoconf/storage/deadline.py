"""One deadline for everything that a request waits for at a storage target, handed down without being passed along."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float] = ContextVar("storage_deadline", default=math.inf)


@contextmanager
def storage_deadline(seconds: float) -> Iterator[None]:
    """Bound all that is asked of storage targets inside the block together. An outer deadline that is nearer stays."""
    token = _deadline.set(min(_deadline.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def storage_seconds_left() -> float:
    """Return the seconds until the deadline in force (0.0 when it has passed); infinity without a deadline."""
    return max(0.0, _deadline.get() - time.monotonic())
