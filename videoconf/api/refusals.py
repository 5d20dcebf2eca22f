"""Limit how often an address is refused: 401, 404 and 405 without a valid token. Whatever is served never counts.

So a classroom behind one address comes in, and so do verified webhooks and probes, while whoever tries one token, one
path or one code after another is answered with 429. An IPv6 client has a /64 network, and so counts by it.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from functools import cached_property

from flask import Flask, Response, g, request
from limits import parse_many
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter, RateLimiter

from videoconf.api.problems import problem
from videoconf.api.request_log import QUIET
from videoconf.errors import RateLimited
from videoconf.settings import Settings

logger = logging.getLogger(__name__)

REFUSALS = frozenset({401, 404, 405})
IPV6_PREFIX = 64


def init_refusals(app: Flask, settings: Settings) -> None:
    """Put the limit in force. To be called last, so that the answer in place of a refusal gets its headers, too."""
    if not settings.rate_limit_address:
        return
    limits = _Limits(settings)

    @app.after_request
    def count(response: Response) -> Response:
        if response.status_code not in REFUSALS or "caller" in g or request.endpoint in QUIET:
            return response
        # What is spared is counted apart, for nothing: otherwise the time would tell a known code from an unknown one.
        counted = "spared" if "spared" in g else "refused"
        wait = limits.hit(counted, network_of(request.remote_addr or ""))
        return response if wait is None or counted == "spared" else problem(RateLimited(retry_after_seconds=wait))


def spare() -> None:
    """Let the answer to the current request not count as a refusal."""
    g.spared = True


def network_of(address: str) -> str:
    """Return the address, or of an IPv6 address its /64 network."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))


class _Limits:
    """Counts refusals; in this process where Redis is not set or away."""

    def __init__(self, settings: Settings) -> None:
        self._rates = settings.rate_limit_address
        self._storage = settings.rate_limit_storage

    @cached_property
    def _limiters(self) -> list[RateLimiter]:
        urls = [url for url in (self._storage.reveal(), "memory://") if url]
        return [MovingWindowRateLimiter(storage_from_string(url)) for url in urls]

    def hit(self, counted: str, key: str) -> float | None:
        """Count a refusal; return None, or where there were too many the seconds until the next one counts again.

        :param counted: names the count.
        """
        for limiter in self._limiters:
            try:
                return self._hit(limiter, counted, key)
            except Exception as error:  # the Redis client's, of many kinds
                logger.warning("refusals are counted in this process only: %s", type(error).__name__)
        return None

    def _hit(self, limiter: RateLimiter, counted: str, key: str) -> float | None:
        for rate in parse_many(self._rates):
            if not limiter.hit(rate, counted, key):
                return max(1.0, limiter.get_window_stats(rate, counted, key).reset_time - time.time())
        return None
