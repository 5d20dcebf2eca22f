"""What a storage target is: where archives go. A bucket or a container of the operator's, behind six methods."""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, BinaryIO, ClassVar

from marshmallow import Schema

from videoconf.errors import StorageError
from videoconf.storage.guard import EndpointGuard
from videoconf.storage.types import SignedUrl, StoredObject

CONTRACT_VERSION = 1
"""Version of this interface. It grows when an implementation of an older version would no longer work."""

KEY = re.compile(r"[A-Za-z0-9_./-]{1,512}")
SHOWN_CHARACTERS = 4


@dataclass(frozen=True)
class StorageContext:
    """What the core gives to a storage target."""

    clock: Callable[[], datetime]
    endpoints: EndpointGuard
    """Decides on every host that a configuration names. A target connects to nothing that it has not allowed."""


class StorageTarget(ABC):
    """A kind of storage; an instance is one configured target. Shared by threads.

    Keys are relative to the target, of ``[A-Za-z0-9_./-]``, never absolute and without ``..``. Errors are those of
    :mod:`videoconf.errors`: a missing key is :class:`~videoconf.errors.StoredObjectNotFound` everywhere, a missing
    bucket :class:`~videoconf.errors.StorageContainerNotFound`, credentials that are refused or may not do this
    :class:`~videoconf.errors.StorageDenied`, no connection :class:`~videoconf.errors.StorageUnavailable`, no answer
    in time :class:`~videoconf.errors.StorageTimeout`. None of them repeats what the target or the caller said.

    Every wait is bounded, and all of them together by :func:`~videoconf.storage.storage_seconds_left`; so is what is
    read of an answer into memory. :func:`~videoconf.storage.guarded_pool` sees to both. Credentials are those of the
    configuration alone, never what the machine, its environment or its cloud offers. Redirects are not followed.

    :param configuration: as :attr:`configuration_schema` loaded it; holds credentials in clear.
    :raises StorageEndpointRefused: the configuration names a host that the guard refuses. Making an instance connects
        to nothing.
    """

    contract_version: ClassVar[int] = CONTRACT_VERSION
    key: ClassVar[str]
    """Names the kind in rows and settings: ``[a-z][a-z0-9]{1,31}``. Never changes."""
    wire_name: ClassVar[str]
    """Names the kind in ``PUT /archives/storage-target``."""
    label: ClassVar[str]
    hosts: ClassVar[tuple[str, ...]] = ()
    """Hosts of the vendor itself, which need not be allowed by the settings: ``*.example.com``."""
    configuration_schema: ClassVar[type[Schema]]
    """Validates the body of ``PUT /archives/storage-target`` without its ``name``."""
    example: ClassVar[Mapping[str, Any] | None] = None
    """For the documentation: a configuration that works wherever the kind is installed; None: it needs an account."""
    Settings: ClassVar[type[Any] | None] = None
    """A frozen dataclass of settings, read from ``VIDEOCONF_<KEY>_…`` and named as fields of the configuration: the
    service's own credentials, for the default tenant when it sends none. All texts, empty where not set."""
    secret_fields: ClassVar[frozenset[str]]
    """Fields of the configuration that are never shown, by their Python names."""
    masked_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields of which the last four characters are shown."""

    def __init__(self, configuration: Mapping[str, Any], context: StorageContext) -> None:
        self.configuration = configuration
        self.context = context

    @classmethod
    def describe(cls, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return what may be shown of a configuration, as JSON, in the wire's spelling."""
        shown = {name: value for name, value in configuration.items() if name not in cls.secret_fields}
        for name in cls.masked_fields & shown.keys():
            shown[name] = masked(shown[name])
        return dict(cls.configuration_schema().dump(shown))

    @abstractmethod
    def put(self, key: str, stream: BinaryIO, *, content_type: str | None = None) -> StoredObject:
        """Store a stream of unknown length under a key, replacing what was there. Memory use is bounded.

        Of several puts under one key at once, one object is there in the end and it is whole; not all are refused.

        What arrives is what was read: the target checks a digest of every part. A put that is interrupted, by an error
        of the stream too, leaves no unfinished upload, and under the key what was there before, an object or nothing;
        what a process that was killed left unfinished, the next put under the same key removes.
        """

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """Read an object as a stream, in bounded memory; the caller closes it."""

    @abstractmethod
    def stat(self, key: str) -> StoredObject:
        """Describe an object without reading it."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete an object. Idempotent: succeeds if the object, or its bucket, is already gone."""

    @abstractmethod
    def signed_url(self, key: str, *, expires_in_seconds: int) -> SignedUrl:
        """Make a URL that reads one object, in ranges too, and does nothing else, and that expires.

        Does not check that the object exists.
        """

    def close(self) -> None:
        """Release what the instance holds. May be called twice."""
        return

    def probe(self) -> None:
        """Write a small object, read it back and delete it.

        :raises StorageError: that one of the three does not work.
        """
        key, content = f"videoconf-probe-{secrets.token_hex(8)}", secrets.token_bytes(32)
        self.put(key, BytesIO(content), content_type="application/octet-stream")
        try:
            with closing(self.open(key)) as stream:
                read_back = stream.read(len(content) + 1)
        finally:
            self.delete(key)
        if read_back != content:
            raise StorageError("The storage target does not give back what was written to it.")


def masked(text: str) -> str:
    """Return a text's last four characters behind asterisks; nothing of a text that is hardly longer."""
    shown = text[-SHOWN_CHARACTERS:] if len(text) >= 3 * SHOWN_CHARACTERS else ""
    return "****" + shown


def is_key(text: str) -> bool:
    """Return whether a string may be the key of an object: not absolute, and not leading out of its target."""
    return KEY.fullmatch(text) is not None and not any(part in ("", ".", "..") for part in text.split("/"))


def checked_key(key: str) -> str:
    """Return a key of an object if it is one.

    :raises StorageError: it is empty, absolute, leaves the target, or has characters that not every target takes.
    """
    if not is_key(key):
        raise StorageError("The key of an object has parts of A-Z a-z 0-9 _ . - between slashes.")
    return key
