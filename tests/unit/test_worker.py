"""Worker threads that find nothing to do wait, and so do those that fail: none of them keeps a CPU busy."""

import asyncio
import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain, pairwise
from statistics import median
from typing import Any

import pytest
from prometheus_client import REGISTRY

from videoconf.errors import DatabaseBusy, DatabaseUnavailable
from videoconf.jobs import worker as module
from videoconf.jobs.work import Lane, Measured
from videoconf.jobs.worker import IDLE_SECONDS, Worker

ONE_WAIT_AT_LEAST = 0.9
"""Seconds, a bit less than the shortest wait of a worker."""
SHORT_IDLE_SECONDS = 0.4
THREADS = {Lane.ORDINARY: 1, Lane.LONG: 2, Lane.ERASURES: 2}
"""A worker with one ordinary thread has these."""


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers wait a fifth of their time."""
    monkeypatch.setattr(module, "IDLE_SECONDS", SHORT_IDLE_SECONDS)


class Queue:
    """Notes when each lane and each thread looks for work, and answers as the test says."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.looked: Counter[Lane] = Counter()
        self.times: defaultdict[tuple[Lane, int], list[float]] = defaultdict(list)
        self.error = error

    def run_due(self, stopping: Callable[[], bool], *, lane: Lane) -> int:
        self.times[lane, threading.get_ident()].append(time.monotonic())
        self.looked[lane] += 1
        if self.error is not None:
            raise self.error
        return 0

    def have_all_looked(self, times: int) -> bool:
        return all(self.looked[lane] >= times * threads for lane, threads in THREADS.items())


class OnceBroken(Queue):
    """Raises the error when a lane looks first."""

    def run_due(self, stopping: Callable[[], bool], *, lane: Lane) -> int:
        try:
            return super().run_due(stopping, lane=lane)
        except BaseException:
            if self.looked[lane] == 1:
                raise
            return 0


@contextmanager
def running(queue: Any, threads: int = 1, context: Callable[[], Any] = nullcontext) -> Iterator[Worker]:
    worker = Worker(queue, context, threads=threads)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop(5)


def ended_threads() -> float:
    return REGISTRY.get_sample_value("videoconf_job_threads_ended_total") or 0


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something that threads bring about, however slow the machine is."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.parametrize("error", [None, DatabaseUnavailable(), RuntimeError("a bug")], ids=["idle", "away", "bug"])
def test_idle_lane_looks_once_and_waits(error: Exception | None) -> None:
    queue = Queue(error)
    with running(queue) as worker:
        time.sleep(ONE_WAIT_AT_LEAST)
        assert worker.state == "ok"
    assert queue.looked == THREADS


@pytest.mark.parametrize("error", [None, DatabaseUnavailable(), RuntimeError("a bug")], ids=["idle", "away", "bug"])
@pytest.mark.usefixtures("short_waits")
def test_idle_lane_looks_again_within_three_seconds(error: Exception | None) -> None:
    queue = Queue(error)
    with running(queue):
        wait_until(lambda: queue.have_all_looked(3))
    gaps = [after - before for times in queue.times.values() for before, after in pairwise(times)]
    assert len(gaps) >= 2 * sum(THREADS.values())
    assert min(gaps) > SHORT_IDLE_SECONDS * 0.4, "a half, less what a clock may be off"
    assert median(gaps) < SHORT_IDLE_SECONDS * 1.5
    assert IDLE_SECONDS * 1.5 <= 3


def test_stop_does_not_wait_for_the_idle_time() -> None:
    queue = Queue()
    with running(queue) as worker:
        time.sleep(0.1)
        begin = time.monotonic()
        worker.stop(20)
        assert time.monotonic() - begin < ONE_WAIT_AT_LEAST


