"""The life of an archive: derive its state from the provider's reports, independent of their order.

Webhooks about archives arrive late, twice and out of order, and many vendors send no time with them: the report
``uploaded`` of a short recording can arrive before ``stopped``. So statuses have a rank, and the highest reported rank
is the archive's status::

    unknown 0 < started, paused 1 < stopped 2 < failed 3.0 < available 3.1 < uploaded 3.2 < expired 4
            < deleting 5 (our own intent, see Archive) < deleted 6

The guarantees of :func:`merge`, for any reports in any order:

* The rank never decreases. A report with a lower status changes neither the status nor the reason.
* Status, reason and numbers depend only on the set of reports, not on their order or repetition.
* ``started`` and ``paused`` alternate and have one rank. Between them the later report counts: by the provider's
  ``updated_at``, or by the duration when the provider sends no time.
* The reason belongs to the report that set the status. Numbers only grow: they are 0 until the recording has ended.
* A report with a lower status also fills in a missing name and missing metadata. If two reports have the same metadata
  key, the value from the report that set the status counts. A known name stays, because a caller may have chosen it.
* ``provider_status`` stores an unknown status unchanged; an unknown status does not change the rank.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from videoconf.archives.models import DELETING
from videoconf.providers import ArchiveState, ArchiveStatus

UNKNOWN = "unknown"
"""The provider has reported only statuses that we do not know."""

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
"""Statuses that another status must follow."""

UNSETTLED_CHECK_SECONDS = 3600.0
ROLLED_OVER_CHECK_SECONDS = 600.0

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Known:
    """The merged state of an archive. The default is the state before the first report."""

    status: str = UNKNOWN
    provider_status: str = ""
    provider_updated_at: datetime | None = None
    """The time of the report that set the status."""
    reason: str | None = None
    duration_seconds: int | None = None
    size_bytes: int | None = None
    name: str | None = None
    meta_data: Mapping[str, Any] = field(default_factory=dict)


def merge(known: Known, said: ArchiveState) -> Known:
    """Return the state after one more report."""
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
    """Return the sort key of a report. The last two members only make the order total."""
    # The merged duration is the maximum of all reports. While the archive runs, it belongs to its present status.
    elapsed = (duration_seconds or 0) if status in RUNNING and updated_at is None else 0
    return (RANK[status], updated_at or _LONG_AGO, elapsed, status, reason or "")


def _larger(ours: int | None, theirs: int | None) -> int | None:
    return max((number for number in (ours, theirs) if number is not None), default=None)


def next_check_seconds(status: str, *, is_automatic: bool) -> float | None:
    """Return after how many seconds without a report to ask the provider about an archive; None: never.

    :param is_automatic: the provider records the whole meeting. Then the next archive may start when this one ends,
        because vendors limit the length of an archive, and the webhook of the next archive may be lost.
    """
    if status in UNSETTLED:
        return UNSETTLED_CHECK_SECONDS
    return ROLLED_OVER_CHECK_SECONDS if is_automatic else None
