"""What the edge bounds or lets through by setting: request rates, other origins' scripts, proxies in front."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from videoconf.api.access import QUIET
from videoconf.api.problems import problem
from videoconf.errors import RateLimited
from videoconf.settings import Settings

if TYPE_CHECKING:
    from flask_limiter import RequestLimit

EXPOSED_HEADERS = ["Link", "Location", "Retry-After", "X-Pagination", "X-Request-ID"]


def init_limits(app: Flask, settings: Settings) -> None:
    """Put the configured limits in force. To be called after authentication: a tenant's rate is the tenant's."""
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    if settings.cors_origins:
        CORS(app, origins=list(settings.cors_origins), expose_headers=EXPOSED_HEADERS, max_age=600)
    if settings.rate_limit or settings.rate_limit_address:
        _init_rates(app, settings)


def _init_rates(app: Flask, settings: Settings) -> None:
    from flask_limiter import Limiter  # 2 MB of each process, and only where there is a limit

    unlimited = "1000000000/second"

    def rate() -> str:
        return (settings.rate_limit if "caller" in g else settings.rate_limit_address) or unlimited

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
    """Name who spends: the tenant, or where nobody is authenticated the address."""
    caller = g.get("caller")
    return f"tenant:{caller.tenant}" if caller is not None else f"address:{request.remote_addr}"
