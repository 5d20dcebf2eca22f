"""The threads that run due jobs, in a server process or in a worker of its own."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from videoconf.db.failures import cause_of
from videoconf.errors import VideoconfError
from videoconf.jobs.queue import Jobs
from videoconf.jobs.work import Lane
from videoconf.observability.metrics import JOB_THREADS_ENDED

logger = logging.getLogger(__name__)

IDLE_SECONDS = 2.0
THREADS_PER_OTHER_ONE = 4
LEAST_OF_OTHERS = 2
REPORT_SECONDS = 300.0


class Worker:
    """Threads that run due jobs until they are stopped. Any number may run, in any number of processes.

    Each lane has threads of its own: neither an hour of copying nor a storage target that stalls keeps an end of a
    meeting waiting.

    :param threads: of the ordinary lane. Each other lane has one for each four of them, and at least two, because it
        runs one job of a tenant at a time (:meth:`Jobs.run_due`).
    """

    def __init__(self, jobs: Jobs, context: Callable[[], AbstractContextManager[Any]], *, threads: int = 1) -> None:
        self._jobs = jobs
        self._context = context
        self._stopping = threading.Event()
        few = max(LEAST_OF_OTHERS, threads // THREADS_PER_OTHER_ONE)
        lanes = [Lane.ORDINARY] * threads + [Lane.LONG] * few + [Lane.ERASURES] * few
        self._lock = threading.Lock()
        self._threads = [self._thread(place, lane) for place, lane in enumerate(lanes)]
        self._ended = 0

    def _thread(self, place: int, lane: Lane) -> threading.Thread:
        return threading.Thread(target=self._keep, args=(place, lane), name="videoconf-worker", daemon=True)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def state(self) -> str:
        """``ok``, or how many threads run and how many ended and were started again, for readiness."""
        running = sum(thread.is_alive() for thread in self._threads)
        if running == len(self._threads) and not self._ended:
            return "ok"
        return f"{running} of {len(self._threads)} threads run; {self._ended} ended and were started again"

    def stop(self, timeout_seconds: float = 30.0) -> None:
        """Let the jobs under way finish, then stop."""
        with self._lock:  # no thread is started from here on
            self._stopping.set()
        give_up_at = time.monotonic() + timeout_seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, give_up_at - time.monotonic()))

    def _keep(self, place: int, lane: Lane) -> None:
        """Run a lane. A thread that ends before :meth:`stop` starts the next one, whatever ended it."""
        try:
            self._run(lane, reports=place == 0)
        except BaseException:  # SystemExit, a cancelled coroutine or a plugin's own: in a thread no caller sees it
            logger.exception("a job thread ended and is started again")
        finally:
            while not self._stopping.wait(IDLE_SECONDS):  # one that ends at once must not keep a CPU busy
                if self._start_again(place, lane):
                    break

    def _start_again(self, place: int, lane: Lane) -> bool:
        """Start a lane's next thread unless :meth:`stop` was called; return whether it needs no further attempt."""
        with self._lock:
            if self._stopping.is_set():
                return True
            thread = self._thread(place, lane)
            try:
                thread.start()
            except RuntimeError as error:  # the system has no thread to spare at this moment
                logger.warning("a job thread could not be restarted: %s", error)
                return False
            self._threads[place] = thread
            self._ended += 1
            JOB_THREADS_ENDED.inc()
            return True

    def _run(self, lane: Lane, *, reports: bool) -> None:
        """Run until :meth:`stop`. While the database is away, wait for it, and log that once.

        :param reports: whether this thread logs now and then that it works, so that a quiet log is not an empty one.
        """
        told, tried, reported = "", 0, time.monotonic()
        while not self._stopping.is_set():
            try:
                with self._context():
                    tried += self._jobs.run_due(self._stopping.is_set, lane=lane)
                    if reports and time.monotonic() - reported >= REPORT_SECONDS:
                        self._report(tried)
                        tried, reported = 0, time.monotonic()
                told = ""
            except VideoconfError as error:
                if error.code != told:
                    logger.warning("job worker paused: %s: %s%s", error.code, error.detail, cause_of(error))
                told = error.code
            except Exception:
                logger.exception("job worker continues after an error")
            self._stopping.wait(IDLE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311  # spreads workers, hides nothing

    def _report(self, tried: int) -> None:
        found = self._jobs.measure()
        logger.info(
            "the worker works",
            extra={"jobs_tried": tried, "jobs": dict(found.by_state), "lag_seconds": round(found.lag_seconds)},
        )
