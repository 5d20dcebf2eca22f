"""What jobs are: the kinds of work that are declared, a job under a lease, and the queue at one moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LEASE_SECONDS = 60.0
GIVE_UP_SECONDS = 3 * 86_400.0
"""How long a job is repeated at least: over a weekend on which a provider is away."""


class Lane(StrEnum):
    """Kinds of jobs that have threads of their own, so that they keep no other kinds waiting."""

    ORDINARY = "ordinary"
    LONG = "long"
    """Kinds that take long, such as copying an archive."""
    ERASURES = "erasures"
    """Deletions, each of which waits for a provider and for a storage target."""


Handler = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Work:
    """One kind of job: what the rows of this kind ask for."""

    kind: str
    handler: Handler
    """Called with the row's payload, outside any transaction. Must be idempotent."""
    every_seconds: float | None = None
    """For recurring work, which one worker of all nodes runs: the time from a success to the next run, and from the
    first start to the first run. A run that fails is repeated with back-off for ever, and stays visible as
    ``last_error``. A run should end within :data:`LEASE_SECONDS`, since another worker may start the next one then: a
    handler takes a bounded batch and leaves the rest to the next run."""
    takes_long: bool = False
    """Whether a run may take longer than a lease, which is then renewed for as long as the process lives. Each wait of
    the handler must be bounded, because no other worker takes over from a handler that hangs."""
    erases: bool = False
    """Whether a run deletes elsewhere, and so may wait for a target that stalls."""

    @property
    def lane(self) -> Lane:
        """Which threads run it."""
        return Lane.LONG if self.takes_long else Lane.ERASURES if self.erases else Lane.ORDINARY


def recurring(kind: str, every_seconds: float, run: Callable[[], None]) -> Work:
    """Declare work that recurs and needs no payload."""
    return Work(kind, lambda payload: run(), every_seconds)


Around = Callable[[str, int, int, Callable[[], Exception | None]], Exception | None]
"""Calls its last argument and returns what that returns: the error that a job ended with. Told before: its kind, its id
and which attempt it is."""


@dataclass(frozen=True)
class ClaimedJob:
    """A job under a lease; only its owner may finish it."""

    id: int
    kind: str
    payload: Mapping[str, Any]
    attempts: int
    owner: str
    recurs: bool = False
    is_old: bool = False
    """It has been there for :data:`GIVE_UP_SECONDS`."""
    last_error: str | None = None


@dataclass(frozen=True)
class Measured:
    """The queue at one moment."""

    by_state: Mapping[str, int]
    lag_seconds: float
