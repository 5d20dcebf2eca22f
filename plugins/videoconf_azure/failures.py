"""Translate the SDK's errors for a container into the service's errors, without the text of the server or the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from videoconf.errors import (
    StorageContainerNotFound,
    StorageDenied,
    StorageError,
    StorageTimeout,
    StorageUnavailable,
    StoredObjectNotFound,
)


@contextmanager
def mapped() -> Iterator[None]:
    """Turn what the SDK raises inside the block into our errors."""
    try:
        yield
    except AzureError as error:
        raise _ours(error) from None  # its text holds the URL, and what the server said


def _ours(error: AzureError) -> StorageError:
    if isinstance(error, ServiceRequestError):
        return StorageUnavailable()
    if isinstance(error, ServiceResponseError):
        return StorageTimeout()
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return _of_answer(str(getattr(error, "error_code", "")), error.status_code)
    return StorageError("The storage target's answer, or what was asked of it, is not understood.")


def _of_answer(code: str, status: int) -> StorageError:
    if code in ("ContainerNotFound", "ContainerBeingDeleted", "ResourceNotFound"):
        return StorageContainerNotFound()
    if status == 404:
        return StoredObjectNotFound()
    if status in (401, 403):
        return StorageDenied()
    if 300 <= status < 400:
        return StorageError("The storage target redirects.")
    if status == 429 or status >= 500:
        return StorageUnavailable("The storage target is not able to answer now.")
    return StorageError("The storage target refuses the request.")
