"""Limit the slow reads of a tenant: large lists and reports delay only further reads of the same tenant.

Which reads are slow is measured, for each tenant and route: after one that took long, the next ones run a few at a time
until one is quick again. Quick reads are never held up. Meanwhile long reads give way to them: see
:mod:`videoconf.precedence`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict
from functools import partial

from flask import Flask, g, request

from videoconf.errors import TooManySlowReads
from videoconf.precedence import precedence
from videoconf.settings import Settings
from videoconf.shares import Share

SLOW_SECONDS = 0.5
SLOW_FOR_SECONDS = 30.0
"""For how long a read counts as slow without being tried."""
WAITING_FOR_EACH = 4
"""How many reads wait for each that runs; more are refused."""
WAIT_SECONDS = 2.0
SWITCH_SECONDS = 0.0005
"""How long a thread keeps the GIL while slow reads run. A small read needs the GIL several times, and at Python's 5 ms
it waits as long for each slow read, each time. It is set for as long as they run, because each switch costs time."""
REMEMBERED = 4096
"""Slow reads by tenant and route, the latest."""


def stop_reading() -> None:
    """End the current read before its request ends, because the request goes on to wait, for an event for example.

    It then neither counts as slow nor keeps a place of the tenant's. What it reads after the wait has to be small.
    """
    if (end := g.pop("end_read", None)) is not None:
        end()


def init_slow_reads(app: Flask, settings: Settings) -> None:
    """Bound slow reads where the settings do. To be called after authentication, so that the tenant is known."""
    app.before_request(precedence.begin)
    app.teardown_request(lambda error: precedence.end())
    limit = settings.tenant_slow_reads
    if not limit:
        return
    share = Share(limit, WAITING_FOR_EACH * limit)
    switching = _Switching()
    slow_until: OrderedDict[tuple[str, str], float] = OrderedDict()
    running = _Running()

    @app.before_request
    def enter() -> None:
        caller, rule = g.get("caller"), request.url_rule
        if caller is None or rule is None or request.method != "GET":
            return
        read = caller.tenant, rule.endpoint
        now = time.monotonic()
        is_bounded = slow_until.get(read, 0.0) > now or running.find_oldest(read, now) < now - SLOW_SECONDS
        if is_bounded:
            if not share.enter(caller.tenant, WAIT_SECONDS):
                raise TooManySlowReads(retry_after_seconds=WAIT_SECONDS)
            switching.begin()
        g.end_read = partial(end, read, running.begin(read), is_bounded)

    @app.teardown_request
    def leave(error: BaseException | None) -> None:
        stop_reading()

    def end(read: tuple[str, str], began: float, is_bounded: bool) -> None:
        if is_bounded:
            share.leave(read[0])
            switching.end()
        running.end(read, began)
        now = time.monotonic()
        if now - began > SLOW_SECONDS:
            # Taken out and put at the end: another thread may take it out at any moment.
            slow_until.pop(read, None)
            slow_until[read] = now + SLOW_FOR_SECONDS
            if len(slow_until) > REMEMBERED:
                slow_until.popitem(last=False)
        elif slow_until:
            slow_until.pop(read, None)


class _Switching:
    """Lets threads take turns more often while slow reads run. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._usual_seconds = sys.getswitchinterval()

    def begin(self) -> None:
        with self._lock:
            self._running += 1
            if self._running == 1:
                self._usual_seconds = sys.getswitchinterval()
                sys.setswitchinterval(min(SWITCH_SECONDS, self._usual_seconds))

    def end(self) -> None:
        with self._lock:
            self._running -= 1
            if self._running == 0:
                sys.setswitchinterval(self._usual_seconds)


class _Running:
    """When the reads that run now began, so that one counts as slow before it ends. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began: dict[tuple[str, str], list[float]] = {}

    def begin(self, read: tuple[str, str]) -> float:
        """Note a read; return the time of its beginning, which names it to :meth:`end`."""
        with self._lock:
            now = time.monotonic()
            self._began.setdefault(read, []).append(now)
            return now

    def end(self, read: tuple[str, str], began: float) -> None:
        with self._lock:
            others = self._began[read]
            others.remove(began)
            if not others:
                del self._began[read]

    def find_oldest(self, read: tuple[str, str], default: float) -> float:
        """Return when the oldest of these reads began, or the default where none runs."""
        with self._lock:
            return self._began.get(read, (default,))[0]
