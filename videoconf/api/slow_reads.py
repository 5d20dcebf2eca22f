"""Bound the slow reads of a tenant: one tenant's large lists and reports delay its own next ones, and no other tenant.

Which reads are slow is measured, for each tenant and route: after one that took long, the next ones run a few at a time
until one is quick again. Quick reads are never held up.
"""

from __future__ import annotations

import time
from collections import OrderedDict

from flask import Flask, g, request

from videoconf.errors import TooManySlowReads
from videoconf.settings import Settings
from videoconf.shares import Share

SLOW_SECONDS = 0.5
SLOW_FOR_SECONDS = 30.0
"""For how long a read counts as slow without being tried."""
WAITING_FOR_EACH = 4
"""How many reads wait for each that runs; more are refused."""
WAIT_SECONDS = 2.0
REMEMBERED = 4096
"""Slow reads by tenant and route, the latest."""


def not_reading(seconds: float) -> None:
    """Leave out of the current read's duration what it did not spend reading, such as waiting for an event."""
    if "read_began" in g:
        g.read_began += seconds


def init_slow_reads(app: Flask, settings: Settings) -> None:
    """Bound slow reads where the settings do. To be called after authentication, so that the tenant is known."""
    limit = settings.tenant_slow_reads
    if not limit:
        return
    share = Share(limit, WAITING_FOR_EACH * limit)
    slow_until: OrderedDict[tuple[str, str], float] = OrderedDict()

    @app.before_request
    def enter() -> None:
        caller, rule = g.get("caller"), request.url_rule
        if caller is None or rule is None or request.method != "GET":
            return
        read = caller.tenant, rule.endpoint
        if slow_until.get(read, 0.0) > time.monotonic():
            if not share.enter(caller.tenant, WAIT_SECONDS):
                raise TooManySlowReads(retry_after_seconds=WAIT_SECONDS)
            g.slow_read_of = caller.tenant
        g.read = read
        g.read_began = time.monotonic()

    @app.teardown_request
    def leave(error: BaseException | None) -> None:
        if (tenant := g.pop("slow_read_of", None)) is not None:
            share.leave(tenant)
        if (read := g.pop("read", None)) is None:
            return
        now = time.monotonic()
        if now - g.read_began > SLOW_SECONDS:
            slow_until[read] = now + SLOW_FOR_SECONDS
            slow_until.move_to_end(read)
            if len(slow_until) > REMEMBERED:
                slow_until.popitem(last=False)
        elif slow_until:
            slow_until.pop(read, None)
