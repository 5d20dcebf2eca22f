"""Read a large file from a provider as a stream, with limits for memory, silence and slowness."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack, closing
from http.client import HTTPException
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, BinaryIO, cast

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from videoconf import __version__
from videoconf.errors import (
    ProviderBadResponse,
    ProviderTimeout,
    ProviderUnavailable,
    StorageEndpointRefused,
    StorageHostUnknown,
    StorageUnavailable,
)
from videoconf.providers.connection import Connections, Origin
from videoconf.providers.failures import error_of_exchange, error_of_status
from videoconf.storage.urls import is_web_url

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

HEADERS = {"User-Agent": f"videoconf/{__version__}", "Accept-Encoding": "identity"}
PATIENCE_SECONDS = 30.0
SLOWEST_BYTES_PER_SECOND = 16 << 10
"""On the whole, and not counting as many seconds as :data:`PATIENCE_SECONDS`."""


def open_download(connections: Connections, url: str, deadline: float) -> BinaryIO:
    """Open a URL to be read once from its beginning; the caller closes it. No credentials are sent.

    :param deadline: monotonic seconds, until which it must have begun to answer. After that a silence ends it, or a low
        speed.
    :raises ProviderError: as for any call; reading raises them too, and a body that ends too early is one.
    """
    try:
        target = parse_url(url)
        if target.scheme not in ("http", "https") or not target.host:
            raise ProviderBadResponse("The video provider returned an invalid URL.")
        if connections.is_guarded and not is_web_url(url):
            raise ProviderBadResponse("The video provider returned an invalid URL.")
        origin = Origin(target.scheme, target.host.strip("[]"), target.port)
        with ExitStack() as stack:
            connection = stack.enter_context(connections.use(origin, deadline))
            stack.callback(connection.close)  # a connection with an unread answer cannot be reused
            connection.request("GET", target.request_uri, headers=HEADERS, preload_content=False)
            response = stack.enter_context(closing(connection.getresponse()))
            if response.status != 200:
                raise error_of_status(response.status, {}, b"", ())
            connection.arm(math.inf)
            return cast("BinaryIO", BufferedReader(_Download(response, stack.pop_all())))
    except StorageEndpointRefused:
        raise ProviderBadResponse(
            "The video provider returned a URL of a host that is not public. VIDEOCONF_STORAGE_HOSTS can name it."
        ) from None
    except (StorageHostUnknown, StorageUnavailable):
        raise ProviderUnavailable("The host of the video provider's download is not known.") from None
    except (HTTPError, OSError, HTTPException) as failure:
        raise error_of_exchange(failure) from None  # its text may repeat the URL, which is a secret


class _Download(RawIOBase):
    def __init__(self, response: BaseHTTPResponse, connection: ExitStack) -> None:
        self._response = response
        self._connection = connection
        self._waited_seconds = 0.0
        self._received_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        began = time.monotonic()
        try:
            data = self._response.read1(len(view))  # what there is, so that a peer that drips is seen to
        except (HTTPError, OSError, HTTPException) as failure:
            raise error_of_exchange(failure) from None
        self._waited_seconds += time.monotonic() - began  # count only this wait: the reader may be slow
        self._received_bytes += len(data)
        if data and self._waited_seconds > PATIENCE_SECONDS + self._received_bytes / SLOWEST_BYTES_PER_SECOND:
            raise ProviderTimeout("The video provider sends the file too slowly.")
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._connection.close()
        super().close()
