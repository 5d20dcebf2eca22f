"""The work that is left to jobs: which part of the service does each kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from videoconf.attendance.roster_periods import shortest_period
from videoconf.jobs.kinds import (
    DELETE_PULLED,
    END_SESSION,
    ERASE_ARCHIVE,
    HOLD_BANS,
    PULL_ARCHIVE,
    RECONCILE_MEETING,
    RECORD_MEETING,
    SYNC_STORAGE,
)
from videoconf.jobs.queue import prune_jobs
from videoconf.jobs.work import Work, recurring

if TYPE_CHECKING:
    from videoconf.api.services import Services


def works(parts: Services) -> Iterator[Work]:
    """Declare every kind of work. A part is made when the first job of its kinds runs, if it is not made yet."""
    yield Work(END_SESSION, lambda payload: parts.ending.end_at_provider(payload))
    yield Work(ERASE_ARCHIVE, lambda payload: parts.deletion.erase(payload), erases=True)
    yield Work(PULL_ARCHIVE, lambda payload: parts.pulling.pull(payload), takes_long=True)
    yield Work(DELETE_PULLED, lambda payload: parts.pulling.delete_original(payload), erases=True)
    yield Work(RECONCILE_MEETING, lambda payload: parts.reconciler.reconcile_meeting(payload))
    yield Work(RECORD_MEETING, lambda payload: parts.automatic_archiving.record(payload))
    yield Work(SYNC_STORAGE, lambda payload: parts.target_changes.sync(payload))
    yield Work(HOLD_BANS, lambda payload: parts.bans.hold(payload))
    # Databases have the job's row under this name, which says more than the job does.
    yield recurring("complete_creations", 60, lambda: parts.creation.take_back_abandoned())
    yield recurring("reap_idempotency_keys", 600, lambda: parts.reap_idempotency_keys())
    yield recurring("reconcile_archives", 60, lambda: parts.reconciler.sweep())
    yield recurring("record_meetings", 60, lambda: parts.automatic_archiving.sweep())
    yield recurring("resume_pulls", 900, lambda: parts.pulling.resume())
    yield recurring("expire_archives", 3600, lambda: parts.deletion.expire())
    yield recurring("prune_inbox", 3600, lambda: parts.inbox_retention.run())
    yield recurring("prune_jobs", 3600, prune_jobs)
    yield recurring("prune_door", 3600, lambda: parts.door_retention.run())
    yield recurring("place_connections", 60, lambda: parts.place_connections())
    yield recurring("sweep_bans", 15, lambda: parts.bans.sweep())
    yield recurring("notice_silence", 60, lambda: parts.silence.run())
    yield recurring("prune_events", 3600, lambda: parts.event_retention.run())
    yield recurring("prune_deliveries", 3600, lambda: parts.delivery_retention.run())
    if parts.settings.roster_seconds:
        period = shortest_period(parts.providers, parts.settings)
        yield recurring("reconcile_rosters", period, lambda: parts.rosters.run())
