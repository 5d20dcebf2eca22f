"""What a storage target is: where archives go. A bucket or a container of the operator's, behind six methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, BinaryIO, ClassVar

from marshmallow import Schema

from videoconf.storage.types import SignedUrl, StoredObject

CONTRACT_VERSION = 1
"""Version of this interface. It grows when an implementation of an older version would no longer work."""


class StorageTarget(ABC):
    """A kind of storage; an instance is one configured target. Shared by threads.

    Keys are relative to the target, of ``[A-Za-z0-9_./-]``, never absolute and without ``..``. Errors are those of
    :mod:`videoconf.errors`: a missing key is :class:`~videoconf.errors.StoredObjectNotFound` everywhere.

    :param configuration: as :attr:`configuration_schema` loaded it; holds credentials in clear.
    """

    contract_version: ClassVar[int] = CONTRACT_VERSION
    key: ClassVar[str]
    """Names the kind in rows and settings: ``s3``, ``azure``."""
    wire_name: ClassVar[str]
    """Names the kind in ``PUT /archives/storage-target``: ``AWSS3``, ``AZURE``."""
    label: ClassVar[str]
    configuration_schema: ClassVar[type[Schema]]
    """Validates the body of ``PUT /archives/storage-target`` without its ``name``."""
    secret_fields: ClassVar[frozenset[str]]
    """Fields of the configuration that are never shown."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.configuration = configuration

    @abstractmethod
    def put(self, key: str, stream: BinaryIO, *, content_type: str | None = None) -> StoredObject:
        """Store a stream of unknown length under a key, replacing what was there. Memory use is bounded.

        An interrupted put leaves neither an object nor an unfinished upload.
        """

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """Read an object as a stream; the caller closes it."""

    @abstractmethod
    def stat(self, key: str) -> StoredObject:
        """Describe an object without reading it."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete an object. Idempotent; one that is gone is success."""

    @abstractmethod
    def signed_url(self, key: str, *, expires_in_seconds: int) -> SignedUrl:
        """Make a URL that reads one object and expires. Does not check that the object exists."""

    @abstractmethod
    def probe(self) -> None:
        """Write a small object, read it back and delete it.

        :raises StorageError: that one of the three does not work; its ``detail`` says which, without a secret.
        """
