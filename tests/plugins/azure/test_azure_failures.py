"""What the SDK raises, and the error of ours that stands for it."""

from types import SimpleNamespace

import pytest
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)

from videoconf.errors import (
    StorageContainerNotFound,
    StorageDenied,
    StorageError,
    StorageTimeout,
    StorageUnavailable,
    StoredObjectNotFound,
)
from videoconf_azure.failures import mapped

SAID = "what the server said of testaccount"


def answered(status, code=None):
    """Make the SDK's error of an answer; it reads the code from the body or a header."""
    error = HttpResponseError(SAID, response=SimpleNamespace(status_code=status, reason="Status", headers={}))
    if code is not None:
        error.error_code = code
    return error


ERRORS = {
    "no connection": (ServiceRequestError(SAID), StorageUnavailable, ""),
    "no connection in time": (ServiceRequestTimeoutError(SAID), StorageUnavailable, ""),
    "no answer": (ServiceResponseError(SAID), StorageTimeout, ""),
    "no answer in time": (ServiceResponseTimeoutError(SAID), StorageTimeout, ""),
    "any other": (AzureError(SAID), StorageError, "not understood"),
    "an answer without a status": (HttpResponseError(SAID), StorageError, "not understood"),
    "container missing": (answered(404, "ContainerNotFound"), StorageContainerNotFound, ""),
    "container in deletion": (answered(409, "ContainerBeingDeleted"), StorageContainerNotFound, ""),
    "account missing": (answered(404, "ResourceNotFound"), StorageContainerNotFound, ""),
    "object missing": (answered(404, "BlobNotFound"), StoredObjectNotFound, ""),
    "404 without a code": (answered(404), StoredObjectNotFound, ""),
    "401": (answered(401), StorageDenied, ""),
    "403": (answered(403, "AuthenticationFailed"), StorageDenied, ""),
    "299": (answered(299), StorageError, "refuses"),
    "300": (answered(300), StorageError, "redirects"),
    "399": (answered(399), StorageError, "redirects"),
    "400": (answered(400), StorageError, "refuses"),
    "402": (answered(402), StorageError, "refuses"),
    "405": (answered(405), StorageError, "refuses"),
    "429": (answered(429), StorageUnavailable, "not able to answer now"),
    "430": (answered(430), StorageError, "refuses"),
    "499": (answered(499), StorageError, "refuses"),
    "500": (answered(500), StorageUnavailable, "not able to answer now"),
    "503": (answered(503, "ServerBusy"), StorageUnavailable, "not able to answer now"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_of_the_sdk_has_one_of_ours(name):
    error, expected, detail = ERRORS[name]
    with pytest.raises(StorageError) as raised, mapped():
        raise error
    assert type(raised.value) is expected
    assert detail in str(raised.value)
    assert SAID not in str(vars(raised.value))
    assert raised.value.__suppress_context__, "the SDK's error holds the URL"


def test_error_of_a_stream_passes():
    with pytest.raises(ConnectionAbortedError), mapped():
        raise ConnectionAbortedError
