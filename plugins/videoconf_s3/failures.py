"""Translate the SDK's errors for a bucket into the service's errors, without the text of the server or the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)

from videoconf.errors import (
    StorageContainerNotFound,
    StorageDenied,
    StorageError,
    StorageTimeout,
    StorageUnavailable,
    StoredObjectNotFound,
    VideoconfError,
)

ELSEWHERE = frozenset({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"})
NOT_FOUND = frozenset({"NoSuchKey", "404", "NotFound"})
NO_ANSWER = (ReadTimeoutError, ConnectionClosedError, IncompleteReadError, ResponseStreamingError)
NO_CONNECTION = (ConnectTimeoutError, EndpointConnectionError, SSLError, HTTPClientError)


@contextmanager
def mapped() -> Iterator[None]:
    """Turn what the SDK raises inside the block into our errors."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise _ours(error) from None  # its text may hold the credentials' id, and what the server said


def _ours(error: ClientError | BotoCoreError) -> VideoconfError:
    if isinstance(error, ClientError):
        return _of_answer(str(error.response["Error"]["Code"]), error.response["ResponseMetadata"]["HTTPStatusCode"])
    if isinstance(error, NO_ANSWER):
        return StorageTimeout()
    if isinstance(error, NO_CONNECTION):
        return StorageUnavailable()
    return StorageError("The storage target's answer, or what was asked of it, is not understood.")


def _of_answer(code: str, status: int) -> StorageError:
    if code == "NoSuchBucket":
        return StorageContainerNotFound()
    if code in NOT_FOUND:
        return StoredObjectNotFound()
    if code in ELSEWHERE:
        return StorageError("The bucket is in another region.")
    if status in (401, 403):
        return StorageDenied()
    if status == 429 or status >= 500:
        return StorageUnavailable("The storage target is not able to answer now.")
    return StorageError("The storage target refuses the request.")
