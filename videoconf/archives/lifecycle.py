"""The life of an archive: what follows from all that a provider has said of it, in whatever order it was said.

Webhooks about archives come late, twice and out of order, and with many vendors they carry no time: a short recording
is ``uploaded`` before it is ``stopped``. So statuses have a rank, and the highest that was ever said holds::

    unknown 0 < started, paused 1 < stopped 2 < failed 3.0 < available 3.1 < uploaded 3.2 < expired 4
            < deleting 5 (our own intent, see Archive) < deleted 6

What holds of :func:`merge`, for any statements in any order:

* The rank never decreases; a status that is lower changes no status and no reason.
* Status, reason and numbers depend on the set of statements alone, not on their order or repetition.
* ``started`` and ``paused`` alternate, so within their rank the later one counts: by the provider's ``updated_at``, or
  where it gives none by the duration.
* The reason is that of the status. Numbers only grow: they are 0 until the recording is done.
* Name and metadata are filled where they are missing, by a lower status too. Of two values of one metadata key that of
  the status in force counts. A name that is known stays: it may be one that a caller gave.
* A status that we do not know is kept word for word in ``provider_status``, and moves nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from videoconf.providers import ArchiveState, ArchiveStatus

UNKNOWN = "unknown"
"""Nothing was said but statuses that we do not know."""
DELETING = "deleting"
"""A caller requested its deletion, and a copy may still exist."""

RANK: Mapping[str, float] = {
    UNKNOWN: 0,
    ArchiveStatus.STARTED: 1,
    ArchiveStatus.PAUSED: 1,
    ArchiveStatus.STOPPED: 2,
    ArchiveStatus.FAILED: 3.0,
    ArchiveStatus.AVAILABLE: 3.1,
    ArchiveStatus.UPLOADED: 3.2,
    ArchiveStatus.EXPIRED: 4,
    DELETING: 5,
    ArchiveStatus.DELETED: 6,
}

RUNNING = (ArchiveStatus.STARTED, ArchiveStatus.PAUSED)
UNSETTLED = (UNKNOWN, *RUNNING, ArchiveStatus.STOPPED)
"""Another status has to follow."""

UNSETTLED_CHECK_SECONDS = 3600.0
ROLLED_OVER_CHECK_SECONDS = 600.0

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Known:
    """What is known of an archive. The default is what is known before anything was said."""

    status: str = UNKNOWN
    provider_status: str = ""
    provider_updated_at: datetime | None = None
    """The time of the statement that gave the status."""
    reason: str | None = None
    duration_seconds: int | None = None
    size_bytes: int | None = None
    name: str | None = None
    meta_data: Mapping[str, Any] = field(default_factory=dict)


def merge(known: Known, said: ArchiveState) -> Known:
    """Return what is known after one more statement."""
    gains: dict[str, Any] = {
        "duration_seconds": _larger(known.duration_seconds, said.duration_seconds),
        "size_bytes": _larger(known.size_bytes, said.size_bytes),
        "name": known.name or said.name,
    }
    if said.status is None:
        later = said.updated_at is None or said.updated_at >= (known.provider_updated_at or _LONG_AGO)
        word = said.provider_status if later else known.provider_status
        return dataclasses.replace(known, **gains, provider_status=word, meta_data={**said.metadata, **known.meta_data})
    ours = _order(known.status, known.provider_updated_at, known.duration_seconds, known.reason)
    theirs = _order(said.status, said.updated_at, said.duration_seconds, said.reason)
    if theirs < ours:
        return dataclasses.replace(known, **gains, meta_data={**said.metadata, **known.meta_data})
    return dataclasses.replace(
        known,
        **gains,
        status=str(said.status),
        provider_status=said.provider_status,
        provider_updated_at=said.updated_at,
        reason=said.reason,
        meta_data={**known.meta_data, **said.metadata},
    )


def _order(status: str, updated_at: datetime | None, duration_seconds: int | None, reason: str | None) -> Any:
    """Place a statement among all others. The last two members only see to it that no two different ones are equal."""
    # The known duration is the largest of all, so it is that of the known status only where nothing else was said.
    elapsed = (duration_seconds or 0) if status in RUNNING and updated_at is None else 0
    return (RANK[status], updated_at or _LONG_AGO, elapsed, status, reason or "")


def _larger(ours: int | None, theirs: int | None) -> int | None:
    return max((number for number in (ours, theirs) if number is not None), default=None)


def next_check_seconds(status: str, *, is_automatic: bool) -> float | None:
    """Return after how long the provider is to be asked about an archive that says nothing more; None: never.

    :param is_automatic: the meeting is recorded all the time. Then the end of one archive may be the start of the next
        (vendors limit an archive's length), and the webhook of that one may be lost.
    """
    if status in UNSETTLED:
        return UNSETTLED_CHECK_SECONDS
    return ROLLED_OVER_CHECK_SECONDS if is_automatic else None
