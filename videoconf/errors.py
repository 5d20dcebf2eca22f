"""Every error that videoconf raises on purpose, each with its stable code and HTTP status.

::

    VideoconfError
    ├── RequestError                    the caller's request, or the state it meets
    │   ├── MalformedRequest        400 malformed_request
    │   ├── IdempotencyKeyInvalid   400 idempotency_key_invalid
    │   ├── CursorInvalid           400 cursor_invalid
    │   ├── Unauthenticated         401 unauthenticated
    │   ├── Forbidden               403 forbidden
    │   │   ├── RoleForbidden       403 role_forbidden
    │   │   ├── AdmissionRefused    403 admission_refused
    │   │   └── AttendeeBanned      403 attendee_banned
    │   ├── NotFound                404 not_found
    │   │   ├── MeetingNotFound     404 meeting_not_found
    │   │   ├── ConnectionNotFound  404 connection_not_found
    │   │   ├── ArchiveNotFound     404 archive_not_found
    │   │   ├── ProviderNotFound    404 provider_not_found
    │   │   ├── JobNotFound         404 job_not_found
    │   │   ├── WebhookEventNotFound   404 webhook_event_not_found
    │   │   ├── StorageTargetNotFound  404 storage_target_not_found
    │   │   ├── InvitationNotFound  404 invitation_not_found
    │   │   ├── TicketNotFound      404 ticket_not_found
    │   │   ├── LobbyEntryNotFound  404 lobby_entry_not_found
    │   │   └── BanNotFound         404 ban_not_found
    │   ├── MethodNotAllowed        405 method_not_allowed
    │   ├── NotAcceptable           406 not_acceptable
    │   ├── Conflict                409 conflict
    │   │   ├── IdempotencyInProgress    409 idempotency_in_progress
    │   │   ├── JobNotDead          409 job_not_dead
    │   │   ├── WebhookEventNotKept 409 webhook_event_not_kept
    │   │   ├── MeetingEnded        409 meeting_ended
    │   │   ├── MeetingNotOpen      409 meeting_not_open
    │   │   ├── ArchiveNoConnections     409 archive_no_connections
    │   │   ├── ArchiveAlreadyRunning    409 archive_already_running
    │   │   ├── ArchiveSessionRelayed    409 archive_session_relayed
    │   │   ├── ArchiveSessionEncrypted  409 archive_session_encrypted
    │   │   ├── ArchiveOnHold            409 archive_on_hold
    │   │   ├── ArchiveNotDeletable      409 archive_not_deletable
    │   │   ├── ArchiveDeleting          409 archive_deleting
    │   │   ├── ArchiveNotDownloadable   409 archive_not_downloadable
    │   │   ├── StorageConflict          409 storage_conflict
    │   │   ├── LobbyFull                409 lobby_full
    │   │   └── LobbyAnswered            409 lobby_answered
    │   ├── PayloadTooLarge         413 payload_too_large
    │   ├── UnsupportedMediaType    415 unsupported_media_type
    │   ├── RateLimited             429 rate_limited
    │   │   └── TooManySlowReads    429 too_many_slow_reads
    │   └── ValidationFailed        422 validation_failed
    │       ├── CapabilityUnsupported  422 capability_unsupported
    │       ├── ReadOnly               422 read_only
    │       ├── FilterCombination      422 filter_combination
    │       ├── IdempotencyKeyReused   422 idempotency_key_reused
    │       └── StorageTargetRejected  422 storage_target_rejected
    ├── ProviderError               502 provider_error
    │   ├── ProviderUnavailable     503 provider_unavailable      not executed
    │   ├── ProviderBusy            503 provider_busy             not executed
    │   ├── ProviderRateLimited     503 provider_rate_limited     not executed
    │   ├── ProviderNotEnabled      503 provider_not_enabled      not executed
    │   ├── ProviderTimeout         504 provider_timeout          outcome unknown
    │   ├── ProviderAuthFailed      502 provider_auth_failed      not executed
    │   ├── ProviderRejected        422 provider_rejected         not executed
    │   ├── ProviderResourceNotFound  404 provider_resource_not_found
    │   ├── ProviderConflict        409 provider_conflict
    │   ├── ProviderBadResponse     502 provider_bad_response     outcome unknown
    │   └── ProviderPluginError     502 provider_plugin_error     outcome unknown
    ├── StorageError                502 storage_error
    │   ├── StoredObjectNotFound    404 stored_object_not_found
    │   ├── StorageContainerNotFound  502 storage_container_not_found
    │   ├── StorageDenied           422 storage_denied
    │   ├── StorageEndpointRefused  422 storage_endpoint_refused
    │   ├── StorageUnavailable      503 storage_unavailable
    │   └── StorageTimeout          504 storage_timeout
    ├── EncryptionNotConfigured     503 encryption_not_configured
    ├── EncryptionKeyUnknown        503 encryption_key_unknown
    ├── WebhookRejected             401 webhook_rejected
    ├── DatabaseUnavailable         503 database_unavailable
    │   ├── DatabaseBusy            503 database_busy
    │   └── DatabaseFull            503 database_full
    ├── SchemaNotReady              503 schema_not_ready
    ├── IssuerUnavailable           503 issuer_unavailable
    └── InternalError               500 internal                  a bug; says nothing else

    ConfigurationError              start-up only; a root of its own, so that no handler of the above swallows it

``code`` is for programs and ``detail`` for people; both go to the caller, so neither ever holds a secret or a
provider's own words. What the provider said goes to :attr:`ProviderError.provider_message`, which is logged only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from inspect import cleandoc
from typing import Any, ClassVar

import click

from videoconf.formats import utc_text


class VideoconfError(Exception):
    """Root of all errors that a caller may be told about.

    :param detail: what happened, for people; safe to show. By default the first paragraph of the class's docstring.
    :param errors: validation messages by JSON path.
    :param extra: further members of the problem document, in its own spelling (camelCase); ``members`` declares them.
    :param retry_after_seconds: when repeating the request may help.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """JSON schemas of the further members that ``extra`` may hold."""
    explanation: ClassVar[str] = title

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.explanation = _first_paragraph(cls.__dict__.get("__doc__")) or cls.title

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        self.detail = detail or self.explanation
        super().__init__(self.detail)
        self.errors = dict(errors or {})
        self.extra = dict(extra or {})
        self.retry_after_seconds = retry_after_seconds


