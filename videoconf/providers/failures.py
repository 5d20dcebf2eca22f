"""Map everything that can go wrong in an HTTP call to a provider to an error. No other mapping exists.

================================================  ========================  ============  ======================
what happens                                      error                     Retry-After   repeated
================================================  ========================  ============  ======================
breaker open                                      ProviderUnavailable       its rest      no
no slot                                           ProviderBusy              1             no
refused, DNS, TLS, connect time-out               ProviderUnavailable       5             yes: nothing was sent
no whole answer in time, reset after sending      ProviderTimeout           5             if idempotent
500 and other 5xx                                 ProviderError             5             no
502                                               ProviderError             5             if idempotent
503                                               ProviderUnavailable       theirs, ≤ 60  if idempotent
504                                               ProviderTimeout           5             if idempotent
429                                               ProviderRateLimited       theirs, ≤ 60  if idempotent
401, 403                                          ProviderAuthFailed        –             no
404, 410                                          ProviderResourceNotFound  –             no
409                                               ProviderConflict          –             no
any other 4xx                                     ProviderRejected          –             no
1xx, 3xx, too large, truncated, unreadable        ProviderBadResponse       –             no
a request that cannot be built                    ProviderPluginError       –             no
================================================  ========================  ============  ======================

A vendor whose statuses or error bodies mean something else maps them itself: see :class:`VendorError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from json import loads
from typing import Any

from urllib3.exceptions import ProtocolError, ReadTimeoutError, SSLError

from videoconf.breaker import Verdict
from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderBusy,
    ProviderConflict,
    ProviderError,
    ProviderPluginError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderResourceNotFound,
    ProviderTimeout,
    ProviderUnavailable,
)
from videoconf.providers.connection import NotSent

RETRY_AFTER_SECONDS = 5.0
"""The ``Retry-After`` for callers when the provider gives none."""
LONGEST_RETRY_AFTER_SECONDS = 60.0
MESSAGE_CHARACTERS = 200
LEAST_REDACTED_CHARACTERS = 6
"""Shorter texts of a request hide no secret, and blanking each ``true`` would garble the message."""

_BY_STATUS: dict[int, type[ProviderError]] = {
    401: ProviderAuthFailed,
    403: ProviderAuthFailed,
    404: ProviderResourceNotFound,
    409: ProviderConflict,
    410: ProviderResourceNotFound,
    429: ProviderRateLimited,
    503: ProviderUnavailable,
    504: ProviderTimeout,
}


@dataclass(frozen=True)
class VendorError:
    """An error as a plugin read it from an answer in its vendor's own format."""

    error: type[ProviderError] | None = None
    """The class to raise; None: the one that the table above gives for the status."""
    code: str | None = None
    """The vendor's error code."""
    message: str | None = None
    """The vendor's error message. The client shortens it and removes what repeats the request."""


def error_of_exchange(failure: Exception) -> ProviderError:
    """Return the error for an exchange that ended without a whole answer.

    ``provider_message`` says why in words of this machine, or names the class where those may repeat the peer's.
    """
    if isinstance(failure, NotSent):
        return ProviderUnavailable(retry_after_seconds=RETRY_AFTER_SECONDS, provider_message=_clean(str(failure), ()))
    cause = failure.__cause__ if isinstance(failure, ProtocolError) else failure  # urllib3 wraps a reset while reading
    if isinstance(cause, OSError | ReadTimeoutError | SSLError):
        return ProviderTimeout(retry_after_seconds=RETRY_AFTER_SECONDS, provider_message=type(cause).__name__)
    return ProviderBadResponse(
        "The video provider's answer is not readable HTTP.", provider_message=type(cause).__name__
    )


def error_of_status(
    status: int, headers: Mapping[str, str], body: bytes, sent: Iterable[str], vendor: VendorError | None = None
) -> ProviderError:
    """Return the error for an answer that is not a success.

    :param headers: names in lower case.
    :param body: searched for the provider's code and message; the rest is dropped.
    :param sent: strings of the request. Where the provider's message repeats one of them, it is blanked.
    :param vendor: the error as the plugin read it; None: the table above decides, by the status alone.
    """
    error = vendor.error if vendor is not None else None
    if error is None:
        if status < 400:
            return ProviderBadResponse(
                "The video provider's answer is a redirect or not final.", provider_status=status
            )
        error = _BY_STATUS.get(status, ProviderError if status >= 500 else ProviderRejected)
    retry_after: float | None = None
    if issubclass(error, ProviderUnavailable | ProviderRateLimited):
        stated = find_retry_after(headers)
        retry_after = RETRY_AFTER_SECONDS if stated is None else min(stated, LONGEST_RETRY_AFTER_SECONDS)
    elif status >= 500:
        retry_after = RETRY_AFTER_SECONDS
    code, message = (vendor.code, vendor.message) if vendor is not None else _find_code_and_message(body)
    return error(
        provider_status=status,
        provider_code=code and _clean(code, sent),
        provider_message=message and _clean(message, sent),
        retry_after_seconds=retry_after,
    )


def find_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After``, a number or a date, asks for; None if it is absent or unreadable."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # a year of twenty digits
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def is_repeatable(error: ProviderError, *, idempotent: bool) -> bool:
    """Return whether the same request may be sent again: nothing was sent, or twice does no harm and may help."""
    if isinstance(error, ProviderUnavailable) and error.provider_status is None:
        return True
    passing = isinstance(error, ProviderTimeout | ProviderUnavailable | ProviderRateLimited)
    return idempotent and (passing or error.provider_status == 502)


def judge(error: ProviderError) -> Verdict | None:
    """Return what a failed attempt says about the provider's health; None: nothing."""
    if isinstance(error, ProviderPluginError):
        return None
    if isinstance(error, ProviderAuthFailed):
        return Verdict.REFUSED
    if isinstance(error, ProviderResourceNotFound | ProviderConflict | ProviderRejected | ProviderBusy):
        return Verdict.ANSWERED  # whatever status the vendor says it with
    if 0 < (error.provider_status or 0) < 500:
        return Verdict.ANSWERED  # a 408 of the vendor's too
    if isinstance(error, ProviderUnavailable | ProviderTimeout) or (error.provider_status or 0) >= 500:
        return Verdict.FAILED
    return Verdict.ANSWERED


def _find_code_and_message(body: bytes) -> tuple[str | None, str | None]:
    try:
        said = loads(body)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(said, dict):
        return None, None
    return _find_text(said, "code"), _find_text(said, "message", "detail", "title")


def _find_text(said: dict[str, Any], *names: str) -> str | None:
    texts = (str(said[name]) for name in names if isinstance(said.get(name), str | int))
    return next((text for text in texts if text), None)


def _clean(text: str, sent: Iterable[str]) -> str:
    for secret in sorted(sent, key=len, reverse=True):
        if len(secret) >= LEAST_REDACTED_CHARACTERS:
            text = text.replace(secret, "***")
    text = re.sub(r"\?\S+", "?***", text)  # the query of a signed URL
    return "".join(character for character in text if character.isprintable())[:MESSAGE_CHARACTERS]
