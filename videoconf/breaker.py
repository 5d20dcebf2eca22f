"""A circuit breaker: stop calling a provider that fails, and try it again with one call at a time.

::

    closed ── 5 failures, and 4/5 of the calls, within 30 s ──> open ── 10 s ± 20 % ──> half_open ── one probe
       ^                                                          ^                        │
       └────────────── answered ──────────────────────────────────│────────────────────────┤
                                                                  └── failed ──────────────┘
    any state ── credentials refused ──> misconfigured ── 60 s, or a success ──> closed

Own code because pybreaker, the well-known one, runs the guarded call under its lock: calls would wait for each other.
Here the lock is held for bookkeeping alone.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum, StrEnum, auto
from threading import Lock

from videoconf.errors import ProviderAuthFailed, ProviderUnavailable

WINDOW_SECONDS = 30.0
LEAST_FAILURES = 5
LEAST_FAILURE_SHARE = 0.8
"""Opening at half would turn a vendor that fails every second call into one that fails nearly every call."""
OPEN_SECONDS = 10.0
OPEN_JITTER = 0.2
MISCONFIGURED_SECONDS = 60.0
REFUSALS_IN_A_ROW = 3
PROBE_UNDER_WAY_SECONDS = 1.0
"""The ``Retry-After`` for callers while a probe is under way."""


class BreakerState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    """They do."""
    OPEN = "open"
    """They do not: the provider failed too often."""
    HALF_OPEN = "half_open"
    """One at a time does, to see whether the provider is back."""
    MISCONFIGURED = "misconfigured"
    """They do not: the provider refuses the credentials."""


class Verdict(Enum):
    """What one call says about the provider."""

    SUCCEEDED = auto()
    """It works and takes the credentials."""
    ANSWERED = auto()
    """It works: it refused this one call, or limits our rate."""
    FAILED = auto()
    """It could not be reached, did not answer in time, or failed itself."""
    REFUSED = auto()
    """It does not take the credentials."""


class Breaker:
    """The breaker of one account at one provider. Thread-safe; never holds its lock during a call.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._credentials_proven = False
        self._period = 0
        self._calls: deque[tuple[float, bool]] = deque()  # (when it ended, did it fail)
        self._move(BreakerState.CLOSED)

    def read(self) -> tuple[BreakerState, datetime]:
        """Return the state and since when (UTC) it lasts."""
        with self._lock:
            self._expire()
            return self._state, self._since

    def check(self) -> None:
        """Raise what :meth:`enter` would raise now, and claim nothing.

        :raises ProviderUnavailable: the breaker is open; ``retry_after_seconds`` is the rest of that time.
        :raises ProviderAuthFailed: the credentials were refused a moment ago.
        """
        with self._lock:
            self._check()

    def enter(self) -> int:
        """Let one call through and return its ticket, which :meth:`leave` must get back whatever happens.

        :raises ProviderUnavailable: as :meth:`check`.
        :raises ProviderAuthFailed: as :meth:`check`.
        """
        with self._lock:
            self._check()
            self._probing = self._state is BreakerState.HALF_OPEN
            return self._period

    def leave(self, ticket: int, verdict: Verdict | None) -> None:
        """Take note of how a call ended; None: it says nothing about the provider."""
        with self._lock:
            self._note_credentials(verdict)
            if ticket != self._period:
                return  # let in under an earlier state: what it saw is old
            if self._state is BreakerState.HALF_OPEN:
                self._probing = False
                if verdict is Verdict.FAILED:
                    self._open()
                elif verdict is not None:
                    self._move(BreakerState.CLOSED)
            elif verdict is not None:
                self._count(verdict is Verdict.FAILED)

    def _note_credentials(self, verdict: Verdict | None) -> None:
        if verdict is Verdict.SUCCEEDED:
            self._refusals_in_a_row = 0
            self._credentials_proven = True
            if self._state is BreakerState.MISCONFIGURED:  # it was under way when the state began
                self._move(BreakerState.CLOSED)
        elif verdict is Verdict.REFUSED and self._state is not BreakerState.MISCONFIGURED:
            # Vendors also answer 403 where one resource is meant. Were the first one enough after the credentials have
            # worked, one caller's request could stop everybody's for a minute.
            self._refusals_in_a_row += 1
            if self._refusals_in_a_row >= (REFUSALS_IN_A_ROW if self._credentials_proven else 1):
                self._credentials_proven = False
                self._move(BreakerState.MISCONFIGURED, MISCONFIGURED_SECONDS)

    def _count(self, failed: bool) -> None:
        now = self._clock()
        self._calls.append((now, failed))
        self._failures += failed
        while self._calls[0][0] < now - WINDOW_SECONDS:
            self._failures -= self._calls.popleft()[1]
        enough = self._failures >= LEAST_FAILURES and self._failures >= LEAST_FAILURE_SHARE * len(self._calls)
        if failed and enough:
            self._open()

    def _check(self) -> None:
        self._expire()
        if self._state is BreakerState.OPEN:
            rest = self._until - self._clock()
            raise ProviderUnavailable(
                "The video provider failed repeatedly; calls to it are suspended.", retry_after_seconds=rest
            )
        if self._state is BreakerState.HALF_OPEN and self._probing:
            raise ProviderUnavailable(
                "The video provider failed repeatedly; whether it is back is being tried.",
                retry_after_seconds=PROBE_UNDER_WAY_SECONDS,
            )
        if self._state is BreakerState.MISCONFIGURED:
            raise ProviderAuthFailed

    def _expire(self) -> None:
        if self._clock() >= self._until:
            self._move(BreakerState.HALF_OPEN if self._state is BreakerState.OPEN else BreakerState.CLOSED)

    def _open(self) -> None:
        # The spread keeps processes that opened together from probing together.
        spread = random.uniform(1 - OPEN_JITTER, 1 + OPEN_JITTER)  # noqa: S311  # no secret
        self._move(BreakerState.OPEN, OPEN_SECONDS * spread)

    def _move(self, state: BreakerState, seconds: float = math.inf) -> None:
        self._state = state
        self._since = datetime.now(UTC)
        self._until = self._clock() + seconds
        self._period += 1
        self._probing = False
        self._refusals_in_a_row = 0
        self._calls.clear()
        self._failures = 0
