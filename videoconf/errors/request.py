"""Errors of the caller's request, except of missing resources, of conflicts and of invalid values."""

from __future__ import annotations

from videoconf.errors.base import VideoconfError


class RequestError(VideoconfError):
    """The request cannot be carried out as it stands; repeating it unchanged will not help."""

    code = "bad_request"
    status = 400
    title = "The request cannot be carried out"


class MalformedRequest(RequestError):
    """The request cannot be parsed: broken JSON, a NUL, a duplicate key, too deep."""

    code = "malformed_request"
    title = "The request cannot be parsed"


class IdempotencyKeyInvalid(RequestError):
    """The ``Idempotency-Key`` is not 1 to 255 visible ASCII characters without a comma."""

    code = "idempotency_key_invalid"
    title = "The Idempotency-Key is not valid"


class CursorInvalid(RequestError):
    """The ``cursor`` is damaged, or comes from a list with another path, filter, order or tenant."""

    code = "cursor_invalid"
    title = "The cursor does not belong to this list"


class Unauthenticated(RequestError):
    """No bearer token, or one that does not verify."""

    code = "unauthenticated"
    status = 401
    title = "A valid bearer token is needed"


class Forbidden(RequestError):
    """The token is valid and lacks the operation's permission."""

    code = "forbidden"
    status = 403
    title = "The token lacks the permission for this operation"


class RoleForbidden(Forbidden):
    """The caller's token names the meeting roles that it may give, and this is not one of them."""

    code = "role_forbidden"
    title = "The token may not give this meeting role"


class MethodNotAllowed(RequestError):
    """The path exists and does not take this method; ``Allow`` names those it takes."""

    code = "method_not_allowed"
    status = 405
    title = "Method not allowed"


class NotAcceptable(RequestError):
    """The operation can produce none of the media types that ``Accept`` asks for."""

    code = "not_acceptable"
    status = 406
    title = "None of the accepted media types can be produced"


class PayloadTooLarge(RequestError):
    """The body is over the operation's limit."""

    code = "payload_too_large"
    status = 413
    title = "The body is too large"


class UnsupportedMediaType(RequestError):
    """The body's ``Content-Type`` is not the operation's."""

    code = "unsupported_media_type"
    status = 415
    title = "The body's media type is not supported"


class RateLimited(RequestError):
    """The caller's tenant, or its address, makes more requests than it may."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"


class TooManySlowReads(RateLimited):
    """The caller's tenant has as many reads under way that take long as it may; the next one waits for them."""

    code = "too_many_slow_reads"
    title = "Too many slow reads of this tenant are under way"


class AdmissionRefused(Forbidden):
    """A moderator refused to admit the person. The ticket stays refused."""

    code = "admission_refused"
    title = "A moderator refused the admission"


class AttendeeBanned(Forbidden):
    """The attendee is banned from this meeting, until a moderator lifts the ban."""

    code = "attendee_banned"
    title = "The attendee is banned from this meeting"
