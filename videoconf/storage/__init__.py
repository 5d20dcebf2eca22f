"""What a storage target is. A plugin imports what it needs from here."""

from videoconf.storage.base import CONTRACT_VERSION, StorageContext, StorageTarget, checked_key
from videoconf.storage.deadline import storage_deadline, storage_seconds_left
from videoconf.storage.guard import EndpointGuard
from videoconf.storage.pool import ca_file, guarded_pool
from videoconf.storage.port import StoragePort
from videoconf.storage.streams import ReadOnce, RemoteBody
from videoconf.storage.types import SignedUrl, StoredObject
from videoconf.storage.wire import refuse_entities

__all__ = [
    "CONTRACT_VERSION",
    "EndpointGuard",
    "ReadOnce",
    "RemoteBody",
    "SignedUrl",
    "StorageContext",
    "StoragePort",
    "StorageTarget",
    "StoredObject",
    "ca_file",
    "checked_key",
    "guarded_pool",
    "refuse_entities",
    "storage_deadline",
    "storage_seconds_left",
]
