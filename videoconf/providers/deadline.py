"""One deadline for all provider calls of a piece of work, in a context variable instead of parameters."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PROVIDER_BUDGET_SECONDS = 10.0
"""What a request spends on providers at most, all attempts together."""

_deadline: ContextVar[float | None] = ContextVar("provider_deadline", default=None)


@contextmanager
def provider_deadline(seconds: float = PROVIDER_BUDGET_SECONDS) -> Iterator[None]:
    """Bound all provider calls inside the block together. An outer deadline that is nearer stays in force."""
    now = time.monotonic()
    outer = _deadline.get()
    token = _deadline.set(now + seconds if outer is None else min(outer, now + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left() -> float:
    """Return the seconds until the deadline in force (0.0 when it has passed); the whole budget where none is."""
    deadline = _deadline.get()
    return PROVIDER_BUDGET_SECONDS if deadline is None else max(0.0, deadline - time.monotonic())
