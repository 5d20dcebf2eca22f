"""What a storage target is. A plugin imports what it needs from here."""

from videoconf.storage.base import CONTRACT_VERSION as CONTRACT_VERSION
from videoconf.storage.base import StorageContext as StorageContext
from videoconf.storage.base import StorageTarget as StorageTarget
from videoconf.storage.base import checked_key as checked_key
from videoconf.storage.deadline import storage_deadline as storage_deadline
from videoconf.storage.deadline import storage_seconds_left as storage_seconds_left
from videoconf.storage.guard import EndpointGuard as EndpointGuard
from videoconf.storage.pool import ca_file as ca_file
from videoconf.storage.pool import guarded_pool as guarded_pool
from videoconf.storage.port import StoragePort as StoragePort
from videoconf.storage.streams import ReadOnce as ReadOnce
from videoconf.storage.streams import RemoteBody as RemoteBody
from videoconf.storage.types import SignedUrl as SignedUrl
from videoconf.storage.types import StoredObject as StoredObject
from videoconf.storage.wire import refuse_entities as refuse_entities
