"""Errors of calls to a video provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from videoconf.errors.base import VideoconfError


class ProviderError(VideoconfError):
    """A provider call failed.

    :param provider_status: the provider's HTTP status, where there was one.
    :param provider_code: the provider's own error code.
    :param provider_message: the provider's own words, redacted; for the log, never for the caller.

    ``outcome_unknown`` tells whether the call may have been executed anyway: then a create is resumed rather
    than repeated, and no other provider is tried. ``retryable`` tells whether repeating the call later may help.
    """

    code = "provider_error"
    status = 502
    title = "The video provider failed"
    outcome_unknown: ClassVar[bool] = False
    retryable: ClassVar[bool] = True

    def __init__(
        self,
        detail: str | None = None,
        *,
        provider_status: int | None = None,
        provider_code: str | None = None,
        provider_message: str | None = None,
        retry_after_seconds: float | None = None,
        errors: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail, errors=errors, retry_after_seconds=retry_after_seconds)
        self.provider_status = provider_status
        self.provider_code = provider_code
        self.provider_message = provider_message


class ProviderUnavailable(ProviderError):
    """The provider cannot be reached, or the breaker is open; nothing was executed."""

    code = "provider_unavailable"
    status = 503
    title = "The video provider cannot be reached"


class ProviderBusy(ProviderError):
    """Too many provider calls are under way in this process; nothing was executed."""

    code = "provider_busy"
    status = 503
    title = "Too many calls to the video provider are under way"


class ProviderRateLimited(ProviderError):
    """The provider limits *our* rate; nothing was executed. Not 429: the caller's own quota is not the matter."""

    code = "provider_rate_limited"
    status = 503
    title = "The video provider limits our rate"


class ProviderNotEnabled(ProviderError):
    """The meeting's provider is enabled no more; nothing was executed. An operator has to enable it again."""

    code = "provider_not_enabled"
    status = 503
    title = "The meeting's video provider is not enabled"


class ProviderTimeout(ProviderError):
    """No whole answer before the deadline, or a reset after sending: it may have been executed."""

    code = "provider_timeout"
    status = 504
    title = "The video provider did not answer in time"
    outcome_unknown = True


class ProviderAuthFailed(ProviderError):
    """The provider refuses *our* credentials. Never a 401 or 403 to our caller."""

    code = "provider_auth_failed"
    title = "The video provider refuses this service's credentials"
    retryable = False


class ProviderRejected(ProviderError):
    """The provider refuses what the caller asked for."""

    code = "provider_rejected"
    status = 422
    title = "The video provider refuses this input"
    retryable = False


class ProviderResourceNotFound(ProviderError):
    """The provider does not know the session, connection or archive. Ending and deleting take it for success."""

    code = "provider_resource_not_found"
    status = 404
    title = "The video provider does not know this resource"
    retryable = False


class ProviderConflict(ProviderError):
    """The state at the provider forbids it: already recording, or without a connection."""

    code = "provider_conflict"
    status = 409
    title = "The state at the video provider forbids this"
    retryable = False


class ProviderBadResponse(ProviderError):
    """The answer is unreadable, of the wrong shape, too large or a redirect: it may have been executed."""

    code = "provider_bad_response"
    title = "The video provider gave an unusable answer"
    outcome_unknown = True


class ProviderPluginError(ProviderError):
    """The plugin raised something outside this taxonomy: a bug of the plugin; it may have been executed."""

    code = "provider_plugin_error"
    title = "The video provider's plugin failed"
    outcome_unknown = True
    retryable = False