def _first_paragraph(docstring: str | None) -> str:
    """Return a docstring's first paragraph in one line, without its markup."""
    paragraph = cleandoc(docstring or "").partition("\n\n")[0]
    return re.sub(r":\w+:`([^`]*)`", r"\1", " ".join(paragraph.split())).replace("``", "").replace("*", "")


class InternalError(VideoconfError):
    """A bug of ours. The answer carries a request id and nothing else; the log has the rest."""

    code = "internal"
    status = 500
    title = "Internal error"


# --- the caller's request ---------------------------------------------------------------------------------------


class RequestError(VideoconfError):
    """The request cannot be carried out as it stands; repeating it unchanged will not help."""

    code = "bad_request"
    status = 400
    title = "The request cannot be carried out"


class MalformedRequest(RequestError):
    """The request cannot be parsed: broken JSON, a NUL, a duplicate key, too deep."""

    code = "malformed_request"
    title = "The request cannot be parsed"


class IdempotencyKeyInvalid(RequestError):
    """The ``Idempotency-Key`` is not 1 to 255 visible ASCII characters without a comma."""

    code = "idempotency_key_invalid"
    title = "The Idempotency-Key is not valid"


class CursorInvalid(RequestError):
    """The ``cursor`` is damaged, or comes from a list with another path, filter, order or tenant."""

    code = "cursor_invalid"
    title = "The cursor does not belong to this list"


class Unauthenticated(RequestError):
    """No bearer token, or one that does not verify."""

    code = "unauthenticated"
    status = 401
    title = "A valid bearer token is needed"


class Forbidden(RequestError):
    """The token is valid and lacks the operation's permission."""

    code = "forbidden"
    status = 403
    title = "The token lacks the permission for this operation"


class RoleForbidden(Forbidden):
    """The caller's token names the meeting roles that it may give, and this is not one of them."""

    code = "role_forbidden"
    title = "The token may not give this meeting role"


class AdmissionRefused(Forbidden):
    """A moderator refused to admit the person. The ticket stays refused."""

    code = "admission_refused"
    title = "A moderator refused the admission"


class AttendeeBanned(Forbidden):
    """The attendee is banned from this meeting, until a moderator lifts the ban."""

    code = "attendee_banned"
    title = "The attendee is banned from this meeting"


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


class MethodNotAllowed(RequestError):
    """The path exists and does not take this method; ``Allow`` names those it takes."""

    code = "method_not_allowed"
    status = 405
    title = "Method not allowed"


class NotAcceptable(RequestError):
    """The operation can produce none of the media types that ``Accept`` asks for."""

    code = "not_acceptable"
    status = 406
    title = "None of the accepted media types can be produced"


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
    """As many people wait at the invitation as may; asking again helps once a moderator has admitted some."""

    code = "lobby_full"
    title = "Too many people wait at this invitation"


class LobbyAnswered(Conflict):
    """A moderator has already answered the person otherwise."""

    code = "lobby_answered"
    title = "The person was answered otherwise"


