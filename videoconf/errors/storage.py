"""Errors of storage targets, and of the keys that encrypt their credentials."""

from __future__ import annotations

from videoconf.errors.base import VideoconfError


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


class StorageHostUnknown(StorageError):
    """No server has the name of the target's host: a region, an endpoint or an account is mistyped."""

    code = "storage_host_unknown"
    status = 503
    title = "The storage target's host does not exist"


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
