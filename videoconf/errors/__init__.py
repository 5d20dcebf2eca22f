"""Every error that videoconf raises on purpose, each with its stable code and HTTP status.

A family of errors has a module of its own; all are imported from here.

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
    │   │   ├── EventSubscriptionNotFound  404 event_subscription_not_found
    │   │   ├── EventDeliveryNotFound  404 event_delivery_not_found
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
    │   │   ├── EventNotKept        409 event_not_kept
    │   │   ├── EventSubscriptionDisabled  409 event_subscription_disabled
    │   │   ├── EventSubscriptionLimit     409 event_subscription_limit
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
    │   ├── EventCursorExpired      410 cursor_expired
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
    │   ├── StorageHostUnknown      503 storage_host_unknown
    │   ├── StorageUnavailable      503 storage_unavailable
    │   └── StorageTimeout          504 storage_timeout
    ├── EncryptionNotConfigured     503 encryption_not_configured
    ├── EncryptionKeyUnknown        503 encryption_key_unknown
    ├── WebhookRejected             401 webhook_rejected
    ├── TooManyWaiters              503 too_many_waiters
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

from videoconf.errors.base import InternalError as InternalError
from videoconf.errors.base import VideoconfError as VideoconfError
from videoconf.errors.conflict import ArchiveAlreadyRunning as ArchiveAlreadyRunning
from videoconf.errors.conflict import ArchiveDeleting as ArchiveDeleting
from videoconf.errors.conflict import ArchiveNoConnections as ArchiveNoConnections
from videoconf.errors.conflict import ArchiveNotDeletable as ArchiveNotDeletable
from videoconf.errors.conflict import ArchiveNotDownloadable as ArchiveNotDownloadable
from videoconf.errors.conflict import ArchiveOnHold as ArchiveOnHold
from videoconf.errors.conflict import ArchiveSessionEncrypted as ArchiveSessionEncrypted
from videoconf.errors.conflict import ArchiveSessionRelayed as ArchiveSessionRelayed
from videoconf.errors.conflict import Conflict as Conflict
from videoconf.errors.conflict import IdempotencyInProgress as IdempotencyInProgress
from videoconf.errors.conflict import JobNotDead as JobNotDead
from videoconf.errors.conflict import LobbyAnswered as LobbyAnswered
from videoconf.errors.conflict import LobbyFull as LobbyFull
from videoconf.errors.conflict import MeetingEnded as MeetingEnded
from videoconf.errors.conflict import MeetingNotOpen as MeetingNotOpen
from videoconf.errors.conflict import StorageConflict as StorageConflict
from videoconf.errors.conflict import WebhookEventNotKept as WebhookEventNotKept
from videoconf.errors.events import EventCursorExpired as EventCursorExpired
from videoconf.errors.events import EventDeliveryNotFound as EventDeliveryNotFound
from videoconf.errors.events import EventNotKept as EventNotKept
from videoconf.errors.events import EventSubscriptionDisabled as EventSubscriptionDisabled
from videoconf.errors.events import EventSubscriptionLimit as EventSubscriptionLimit
from videoconf.errors.events import EventSubscriptionNotFound as EventSubscriptionNotFound
from videoconf.errors.events import TooManyWaiters as TooManyWaiters
from videoconf.errors.invalid import CapabilityUnsupported as CapabilityUnsupported
from videoconf.errors.invalid import FilterCombination as FilterCombination
from videoconf.errors.invalid import IdempotencyKeyReused as IdempotencyKeyReused
from videoconf.errors.invalid import ReadOnly as ReadOnly
from videoconf.errors.invalid import StorageTargetRejected as StorageTargetRejected
from videoconf.errors.invalid import ValidationFailed as ValidationFailed
from videoconf.errors.not_found import ArchiveNotFound as ArchiveNotFound
from videoconf.errors.not_found import BanNotFound as BanNotFound
from videoconf.errors.not_found import ConnectionNotFound as ConnectionNotFound
from videoconf.errors.not_found import InvitationNotFound as InvitationNotFound
from videoconf.errors.not_found import JobNotFound as JobNotFound
from videoconf.errors.not_found import LobbyEntryNotFound as LobbyEntryNotFound
from videoconf.errors.not_found import MeetingNotFound as MeetingNotFound
from videoconf.errors.not_found import NotFound as NotFound
from videoconf.errors.not_found import ProviderNotFound as ProviderNotFound
from videoconf.errors.not_found import StorageTargetNotFound as StorageTargetNotFound
from videoconf.errors.not_found import TicketNotFound as TicketNotFound
from videoconf.errors.not_found import WebhookEventNotFound as WebhookEventNotFound
from videoconf.errors.provider import ProviderAuthFailed as ProviderAuthFailed
from videoconf.errors.provider import ProviderBadResponse as ProviderBadResponse
from videoconf.errors.provider import ProviderBusy as ProviderBusy
from videoconf.errors.provider import ProviderConflict as ProviderConflict
from videoconf.errors.provider import ProviderError as ProviderError
from videoconf.errors.provider import ProviderNotEnabled as ProviderNotEnabled
from videoconf.errors.provider import ProviderPluginError as ProviderPluginError
from videoconf.errors.provider import ProviderRateLimited as ProviderRateLimited
from videoconf.errors.provider import ProviderRejected as ProviderRejected
from videoconf.errors.provider import ProviderResourceNotFound as ProviderResourceNotFound
from videoconf.errors.provider import ProviderTimeout as ProviderTimeout
from videoconf.errors.provider import ProviderUnavailable as ProviderUnavailable
from videoconf.errors.request import AdmissionRefused as AdmissionRefused
from videoconf.errors.request import AttendeeBanned as AttendeeBanned
from videoconf.errors.request import CursorInvalid as CursorInvalid
from videoconf.errors.request import Forbidden as Forbidden
from videoconf.errors.request import IdempotencyKeyInvalid as IdempotencyKeyInvalid
from videoconf.errors.request import MalformedRequest as MalformedRequest
from videoconf.errors.request import MethodNotAllowed as MethodNotAllowed
from videoconf.errors.request import NotAcceptable as NotAcceptable
from videoconf.errors.request import PayloadTooLarge as PayloadTooLarge
from videoconf.errors.request import RateLimited as RateLimited
from videoconf.errors.request import RequestError as RequestError
from videoconf.errors.request import RoleForbidden as RoleForbidden
from videoconf.errors.request import TooManySlowReads as TooManySlowReads
from videoconf.errors.request import Unauthenticated as Unauthenticated
from videoconf.errors.request import UnsupportedMediaType as UnsupportedMediaType
from videoconf.errors.service import DatabaseBusy as DatabaseBusy
from videoconf.errors.service import DatabaseFull as DatabaseFull
from videoconf.errors.service import DatabaseUnavailable as DatabaseUnavailable
from videoconf.errors.service import IssuerUnavailable as IssuerUnavailable
from videoconf.errors.service import SchemaNotReady as SchemaNotReady
from videoconf.errors.service import WebhookRejected as WebhookRejected
from videoconf.errors.startup import ConfigurationError as ConfigurationError
from videoconf.errors.storage import EncryptionKeyUnknown as EncryptionKeyUnknown
from videoconf.errors.storage import EncryptionNotConfigured as EncryptionNotConfigured
from videoconf.errors.storage import StorageContainerNotFound as StorageContainerNotFound
from videoconf.errors.storage import StorageDenied as StorageDenied
from videoconf.errors.storage import StorageEndpointRefused as StorageEndpointRefused
from videoconf.errors.storage import StorageError as StorageError
from videoconf.errors.storage import StorageHostUnknown as StorageHostUnknown
from videoconf.errors.storage import StorageTimeout as StorageTimeout
from videoconf.errors.storage import StorageUnavailable as StorageUnavailable
from videoconf.errors.storage import StoredObjectNotFound as StoredObjectNotFound
