"""Post to a receiver: one attempt, to an address that the guard has checked, with every wait bounded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from videoconf import __version__
from videoconf.errors import StorageEndpointRefused, StorageHostUnknown, StorageUnavailable, ValidationFailed
from videoconf.formats import cleaned_text
from videoconf.providers.connection import Connections, Origin
from videoconf.storage import EndpointGuard
from videoconf.storage.urls import is_absolute_url

LONGEST_URL = 2048
ATTEMPT_SECONDS = 10.0
CONNECT_SECONDS = 5.0
AT_ONCE = 4
KEPT_BYTES = 1024
"""How much of an answer is stored."""
READ_BYTES = 65_536
"""How much of an answer is read, so that its connection can be used again; the connection is closed beyond."""
LARGEST_ANSWER_BYTES = 256 << 10
"""With its head, and the interim answers (``100 Continue``) before it, which a receiver could send without end."""
GONE = 410

HEADERS = {
    "User-Agent": f"videoconf/{__version__}",
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True)
class Attempted:
    """How one attempt ended."""

    seconds: float
    status: int | None = None
    """None: no answer came."""
    body: str | None = None
    error: str | None = None
    """Why no answer came."""
    retry_after_seconds: float | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the receiver took the event. A redirect is a failure."""
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Posts. Thread-safe.

    :param guard: decides on the hosts and addresses of receivers, and says which forward proxy carries the posts.
    """

    def __init__(self, guard: EndpointGuard) -> None:
        self._guard = guard
        self._connections = Connections(
            size=AT_ONCE,
            connect_seconds=CONNECT_SECONDS,
            between_bytes_seconds=ATTEMPT_SECONDS,
            guard=guard,
            proxy=guard.proxy,
            largest_answer_bytes=LARGEST_ANSWER_BYTES,
        )

    def close(self) -> None:
        """Close the idle connections."""
        self._connections.close()

    def check_url(self, url: str) -> None:
        """Check the URL of a receiver, without a DNS lookup.

        :raises ValidationFailed: the service does not post to it.
        """
        parts = urlsplit(url) if len(url) <= LONGEST_URL and is_absolute_url(url) else None
        if parts is None or parts.fragment:
            raise ValidationFailed(errors={"url": ["Must be a URL like https://app.example.com/events."]})
        if parts.scheme not in ("https", "http"):
            raise ValidationFailed(errors={"url": ["Must begin with https://."]})
        try:
            self._guard.check_url(f"{parts.scheme}://{parts.netloc}")
        except StorageEndpointRefused as error:
            raise ValidationFailed(errors={"url": [error.detail]}) from None

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempted:
        """Make one attempt. Raises nothing: how it ended is returned."""
        began = time.monotonic()
        try:
            self.check_url(url)  # the settings may have changed since it was accepted
            status, text, retry_after = self._exchange(url, headers, body, began + ATTEMPT_SECONDS)
        except (ValidationFailed, StorageEndpointRefused):
            return Attempted(time.monotonic() - began, error="The host is not allowed, or is not a public address.")
        except (StorageHostUnknown, StorageUnavailable):
            return Attempted(time.monotonic() - began, error="The host name is not known.")
        except TimeoutError:
            return Attempted(time.monotonic() - began, error="No answer came in time.")
        except (HTTPError, OSError, HTTPException) as error:
            late = isinstance(error.__cause__, TimeoutError)
            reason = "No connection came about in time." if late else "The connection failed."
            return Attempted(time.monotonic() - began, error=reason)
        return Attempted(time.monotonic() - began, status, text, retry_after_seconds=retry_after)

    def _exchange(
        self, url: str, headers: Mapping[str, str], body: bytes, deadline: float
    ) -> tuple[int, str, float | None]:
        target = parse_url(url)
        origin = Origin(target.scheme or "", (target.host or "").strip("[]"), target.port)
        with self._connections.use(origin, deadline) as connection:
            connection.request(
                "POST", target.request_uri, body=body, headers={**HEADERS, **headers}, preload_content=False
            )
            with closing(connection.getresponse()) as response:
                kept, is_whole = _read(response)
                if not is_whole:
                    connection.close()
                return response.status, kept, _retry_after(response.headers.get("Retry-After"))


def _read(response: BaseHTTPResponse) -> tuple[str, bool]:
    """Read what is stored of an answer; return whether it was read to its end. Its status says enough anyway."""
    try:
        content = response.read(READ_BYTES + 1, decode_content=False)
    except (HTTPError, OSError, HTTPException):
        return "", False
    text = content[:KEPT_BYTES].decode(errors="replace")
    return cleaned_text(text, KEPT_BYTES), len(content) <= READ_BYTES


def _retry_after(value: str | None) -> float | None:
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
