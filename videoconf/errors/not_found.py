"""Errors of a resource that does not exist, or that belongs to another tenant."""

from __future__ import annotations

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
