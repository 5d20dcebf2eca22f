"""Errors of a resource whose state forbids the operation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from videoconf.errors.request import RequestError
from videoconf.formats import utc_text


class Conflict(RequestError):
    """The state of the resource forbids the operation."""

    code = "conflict"
    status = 409
    title = "The state of the resource forbids this"


class IdempotencyInProgress(Conflict):
    """The first request with this ``Idempotency-Key`` is still at work; its answer can be had a moment later."""

    code = "idempotency_in_progress"
    title = "A request with this Idempotency-Key is at work"


class JobNotDead(Conflict):
    """The job did not give up: it waits, runs or is done, so there is nothing to retry."""

    code = "job_not_dead"
    title = "The job did not give up"


class WebhookEventNotKept(Conflict):
    """The event's raw body was deleted with age, or because a person was erased, so it cannot be processed again."""

    code = "webhook_event_not_kept"
    title = "The webhook's body was deleted"


class MeetingEnded(Conflict):
    """The meeting has ended: no token, no edit, no second end."""

    code = "meeting_ended"
    title = "The meeting has ended"

    @classmethod
    def at(cls, end_time: datetime | None) -> MeetingEnded:
        """Make the error of a meeting that ended then."""
        return cls(f"The meeting ended at {utc_text(end_time)}." if end_time is not None else None)


class MeetingNotOpen(Conflict):
    """The meeting is scheduled and its doors are not open yet; ``opensOn`` says when they will be."""

    code = "meeting_not_open"
    title = "The meeting is not open yet"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "opensOn": {
            "type": "string",
            "format": "date-time",
            "description": "When the doors open.",
            "example": "2030-01-31T09:20:00Z",
        }
    }


class ArchiveNoConnections(Conflict):
    """The meeting has no connection, so there is nothing to record."""

    code = "archive_no_connections"
    title = "The meeting has no connection"


class ArchiveAlreadyRunning(Conflict):
    """The meeting is being recorded already."""

    code = "archive_already_running"
    title = "The meeting is being recorded already"


class ArchiveSessionRelayed(Conflict):
    """Media of the meeting go from client to client, past the provider, which cannot record them."""

    code = "archive_session_relayed"
    title = "The meeting's media do not pass through the provider"


class ArchiveSessionEncrypted(Conflict):
    """Media of the meeting are encrypted end to end: the provider cannot record them."""

    code = "archive_session_encrypted"
    title = "The meeting is encrypted end to end"


class ArchiveOnHold(Conflict):
    """The archive has a legal hold. It is not deleted before the hold is taken off."""

    code = "archive_on_hold"
    title = "The archive has a legal hold"


class ArchiveNotDeletable(Conflict):
    """The provider does not delete the archive yet: it is still being recorded or made."""

    code = "archive_not_deletable"
    title = "The archive cannot be deleted yet"


class ArchiveDeleting(Conflict):
    """The archive is being deleted; it is too late for anything else."""

    code = "archive_deleting"
    title = "The archive is being deleted"


class ArchiveNotDownloadable(Conflict):
    """The archive has no copy to read: it is not ready yet, it failed, or it has expired."""

    code = "archive_not_downloadable"
    title = "The archive cannot be downloaded"


class StorageConflict(Conflict):
    """The storage target is not the caller's to change, or another change of it is under way."""

    code = "storage_conflict"
    title = "The storage target cannot be changed now or by this tenant"


class LobbyFull(Conflict):
    """As many people wait at the invitation, or have asked within the hour, as may; asking again helps later."""

    code = "lobby_full"
    title = "Too many people wait at this invitation"


class LobbyAnswered(Conflict):
    """A moderator has already answered the person otherwise."""

    code = "lobby_answered"
    title = "The person was answered otherwise"
