"""Who takes a new connection: the worker that has fewest, or after a while anybody."""

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import ThreadWorker

from videoconf import serving
from videoconf.serving import MOST_WAITS, BalancedWorker


@pytest.fixture
def taken(monkeypatch):
    """The listeners of which a connection was taken, each as often as that."""
    taken = []
    monkeypatch.setattr(ThreadWorker, "accept", lambda self, listener: taken.append(listener))
    monkeypatch.setattr(ThreadWorker, "wait_for_and_dispatch_events", lambda self, timeout: None)
    monkeypatch.setattr(serving, "WAIT_SECONDS", 0.0)
    return taken


@pytest.fixture
def make_worker(taken):
    workers = []

    def make(connections):
        worker = BalancedWorker(len(workers) + 1, 0, [], None, 30, Config(), None)
        workers.append(worker)
        worker.nr_conns = connections
        worker.wait_for_and_dispatch_events(1.0)
        return worker

    yield make
    for worker in workers:
        worker.leave()
        worker.tmp.close()


@pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (3, 3), (3, 4)])
def test_who_has_fewest_takes_a_connection_at_once(make_worker, taken, ours, theirs):
    worker, _ = make_worker(ours), make_worker(theirs)
    worker.accept("a")
    assert taken == ["a"]


def test_who_has_more_leaves_it_for_a_while(make_worker, taken):
    busy, _ = make_worker(4), make_worker(3)
    for _ in range(MOST_WAITS):
        busy.accept("a")
    assert taken == []
    busy.accept("a")
    busy.accept("b")
    assert taken == ["a"], "it waits anew for the next one"


def test_nobody_waits_for_a_worker_that_is_alone_stops_or_is_gone(make_worker, taken):
    busy = make_worker(4)
    busy.accept("alone")
    stopping, gone = make_worker(0), make_worker(0)
    stopping.alive = False
    stopping.wait_for_and_dispatch_events(1.0)
    gone.leave()
    busy.accept("last")
    assert taken == ["alone", "last"]


def test_a_worker_that_has_fewer_again_is_waited_for(make_worker, taken):
    busy, other = make_worker(4), make_worker(9)
    other.nr_conns = 0
    other.wait_for_and_dispatch_events(1.0)
    busy.accept("a")
    assert taken == []