class PayloadTooLarge(RequestError):
    """The body is over the operation's limit."""

    code = "payload_too_large"
    status = 413
    title = "The body is too large"


class UnsupportedMediaType(RequestError):
    """The body's ``Content-Type`` is not the operation's."""

    code = "unsupported_media_type"
    status = 415
    title = "The body's media type is not supported"


class ValidationFailed(RequestError):
    """The request parses and is wrong; ``errors`` names each place.

    :param detail: the first of ``errors`` when absent.
    """

    code = "validation_failed"
    status = 422
    title = "The request is not valid"

    def __init__(self, detail: str | None = None, *, errors: Mapping[str, Any] | None = None, **others: Any) -> None:
        every = (f"{path}: {message}" for path, messages in (errors or {}).items() for message in messages)
        super().__init__(detail or next(every, None), errors=errors, **others)


class CapabilityUnsupported(ValidationFailed):
    """The meeting's provider lacks what was asked for. Raised before any side effect."""

    code = "capability_unsupported"
    title = "The provider does not support this"


class ReadOnly(ValidationFailed):
    """A property that only the service sets was sent with another value than it has; ``errors`` names it."""

    code = "read_only"
    title = "The property cannot be changed"


class FilterCombination(ValidationFailed):
    """The list cannot be filtered and sorted in this combination; ``detail`` names those that work."""

    code = "filter_combination"
    title = "These filters do not go together"


class StorageTargetRejected(ValidationFailed):
    """The storage target does not work with what was sent, or the provider does not take it; ``reason`` says why.

    The target that was in force stays so.
    """

    code = "storage_target_rejected"
    title = "The storage target cannot be used"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "reason": {
            "type": "string",
            "description": "The code of the error that the storage or the provider answered with.",
            "example": "storage_denied",
        }
    }


class IdempotencyKeyReused(ValidationFailed):
    """The ``Idempotency-Key`` was sent with another request before."""

    code = "idempotency_key_reused"
    title = "The Idempotency-Key stands for another request"


class RateLimited(RequestError):
    """The caller's tenant, or its address, makes more requests than it may."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"


class TooManySlowReads(RateLimited):
    """The caller's tenant has as many reads under way that take long as it may; the next one waits for them."""

    code = "too_many_slow_reads"
    title = "Too many slow reads of this tenant are under way"


# --- the provider -----------------------------------------------------------------------------------------------


class ProviderError(VideoconfError):
    """A provider call failed.

    :param provider_status: the provider's HTTP status, where there was one.
    :param provider_code: the provider's own error code.
    :param provider_message: the provider's own words, redacted; for the log, never for the caller.

    ``outcome_unknown`` tells whether the call may have been executed anyway: then a create is resumed rather
    than repeated, and no other provider is tried. ``retryable`` tells whether repeating the call later may help.
    """

    code = "provider_error"
    status = 502
    title = "The video provider failed"
    outcome_unknown: ClassVar[bool] = False
    retryable: ClassVar[bool] = True

    def __init__(
        self,
        detail: str | None = None,
        *,
        provider_status: int | None = None,
        provider_code: str | None = None,
        provider_message: str | None = None,
        retry_after_seconds: float | None = None,
        errors: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail, errors=errors, retry_after_seconds=retry_after_seconds)
        self.provider_status = provider_status
        self.provider_code = provider_code
        self.provider_message = provider_message


class ProviderUnavailable(ProviderError):
    """The provider cannot be reached, or the breaker is open; nothing was executed."""

    code = "provider_unavailable"
    status = 503
    title = "The video provider cannot be reached"


class ProviderBusy(ProviderError):
    """Too many provider calls are under way in this process; nothing was executed."""

    code = "provider_busy"
    status = 503
    title = "Too many calls to the video provider are under way"


class ProviderRateLimited(ProviderError):
    """The provider limits *our* rate; nothing was executed. Not 429: the caller's own quota is not the matter."""

    code = "provider_rate_limited"
    status = 503
    title = "The video provider limits our rate"


class ProviderNotEnabled(ProviderError):
    """The meeting's provider is enabled no more; nothing was executed. An operator has to enable it again."""

    code = "provider_not_enabled"
    status = 503
    title = "The meeting's video provider is not enabled"


class ProviderTimeout(ProviderError):
    """No whole answer before the deadline, or a reset after sending: it may have been executed."""

    code = "provider_timeout"
    status = 504
    title = "The video provider did not answer in time"
    outcome_unknown = True


class ProviderAuthFailed(ProviderError):
    """The provider refuses *our* credentials. Never a 401 or 403 to our caller."""

    code = "provider_auth_failed"
    title = "The video provider refuses this service's credentials"
    retryable = False


