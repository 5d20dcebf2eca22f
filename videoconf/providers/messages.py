"""One request to a provider, encoded, and its answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from json import dumps, loads
from typing import Any
from urllib.parse import urlencode

from urllib3.util import parse_url

from videoconf.errors import ProviderBadResponse, ProviderPluginError
from videoconf.providers.connection import Origin
from videoconf.providers.failures import VendorError


@dataclass(frozen=True)
class Answer:
    """A whole, bounded answer: 2xx, or a status that the caller accepts."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case; repeated ones joined by a comma."""
    body: bytes = field(repr=False)
    """Decompressed."""

    def json(self) -> Any:
        """Parse the body. The shape is the caller's to check.

        :raises ProviderBadResponse: it is not JSON, is nested too deep, or holds an invalid number.
        """
        try:
            return loads(self.body, parse_constant=_finite, parse_float=_finite)
        except (ValueError, RecursionError):  # its text holds the body
            raise ProviderBadResponse("The video provider's answer is not JSON.", provider_status=self.status) from None


ErrorReader = Callable[[Answer], VendorError | None]
"""Reads an error in a vendor's own format; returns None for an answer that has none."""


@dataclass(frozen=True)
class Request:
    """One request, and which answers the caller accepts."""

    method: str
    origin: Origin
    target: str
    """Path and query."""
    body: bytes | None
    content_type: str | None
    headers: Callable[[], Mapping[str, str]]
    accept: Container[int]
    values: object
    """What the body was made of."""
    answer_cap_bytes: int
    read_error: ErrorReader | None


def build_request(
    method: str,
    url: str,
    headers: Mapping[str, str] | Callable[[], Mapping[str, str]] | None,
    json: object,
    form: Mapping[str, str] | None,
    accept: Container[int],
    read_error: ErrorReader | None,
    answer_cap_bytes: int,
) -> Request:
    """Encode a request.

    :raises ProviderPluginError: it cannot be built.
    """
    try:
        target = parse_url(url)
        body, content_type = None, None
        if json is not None:
            body, content_type = dumps(json, allow_nan=False).encode(), "application/json"
        elif form is not None:
            body, content_type = urlencode(form).encode(), "application/x-www-form-urlencoded"
    except (ValueError, TypeError):  # its text holds the URL or the body
        raise ProviderPluginError("The request to the video provider cannot be built.") from None
    if (
        target.scheme not in ("http", "https")
        or not target.host
        or target.auth
        or (json is not None and form is not None)
    ):
        raise ProviderPluginError("The request to the video provider cannot be built.")
    return Request(
        method=method,
        origin=Origin(target.scheme, target.host.strip("[]"), target.port),
        target=target.request_uri,
        body=body,
        content_type=content_type,
        headers=headers if callable(headers) else lambda: headers or {},
        accept=accept,
        values=[json, form],
        answer_cap_bytes=answer_cap_bytes,
        read_error=read_error,
    )


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
