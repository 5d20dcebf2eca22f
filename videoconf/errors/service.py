"""Errors of webhooks, of the identity provider and of the service's own database."""

from __future__ import annotations

from videoconf.errors.base import VideoconfError


class WebhookRejected(VideoconfError):
    """A webhook whose origin is not proven. One code and one wording for every cause: a forger learns nothing.

    ``detail`` of the instance is for the log; the caller gets the title.
    """

    code = "webhook_rejected"
    status = 401
    title = "The webhook's signature is not valid"


class IssuerUnavailable(VideoconfError):
    """The identity provider's keys cannot be fetched and never were: no token can be judged. The log says why."""

    code = "issuer_unavailable"
    status = 503
    title = "The identity provider's keys are not available"


class DatabaseUnavailable(VideoconfError):
    """The database cannot be reached, or the connection broke: a write may or may not have been committed."""

    code = "database_unavailable"
    status = 503
    title = "The database cannot be reached"


class DatabaseBusy(DatabaseUnavailable):
    """A lock, a pool or the database's connections are taken; nothing was committed."""

    code = "database_busy"
    title = "The database is busy"


class DatabaseFull(DatabaseUnavailable):
    """The database has no room left or takes no writes; nothing was committed."""

    code = "database_full"
    title = "The database takes no writes"


class SchemaNotReady(VideoconfError):
    """The database lacks tables or columns of this release; nothing was committed. An operator has to migrate it."""

    code = "schema_not_ready"
    status = 503
    title = "The database's schema is older than this release"
