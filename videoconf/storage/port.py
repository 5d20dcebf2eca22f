"""The one way from the core to a storage plugin."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC
from typing import Any, BinaryIO, TypeVar, cast

from marshmallow import ValidationError

from videoconf.containment import is_fit, plain_json, plain_messages, raised_by_signal
from videoconf.errors import StorageError, VideoconfError
from videoconf.spelling import propose_fields
from videoconf.storage.base import StorageContext, StorageTarget
from videoconf.storage.bulkhead import Bulkhead
from videoconf.storage.deadline import storage_deadline
from videoconf.storage.streams import RemoteBody
from videoconf.storage.types import SignedUrl, StoredObject
from videoconf.storage.urls import is_url_of_object

logger = logging.getLogger(__name__)

T = TypeVar("T")

CALL_SECONDS = 15.0
PROBE_SECONDS = 12.0
"""How long a target may take to prove that it works."""

Around = Callable[[str, str], AbstractContextManager[object]]
"""Encloses each call of a target, named by kind and operation: a span."""


def unobserved(kind: str, operation: str) -> AbstractContextManager[None]:
    """Enclose a call in nothing."""
    return nullcontext()


class StoragePort(StorageTarget):
    """A storage target as the core may use it, and as it gives it to a provider that uploads by itself.

    Every call raises only :class:`~videoconf.errors.VideoconfError` and returns a checked value. Slots and a breaker
    keep a target that stalls from taking all threads (:mod:`videoconf.storage.bulkhead`). Every call that does
    not move an object has a deadline; a stream may take as long as it needs, at a minimum speed.

    :param target: what the plugin made.
    """

    def __init__(self, target: StorageTarget, around: Around = unobserved) -> None:
        self.plugin = target
        """For :mod:`videoconf.testing`; the core calls nothing of it but here."""
        self._kind = target.key
        self._around = around
        self._bulkhead = Bulkhead()

    @classmethod
    def of(
        cls,
        kind: type[StorageTarget],
        configuration: Mapping[str, Any],
        context: StorageContext,
        around: Around = unobserved,
    ) -> StoragePort:
        """Make a target of a kind.

        :raises StorageEndpointRefused: its host is not allowed.
        """
        with contained(kind.key, "create"):
            return cls(kind(dict(configuration), context), around)

    def description(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return what may be shown of a configuration."""
        with contained(self._kind, "describe"):
            return dict(plain_json(self.plugin.describe(configuration)))

    def put(self, key: str, stream: BinaryIO, *, content_type: str | None = None) -> StoredObject:
        with self._call("put", takes_slot=False):
            return _checked_object(self.plugin.put(key, stream, content_type=content_type))

    def open(self, key: str) -> BinaryIO:
        with self._call("open"):
            body = self.plugin.open(key)
        return cast("BinaryIO", RemoteBody(body, lambda: contained(self._kind, "open")))

    def stat(self, key: str) -> StoredObject:
        with storage_deadline(CALL_SECONDS), self._call("stat"):
            return _checked_object(self.plugin.stat(key))

    def delete(self, key: str) -> None:
        with storage_deadline(CALL_SECONDS), self._call("delete"):
            self.plugin.delete(key)

    def signed_url(self, key: str, *, expires_in_seconds: int) -> SignedUrl:
        with contained(self._kind, "signed_url"):  # makes no call, and so no span
            return _checked_url(self.plugin.signed_url(key, expires_in_seconds=expires_in_seconds))

    def probe(self) -> None:
        with storage_deadline(PROBE_SECONDS):
            if self.plugin.__class__.probe is StorageTarget.probe:
                with self._around(self._kind, "probe"):
                    super().probe()  # through this port, so that each of its parts is a call
            else:
                with self._call("probe"):
                    self.plugin.probe()

    def close(self) -> None:
        """Release what the target holds. An error is logged and not raised: no caller could do more."""
        try:
            with contained(self._kind, "close"):
                self.plugin.close()
        except VideoconfError as error:
            logger.warning("a storage target of kind %s was not closed: %s", self._kind, error.code)

    @contextmanager
    def _call(self, operation: str, *, takes_slot: bool = True) -> Iterator[None]:
        bounded = self._bulkhead.call(takes_slot=takes_slot)
        with self._around(self._kind, operation), bounded, contained(self._kind, operation):
            yield


def load_configuration(kind: type[StorageTarget], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a kind's own schema makes of a body.

    :raises marshmallow.ValidationError: the body is invalid.
    """
    with contained(kind.key, "configuration_schema", ValidationError):
        schema = kind.configuration_schema()
        try:
            return dict(schema.load(document))
        except ValidationError as error:
            messages = error.messages
            if isinstance(messages, list):
                messages = {"_schema": messages}
            raise ValidationError(propose_fields(plain_messages(messages), schema)) from None


@contextmanager
def contained(kind: str, operation: str, expected: type[Exception] = VideoconfError) -> Iterator[None]:
    """Contain what a storage plugin raises inside the block.

    The plugin's own words are not logged: an SDK's error may repeat a credential.

    :param expected: what may leave besides :class:`~videoconf.errors.VideoconfError`.
    :raises StorageError: the plugin raised anything else.
    """
    try:
        yield
    except BaseException as error:
        is_expected = is_fit(error) if isinstance(error, VideoconfError) else isinstance(error, expected)
        if is_expected or raised_by_signal(error):
            raise
        logger.error("a storage plugin failed in %s.%s: %s", kind, operation, type(error).__name__)  # noqa: TRY400  # a trace could show keys
        raise StorageError("The storage target's plugin failed.") from None


def _checked_object(stored: Any) -> StoredObject:
    """Return a checked copy of what a plugin says of an object. What is raised is contained by the caller's block."""
    found = _of_type(StoredObject, stored)
    size_bytes: Any = found.size_bytes
    if type(size_bytes) is not int or size_bytes < 0:
        raise ValueError("the size of an object is not a number of bytes")
    return found


def _checked_url(signed: Any) -> SignedUrl:
    """Return a checked copy of a URL: a caller opens it, in a browser too."""
    found = _of_type(SignedUrl, signed)
    if not is_url_of_object(found.url) or found.expires_at.tzinfo is None:
        raise ValueError("the URL is unsafe to open, or its time has no time zone")
    return SignedUrl(found.url, found.expires_at.astimezone(UTC))


def _of_type(wanted: type[T], value: Any) -> T:
    if not isinstance(value, wanted):
        raise TypeError(f"a {type(value).__name__} instead of a {wanted.__name__}")  # contained by the caller's block
    return value