def test_stop_gives_up_on_a_job_that_does_not_end() -> None:
    begun, release = threading.Event(), threading.Event()

    class Hanging(Queue):
        def run_due(self, stopping: Callable[[], bool], *, lane: Lane) -> int:
            begun.set()
            assert release.wait(10)
            assert stopping()
            return 1

    worker = Worker(Hanging(), nullcontext)
    worker.start()
    assert begun.wait(5)
    begin = time.monotonic()
    worker.stop(0.3)
    assert 0.2 < time.monotonic() - begin < 2
    release.set()


@pytest.mark.usefixtures("short_waits")
def test_stop_waits_for_a_thread_that_is_being_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the job of a thread that replaces another one would still run after :meth:`Worker.stop`."""
    begun, started, release = threading.Event(), threading.Event(), threading.Event()
    start = threading.Thread.start

    class Ending(Queue):
        def run_due(self, stopping: Callable[[], bool], *, lane: Lane) -> int:
            if lane is Lane.ORDINARY:
                if not started.is_set():
                    raise SystemExit(1)
                begun.set()
                assert release.wait(10)
            return 0

    def start_slowly(thread: threading.Thread) -> None:
        started.set()
        start(thread)
        if thread.name == "videoconf-worker":
            assert begun.wait(10)
            time.sleep(0.3)  # meanwhile the worker is stopped

    with running(Ending()) as worker:
        monkeypatch.setattr(threading.Thread, "start", start_slowly)
        assert begun.wait(10)
        stopping = threading.Thread(target=worker.stop, args=(20,))
        stopping.start()
        stopping.join(1)
        assert stopping.is_alive(), "the job runs"
        release.set()
        stopping.join(10)
        assert not stopping.is_alive()


@pytest.mark.usefixtures("short_waits")
def test_stopped_worker_starts_no_further_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is stopped between the wait of a thread that ended and the start of the next one."""
    wait = threading.Event.wait

    def wait_and_stop(event: threading.Event, timeout: float | None = None) -> bool:
        is_set = wait(event, timeout)
        if threading.current_thread().name == "videoconf-worker" and not is_set:
            stopping = threading.Thread(target=worker.stop, args=(0,))
            stopping.start()
            stopping.join()
        return is_set

    worker = Worker(Queue(SystemExit(1)), nullcontext)
    monkeypatch.setattr(threading.Event, "wait", wait_and_stop)
    worker.start()
    wait_until(lambda: worker.state.startswith("0 of 5"))
    assert worker.state == "0 of 5 threads run; 0 ended and were started again"


def test_stop_gives_jobs_thirty_seconds_together(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    with running(Queue()) as worker, monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "is_alive", lambda thread: True)
        patch.setattr(threading.Thread, "join", lambda thread, timeout: waits.append(timeout) or time.sleep(0.01))
        worker.stop()
    assert waits == sorted(waits, reverse=True)
    assert 29 < waits[-1] < waits[0] <= 30


def test_worker_that_was_not_started_stops() -> None:
    Worker(Queue(), nullcontext).stop()


def test_state_counts_threads_that_run() -> None:
    worker = Worker(Queue(), nullcontext)
    at_rest = "0 of 5 threads run; 0 ended and were started again"
    assert worker.state == at_rest
    worker.start()
    assert worker.state == "ok"
    threads = [thread for thread in threading.enumerate() if thread.name == "videoconf-worker"]
    assert [thread.daemon for thread in threads] == [True] * 5, "a process can end without them"
    worker.stop(5)
    assert worker.state == at_rest


@pytest.mark.parametrize(("threads", "others"), [(1, 2), (3, 2), (4, 2), (8, 2), (12, 3)])
def test_other_lanes_have_a_quarter_and_two_at_least(threads: int, others: int) -> None:
    queue = Queue()
    with running(queue, threads):
        time.sleep(0.3)
    assert queue.looked == {Lane.ORDINARY: threads, Lane.LONG: others, Lane.ERASURES: others}


