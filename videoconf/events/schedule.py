"""When a failed delivery is sent again, and when a subscription that keeps failing is disabled."""

from __future__ import annotations

import random
from datetime import timedelta

MINUTE, HOUR = 60.0, 3600.0
DELAYS_SECONDS = (
    5.0,
    MINUTE,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    6 * HOUR,
    12 * HOUR,
    24 * HOUR,
    24 * HOUR,
)
"""After the first failure, the second, and so on. After one more the delivery has failed."""
JITTER = 0.1
LONGEST_WISH_SECONDS = 24 * HOUR
"""How far off a receiver's ``Retry-After`` may put an attempt."""
GIVE_UP = timedelta(days=5)
"""After so long without a success a subscription is disabled."""


def delay(failures: int, wished_seconds: float | None = None) -> timedelta:
    """Return how long to wait after so many failures in a row.

    :param wished_seconds: the receiver's ``Retry-After``, which may lengthen the wait and not shorten it.
    """
    seconds = DELAYS_SECONDS[min(failures, len(DELAYS_SECONDS)) - 1]
    seconds *= random.uniform(1.0, 1.0 + JITTER)  # noqa: S311  # keeps receivers of one outage apart, hides nothing
    return timedelta(seconds=max(seconds, min(wished_seconds or 0.0, LONGEST_WISH_SECONDS)))


def is_used_up(attempts: int) -> bool:
    """Return whether a delivery that failed so often is not sent again by itself."""
    return attempts > len(DELAYS_SECONDS)
