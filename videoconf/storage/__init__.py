"""What a storage target is. A plugin imports what it needs from here."""

from videoconf.storage.base import CONTRACT_VERSION, StorageTarget
from videoconf.storage.types import SignedUrl, StoredObject

__all__ = ["CONTRACT_VERSION", "SignedUrl", "StorageTarget", "StoredObject"]
