"""Errors of a request that can be parsed and is not valid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from videoconf.errors.request import RequestError


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
    title = "The Idempotency-Key was used for another request"