@pytest.mark.usefixtures("short_waits")
def test_waits_of_several_workers_differ() -> None:
    """Workers that start together do not ask the database together for ever."""
    seen: list[float] = []

    class Noting(Queue):
        def run_due(self, stopping: Callable[[], bool], *, lane: Lane) -> int:
            seen.append(time.monotonic())
            return 0

    with running(Noting(), threads=12):
        wait_until(lambda: len(seen) >= 36)
    second = sorted(seen)[18:36]  # twelve threads, and three of each other lane
    assert second[-1] - second[0] > SHORT_IDLE_SECONDS / 4


@pytest.mark.usefixtures("short_waits")
def test_database_that_stays_away_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(DatabaseUnavailable())
    with caplog.at_level(logging.WARNING), running(queue):
        wait_until(lambda: queue.have_all_looked(3))
        first = len(caplog.records)
        queue.error = DatabaseBusy()
        queue.looked.clear()
        wait_until(lambda: queue.have_all_looked(3))
    assert first == 5, "once by each thread"
    assert len(caplog.records) == 10, "another error is reported too"


def test_one_thread_reports_the_jobs_of_each_period(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(module, "REPORT_SECONDS", 0.4)
    reports: list[tuple[int, int, float]] = []

    class Busy(Queue):
        def run_due(self, stopping: Callable[[], bool], *, lane: Lane) -> int:
            return super().run_due(stopping, lane=lane) + 1

        def measure(self) -> Measured:
            reports.append((threading.get_ident(), self.looked[Lane.ORDINARY], time.monotonic()))
            return Measured({"due": 2}, 1.6)

    queue, begin = Busy(), time.monotonic()
    with caplog.at_level(logging.INFO), running(queue):
        wait_until(lambda: len(caplog.records) >= 3)
    threads, looks, times = zip(*reports, strict=True)
    assert set(threads) == {thread for lane, thread in queue.times if lane is Lane.ORDINARY}
    assert all(after - before >= 0.4 for before, after in pairwise((begin, *times)))
    told = [vars(record) for record in caplog.records]
    found = [(one["jobs_tried"], one["jobs"], one["lag_seconds"]) for one in told]
    assert found == [(after - before, {"due": 2}, 2) for before, after in pairwise((0, *looks))]


@pytest.mark.usefixtures("short_waits")
def test_lane_goes_on_when_no_thread_could_be_started_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = OnceBroken(SystemExit(1))
    start, refused = threading.Thread.start, iter(range(3))

    def start_unless_exhausted(thread: threading.Thread) -> None:
        if thread.name == "videoconf-worker" and next(refused, None) is not None:
            raise RuntimeError("can't start new thread")
        start(thread)

    with running(queue) as worker:
        monkeypatch.setattr(threading.Thread, "start", start_unless_exhausted)
        wait_until(lambda: queue.have_all_looked(2) and worker.state.startswith("5 of 5 threads run; 3"))
        assert next(refused, None) is None, "each lane was refused a thread"
        assert worker.state == "5 of 5 threads run; 3 ended and were started again"


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("error", [SystemExit(1), GeneratorExit(), asyncio.CancelledError(), KeyboardInterrupt()])
def test_job_thread_that_ends_is_started_again(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    queue, counted = OnceBroken(error), ended_threads()
    with running(queue) as worker:
        wait_until(lambda: queue.have_all_looked(2) and worker.state.startswith("5 of 5 threads run; 3"))
        assert worker.state == "5 of 5 threads run; 3 ended and were started again"
    [first, second, *_] = sorted(chain(*(times for (lane, _), times in queue.times.items() if lane is Lane.ORDINARY)))
    assert second - first >= SHORT_IDLE_SECONDS, "no CPU is kept busy"
    assert "is started again" in caplog.text
    assert ended_threads() - counted == 3
    time.sleep(0.1)
    assert not [thread for thread in threading.enumerate() if thread.name == "videoconf-worker"]


def test_ended_thread_is_replaced_once() -> None:
    queue = Queue(SystemExit(1))
    with running(queue) as worker:
        time.sleep(0.5)
        queue.error = None
        time.sleep(5)
        assert worker.state == "5 of 5 threads run; 5 ended and were started again"
