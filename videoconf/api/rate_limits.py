"""Apply the settings for request rates and for scripts of other origins (CORS)."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request
from flask_cors import CORS

from videoconf.api.problems import problem
from videoconf.api.request_log import QUIET
from videoconf.errors import RateLimited
from videoconf.settings import Settings

if TYPE_CHECKING:
    from flask_limiter import RequestLimit

EXPOSED_HEADERS = ["Link", "Location", "Retry-After", "X-Pagination", "X-Request-ID"]


def init_limits(app: Flask, settings: Settings) -> None:
    """Put the configured limits in force.

    To be called between authentication, since a tenant's rate is the tenant's, and its refusals, since whoever tries
    one token after another is to be stopped, too.
    """
    if settings.cors_origins:
        # A text with certain characters would be read as a pattern, and a pattern matches what only begins like it.
        origins = [re.compile(rf"{re.escape(origin)}\Z") for origin in settings.cors_origins]
        CORS(app, origins=origins, expose_headers=EXPOSED_HEADERS, max_age=600)
    if settings.rate_limit:
        _init_rates(app, settings)


def _init_rates(app: Flask, settings: Settings) -> None:
    from flask_limiter import Limiter  # 2 MB of each process, and only where there is a limit

    unlimited = "1000000000/second"

    def rate() -> str:
        return settings.rate_limit if "caller" in g else unlimited  # :mod:`.refusals` limits who has no token

    def refuse(limit: RequestLimit) -> Response:
        return problem(RateLimited(retry_after_seconds=max(1.0, limit.reset_at - time.time())))

    limiter = Limiter(
        key_func=_who,
        app=app,
        application_limits=[rate],
        storage_uri=settings.rate_limit_storage.reveal() or "memory://",
        # A Redis that is away must not take the service along; each process then counts for itself.
        in_memory_fallback_enabled=bool(settings.rate_limit_storage),
        strategy="moving-window",
        on_breach=refuse,
    )

    @limiter.request_filter
    def quiet() -> bool:
        return request.endpoint in QUIET


def _who() -> str:
    """Rate-limit key: the tenant, or the client address when unauthenticated."""
    caller = g.get("caller")
    return f"tenant:{caller.tenant}" if caller is not None else f"address:{request.remote_addr}"