class ProviderRejected(ProviderError):
    """The provider refuses what the caller asked for."""

    code = "provider_rejected"
    status = 422
    title = "The video provider refuses this input"
    retryable = False


class ProviderResourceNotFound(ProviderError):
    """The provider does not know the session, connection or archive. Ending and deleting take it for success."""

    code = "provider_resource_not_found"
    status = 404
    title = "The video provider does not know this resource"
    retryable = False


class ProviderConflict(ProviderError):
    """The state at the provider forbids it: already recording, or without a connection."""

    code = "provider_conflict"
    status = 409
    title = "The state at the video provider forbids this"
    retryable = False


class ProviderBadResponse(ProviderError):
    """The answer is unreadable, of the wrong shape, too large or a redirect: it may have been executed."""

    code = "provider_bad_response"
    title = "The video provider gave an unusable answer"
    outcome_unknown = True


class ProviderPluginError(ProviderError):
    """The plugin raised something outside this taxonomy: a bug of the plugin; it may have been executed."""

    code = "provider_plugin_error"
    title = "The video provider's plugin failed"
    outcome_unknown = True
    retryable = False


# --- storage targets --------------------------------------------------------------------------------------------


class StorageError(VideoconfError):
    """A call to a storage target failed."""

    code = "storage_error"
    status = 502
    title = "The storage target failed"


class StoredObjectNotFound(StorageError):
    """The target holds no object of this key."""

    code = "stored_object_not_found"
    status = 404
    title = "No such stored object"


class StorageContainerNotFound(StorageError):
    """The bucket, container or account of the target does not exist."""

    code = "storage_container_not_found"
    title = "The storage target's bucket or container does not exist"


class StorageDenied(StorageError):
    """The target refuses the credentials, or they may not do this."""

    code = "storage_denied"
    status = 422
    title = "The storage target refuses the credentials"


class StorageEndpointRefused(StorageError):
    """The storage host is not allowed, or is not a public address."""

    code = "storage_endpoint_refused"
    status = 422
    title = "This service does not connect to the storage target's host"


class StorageUnavailable(StorageError):
    """The target cannot be reached; nothing was done."""

    code = "storage_unavailable"
    status = 503
    title = "The storage target cannot be reached"


class StorageTimeout(StorageError):
    """The target did not answer in time: it may have been done."""

    code = "storage_timeout"
    status = 504
    title = "The storage target did not answer in time"


class EncryptionNotConfigured(VideoconfError):
    """The service has no key to encrypt credentials with, so it takes none. An operator has to set one."""

    code = "encryption_not_configured"
    status = 503
    title = "The service has no encryption key to store credentials with"


class EncryptionKeyUnknown(VideoconfError):
    """The service lacks the key that stored credentials were encrypted with. Nothing is overwritten."""

    code = "encryption_key_unknown"
    status = 503
    title = "The service lacks the key to stored credentials"


# --- webhooks and our own database ------------------------------------------------------------------------------


class WebhookRejected(VideoconfError):
    """A webhook whose origin is not proven. One code and one wording for every cause: a forger learns nothing.

    ``detail`` of the instance is for the log; the caller gets the title.
    """

    code = "webhook_rejected"
    status = 401
    title = "The webhook's signature is not valid"


class IssuerUnavailable(VideoconfError):
    """The identity provider's keys cannot be fetched and never were: no token can be judged."""

    code = "issuer_unavailable"
    status = 503
    title = "The identity provider cannot be reached"


class DatabaseUnavailable(VideoconfError):
    """The database cannot be reached, or the connection broke: a write may or may not have been committed."""

    code = "database_unavailable"
    status = 503
    title = "The database cannot be reached"


class DatabaseBusy(DatabaseUnavailable):
    """A lock, a pool or the database's connections are taken; nothing was committed."""

    code = "database_busy"
    title = "The database is busy"


class DatabaseFull(DatabaseUnavailable):
    """The database has no room left or takes no writes; nothing was committed."""

    code = "database_full"
    title = "The database takes no writes"


class SchemaNotReady(VideoconfError):
    """The database lacks tables or columns of this release; nothing was committed. An operator has to migrate it."""

    code = "schema_not_ready"
    status = 503
    title = "The database's schema is older than this release"


# --- start-up ---------------------------------------------------------------------------------------------------


class ConfigurationError(click.ClickException):
    """What is configured cannot work. Raised at start-up with every fault at once, each with its remedy.

    Deliberately not a :class:`VideoconfError`: nothing that answers requests may catch it. Any command that meets it,
    one of Flask's too, prints it without a trace and exits with a code that tells supervisors not to try again.
    """

    exit_code = 3

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(["videoconf cannot start:", *(f"  * {fault}" for fault in self.faults)]))
