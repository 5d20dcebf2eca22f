"""Limit the slow reads of a tenant: large lists and reports delay only further reads of the same tenant.

Which reads are slow is measured, for each tenant and route: after one that cost much, the next ones run a few at a time
until one is quick again. Quick reads are never held up. Meanwhile long reads give way to them: see
:mod:`videoconf.precedence`.

The measure is processor time, because time on the clock says as much about the machine: where all processes wait for a
processor for a second, every read takes a second. A read that waits for the database longer than any machine lets it
counts as slow too.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from flask import Flask, g, request

from videoconf.errors import TooManySlowReads
from videoconf.precedence import precedence
from videoconf.settings import Settings
from videoconf.shares import Share

SLOW_CPU_SECONDS = 0.1
SLOW_SECONDS = 2.0
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


def init_slow_reads(app: Flask, settings: Settings) -> None:
    """Bound slow reads where the settings do. To be called after authentication, so that the tenant is known."""
    if settings.tenant_slow_reads:
        reads = _Reads(settings.tenant_slow_reads)
        app.before_request(lambda: precedence.begin(on_block=reads.look))
        app.before_request(reads.begin)
    else:
        app.before_request(precedence.begin)

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        stop_reading()
        precedence.end()


def stop_reading() -> None:
    """End the current read before its request ends, because the request goes on to wait, for an event for example.

    It then neither counts as slow nor keeps a place of the tenant's. What it reads after the wait has to be small.
    """
    if (reading := g.pop("reading", None)) is not None:
        reads, read = reading
        reads.end(read)


@dataclass(frozen=True, eq=False)
class _Read:
    """A read that runs, in the thread that made this."""

    key: tuple[str, str]
    """Tenant and route."""
    is_bounded: bool
    began: float = field(default_factory=time.monotonic)
    cpu_began: float = field(default_factory=time.thread_time)

    def is_slow(self) -> bool:
        return time.thread_time() - self.cpu_began > SLOW_CPU_SECONDS or self.takes_long()

    def takes_long(self) -> bool:
        return time.monotonic() - self.began > SLOW_SECONDS


class _Reads:
    """The reads that run, and which are slow. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._share = Share(limit, WAITING_FOR_EACH * limit)
        self._switching = _Switching()
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str], list[_Read]] = {}
        self._slow_until: OrderedDict[tuple[str, str], float] = OrderedDict()

    def begin(self) -> None:
        """Let the request of this thread read, if it reads; wait first where such reads are slow.

        :raises TooManySlowReads: too many of the tenant's wait.
        """
        caller, rule = g.get("caller"), request.url_rule
        if caller is None or rule is None or request.method != "GET":
            return
        key = caller.tenant, rule.endpoint
        is_bounded = self._are_slow(key)
        if is_bounded:
            if not self._share.enter(caller.tenant, WAIT_SECONDS):
                raise TooManySlowReads(retry_after_seconds=WAIT_SECONDS)
            self._switching.begin()
        read = _Read(key, is_bounded)
        with self._lock:
            self._running.setdefault(key, []).append(read)
        g.reading = self, read

    def look(self) -> None:
        """Note it if the read of this thread has become slow."""
        if (reading := g.get("reading")) is not None and reading[1].is_slow():
            self._note_slow(reading[1].key)

    def end(self, read: _Read) -> None:
        """Note how slow a read was, and give its place to the next."""
        if read.is_bounded:
            self._share.leave(read.key[0])
            self._switching.end()
        with self._lock:
            others = self._running[read.key]
            others.remove(read)
            if not others:
                del self._running[read.key]
        if read.is_slow():
            self._note_slow(read.key)
        elif self._slow_until:
            with self._lock:
                self._slow_until.pop(read.key, None)

    def _are_slow(self, key: tuple[str, str]) -> bool:
        with self._lock:
            oldest = self._running.get(key)
            return self._slow_until.get(key, 0.0) > time.monotonic() or (oldest is not None and oldest[0].takes_long())

    def _note_slow(self, key: tuple[str, str]) -> None:
        with self._lock:
            self._slow_until[key] = time.monotonic() + SLOW_FOR_SECONDS
            self._slow_until.move_to_end(key)
            if len(self._slow_until) > REMEMBERED:
                self._slow_until.popitem(last=False)


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
