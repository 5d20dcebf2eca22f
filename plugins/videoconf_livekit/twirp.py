"""LiveKit's server API: Twirp, that is POST with JSON to one path for each method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderConflict,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderResourceNotFound,
    ProviderTimeout,
    ProviderUnavailable,
)
from videoconf.providers import Answer, ErrorReader, GuardedClient, VendorError, seconds_left
from videoconf_livekit.tokens import Signer

LONGEST_CALL_SECONDS = 5.5
"""The server is asked to give up after this, before the client of the core does, so that its answer says so."""
LEAST_CALL_SECONDS = 0.05
LARGEST_LIST_BYTES = 16 << 20
"""Lists have no pages. A participant with two tracks is up to 4 KB of JSON."""

ERRORS: Mapping[str, type[ProviderError]] = {
    "not_found": ProviderResourceNotFound,
    "failed_precondition": ProviderConflict,
    "already_exists": ProviderConflict,
    "aborted": ProviderConflict,
    "canceled": ProviderTimeout,
    "deadline_exceeded": ProviderTimeout,
    "resource_exhausted": ProviderRateLimited,
    "unavailable": ProviderUnavailable,
    "unauthenticated": ProviderAuthFailed,
    "permission_denied": ProviderAuthFailed,
}
"""By the code in the error's body; for any other the status decides."""


def read_error(answer: Answer) -> VendorError | None:
    """Read an error in Twirp's format. A 404 without Twirp's `not_found` comes from something that is not LiveKit."""
    if answer.status < 400:
        return None
    try:
        said = answer.json()
    except ProviderBadResponse:
        text = answer.headers.get("content-type", "").startswith("text/plain")
        said = {"msg": answer.body.decode(errors="replace")} if text else {}
    code, message = (said.get("code"), said.get("msg")) if isinstance(said, dict) else (None, None)
    error = ERRORS.get(code) if isinstance(code, str) else None
    if error is None and answer.status == 408:
        error = ProviderTimeout
    elif error is None and answer.status == 404:
        error = ProviderRejected
    return VendorError(error, code if isinstance(code, str) else None, message if isinstance(message, str) else None)


def unavailable_means(error: type[ProviderError]) -> ErrorReader:
    """Return a reader of errors for a method whose 503 does not mean that LiveKit is down."""

    def read(answer: Answer) -> VendorError | None:
        found = read_error(answer)
        if found is not None and answer.status == 503 and found.code == "unavailable":
            return replace(found, error=error)
        return found

    return read


class Twirp:
    """One deployment's calls. Thread-safe. Every error is one of :mod:`videoconf.errors`."""

    def __init__(self, base_url: str, signer: Signer, http: GuardedClient) -> None:
        self._base_url = base_url
        self._signer = signer
        self._http = http

    def call(
        self,
        method: str,
        operation: str,
        body: Mapping[str, Any],
        grants: Mapping[str, Any],
        *,
        idempotent: bool = True,
        read_error: ErrorReader = read_error,
    ) -> dict[str, Any]:
        """Call a method, such as ``RoomService/CreateRoom``, and return its answer.

        :param grants: what the request's token allows, and nothing more.
        """

        def headers() -> dict[str, str]:
            seconds = max(LEAST_CALL_SECONDS, min(seconds_left(), LONGEST_CALL_SECONDS))
            return {**self._signer.headers(grants), "X-Twirp-Timeout-Ms": str(int(seconds * 1000))}

        answer = self._http.request(
            "POST",
            f"{self._base_url}/twirp/livekit.{method}",
            operation=operation,
            idempotent=idempotent,
            headers=headers,
            json=dict(body),
            read_error=read_error,
            answer_cap_bytes=LARGEST_LIST_BYTES,
        )
        found = answer.json()
        if not isinstance(found, dict):
            raise ProviderBadResponse("LiveKit's answer is not an object.", provider_status=answer.status)
        return found

    def list(self, member: str, method: str, *args: Any, **how: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Call a method and return the list that its answer holds, and the answer."""
        answer = self.call(method, *args, **how)
        items = answer.get(member)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ProviderBadResponse("LiveKit's answer has an unexpected shape.")
        return items, answer
