"""Errors of a resource that does not exist, or that belongs to another tenant."""

from __future__ import annotations

from typing import Any

from videoconf.errors.request import RequestError


class NotFound(RequestError):
    """No such route or resource, or another tenant's: the two look the same on purpose."""

    code = "not_found"
    status = 404
    title = "Not found"


class MeetingNotFound(NotFound):
    """No meeting of the caller's tenant has this link id."""

    code = "meeting_not_found"
    title = "No such meeting"


class ConnectionNotFound(NotFound):
    """The meeting never had a connection with this id."""

    code = "connection_not_found"
    title = "No such connection"


class ArchiveNotFound(NotFound):
    """No archive of the caller's tenant has this id, or it is deleted."""

    code = "archive_not_found"
    title = "No such archive"


class ProviderNotFound(NotFound):
    """No enabled provider has this key."""

    code = "provider_not_found"
    title = "No such provider"


class JobNotFound(NotFound):
    """No job has this id; jobs that were done are deleted after a week."""

    code = "job_not_found"
    title = "No such job"


class WebhookEventNotFound(NotFound):
    """No stored webhook event has this id."""

    code = "webhook_event_not_found"
    title = "No such webhook event"


class StorageTargetNotFound(NotFound):
    """The caller's tenant has no storage target: archives stay with the provider."""

    code = "storage_target_not_found"
    title = "No storage target is set"


class InvitationNotFound(NotFound):
    """The invitation does not exist, is revoked, or admits no further person: the three look the same on purpose.

    :param is_known: whether a known code was presented. Such an answer does not count as guessing.
    """

    code = "invitation_not_found"
    title = "No such invitation"

    def __init__(self, detail: str | None = None, *, is_known: bool = False, **others: Any) -> None:
        super().__init__(detail, **others)
        self.is_known = is_known


class TicketNotFound(NotFound):
    """The ticket does not exist, was not polled for a minute, or its invitation has ended."""

    code = "ticket_not_found"
    title = "No such ticket"


class LobbyEntryNotFound(NotFound):
    """The meeting's lobby has no person with this id. A person who stops polling is gone after 60 s."""

    code = "lobby_entry_not_found"
    title = "No such person in the lobby"


class BanNotFound(NotFound):
    """The meeting has no such ban, or it was lifted."""

    code = "ban_not_found"
    title = "No such ban"
