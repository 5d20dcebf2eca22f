"""The errors that each operation can answer: derived from what it declares, or named beside its view.

The OpenAPI document lists them by status and code. The tests compare each answer with the document, so an operation
cannot answer a code that its documentation lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from apispec import APISpec

from videoconf.errors import (
    ArchiveNotFound,
    BanNotFound,
    ConnectionNotFound,
    CursorInvalid,
    DatabaseBusy,
    DatabaseFull,
    DatabaseUnavailable,
    EncryptionKeyUnknown,
    EncryptionNotConfigured,
    EventDeliveryNotFound,
    EventSubscriptionNotFound,
    FilterCombination,
    Forbidden,
    InternalError,
    InvitationNotFound,
    IssuerUnavailable,
    JobNotFound,
    LobbyEntryNotFound,
    MalformedRequest,
    MeetingNotFound,
    NotAcceptable,
    NotFound,
    PayloadTooLarge,
    ProviderError,
    ProviderNotFound,
    RateLimited,
    SchemaNotReady,
    StorageError,
    TooManySlowReads,
    Unauthenticated,
    UnsupportedMediaType,
    ValidationFailed,
    VideoconfError,
)

PROBLEM_TYPE = "application/problem+json"

Error = type[VideoconfError]
View = TypeVar("View", bound=Callable[..., Any])


def _derived(root: Error) -> list[Error]:
    """Return the errors of our own that are derived from one; a plugin may derive its own."""
    return [error for error in root.__subclasses__() if error.__module__.startswith("videoconf.errors.")]


PROVIDER: tuple[Error, ...] = (ProviderError, *_derived(ProviderError))
"""What a call of the meeting's provider can end with."""
STORAGE: tuple[Error, ...] = (
    StorageError,
    *_derived(StorageError),
    EncryptionNotConfigured,
    EncryptionKeyUnknown,
)
"""What a call of the storage target can end with, the target's encrypted credentials included."""
DATABASE: tuple[Error, ...] = (DatabaseUnavailable, DatabaseBusy, DatabaseFull, SchemaNotReady)

_OF_PATH: dict[str, Error] = {
    "meeting_link_id": MeetingNotFound,
    "archive_id": ArchiveNotFound,
    "connection_id": ConnectionNotFound,
    "job_id": JobNotFound,
    "invitation_id": InvitationNotFound,
    "lobby_id": LobbyEntryNotFound,
    "ban_id": BanNotFound,
    "subscription_id": EventSubscriptionNotFound,
    "delivery_id": EventDeliveryNotFound,
    "provider": ProviderNotFound,
}
_MARK = "videoconf_failures"


def fails_with(*errors: Error) -> Callable[[View], View]:
    """Name the errors of a view that do not follow from its permission, path, parameters and body."""

    def mark(view: View) -> View:
        setattr(view, _MARK, (*errors, *getattr(view, _MARK, ())))
        return view

    return mark


def errors_of(view: Callable[..., Any], operation: dict[str, Any], path: Iterable[str], *, secured: bool) -> set[Error]:
    """Return every error that an operation can answer.

    :param operation: as the OpenAPI document has it so far.
    :param path: names of the path's parameters.
    """
    path = set(path)
    found: set[Error] = {InternalError, RateLimited, *getattr(view, _MARK, ())}
    if secured:
        found |= {Unauthenticated, Forbidden, IssuerUnavailable, TooManySlowReads, *DATABASE}
    if "requestBody" in operation:
        found |= {MalformedRequest, PayloadTooLarge, UnsupportedMediaType, ValidationFailed}
    query = [one for one in operation.get("parameters", ()) if isinstance(one, dict) and one.get("in") == "query"]
    if query:
        found.add(ValidationFailed)
    if any("cursor" in getattr(one.get("schema"), "fields", ()) for one in query):  # a schema stands for its fields
        found |= {CursorInvalid, FilterCombination}
    if path:
        found |= {NotFound, *(_OF_PATH[name] for name in path & _OF_PATH.keys())}
    successes = (answer for status, answer in operation["responses"].items() if str(status).startswith("2"))
    if any(len(answer.get("content", ())) > 1 for answer in successes if isinstance(answer, dict)):
        found.add(NotAcceptable)
    return found


def document(operation: dict[str, Any], found: set[Error]) -> None:
    """Add the answers of these errors to an operation."""
    by_status: dict[int, list[Error]] = {}
    for error in sorted(found, key=lambda one: (one.status, one.code)):
        by_status.setdefault(error.status, []).append(error)
    for status, errors in by_status.items():
        problems = {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "examples": {error.code: {"$ref": f"#/components/examples/{error.code}"} for error in errors},
        }
        described = ", ".join(f"`{error.code}`" for error in errors)
        answer = operation["responses"].setdefault(str(status), {"description": described})
        answer.setdefault("content", {})[PROBLEM_TYPE] = problems


def document_examples(spec: APISpec, errors: Iterable[Error]) -> None:
    """Add one example of each error, to which the operations refer."""
    for error in errors:
        value = {
            "type": f"urn:videoconf:error:{error.code}",
            "title": error.title,
            "status": error.status,
            "code": error.code,
            "detail": error.explanation,
            "requestId": "8f1c0a6be2f04c0d9d7f4f3a4f0a9c55",
            **{name: schema["example"] for name, schema in error.members.items()},
        }
        spec.components.example(error.code, {"summary": error.title, "value": value})


def further_members() -> dict[str, Any]:
    """Return the JSON schemas of the members that only some codes have."""
    return {
        name: {**schema, "description": f"With `{error.code}`: {schema['description']}"}
        for error in every_error()
        for name, schema in error.members.items()
    }


def every_error(root: Error = VideoconfError) -> list[Error]:
    """Return the errors that can reach a caller, in the order of their tree."""
    found = []
    for error in _derived(root):
        found += [error, *every_error(error)]
    return found
