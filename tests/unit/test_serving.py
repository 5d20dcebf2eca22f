"""Which worker accepts a new connection: the one with the fewest, or after some milliseconds any."""

import selectors
import socket
import time

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import ThreadWorker

from videoconf.serving import BalancedWorker
from videoconf.serving.worker import MOST_WAITS


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def accepted(monkeypatch):
    """The listeners of which a connection was accepted, in order."""
    accepted = []
    monkeypatch.setattr(ThreadWorker, "accept", lambda self, listener: accepted.append(listener))
    monkeypatch.setattr(ThreadWorker, "wait_for_and_dispatch_events", lambda self, timeout: None)
    return accepted


@pytest.fixture
def make_worker(accepted, listener):
    workers = []

    def make(connections):
        worker = BalancedWorker(len(workers) + 1, 0, [listener], None, 30, Config(), None)
        workers.append(worker)
        worker.poller = selectors.DefaultSelector()
        worker.set_accept_enabled(True)
        worker.nr_conns = connections
        worker.wait_for_and_dispatch_events(1.0)
        return worker

    yield make
    for worker in workers:
        worker.leave()
        worker.poller.close()
        worker.tmp.close()


def is_polled(worker, listener):
    return listener in worker.poller.get_map()


@pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (3, 3), (3, 4)])
def test_worker_with_fewest_connections_accepts_at_once(make_worker, accepted, listener, ours, theirs):
    worker, _ = make_worker(ours), make_worker(theirs)
    worker.accept(listener)
    assert accepted == [listener]


def test_a_worker_with_more_leaves_a_connection_without_waiting(make_worker, accepted, listener):
    busy, _ = make_worker(4), make_worker(3)
    for _ in range(MOST_WAITS):
        busy.accept(listener)
        assert not is_polled(busy, listener), "its loop goes on and does not spin"
        time.sleep(0.002)
        busy.wait_for_and_dispatch_events(1.0)
        assert is_polled(busy, listener)
    assert accepted == []
    busy.accept(listener)
    busy.accept(listener)
    assert accepted == [listener], "the next connection is left again"


def test_a_worker_that_stops_accepting_polls_no_listener(make_worker, listener):
    busy, _ = make_worker(4), make_worker(3)
    busy.accept(listener)
    busy.set_accept_enabled(False)
    time.sleep(0.002)
    busy.wait_for_and_dispatch_events(1.0)
    assert not is_polled(busy, listener)
    busy.set_accept_enabled(True)
    assert is_polled(busy, listener)


def test_worker_does_not_wait_for_stopping_or_gone_workers(make_worker, accepted, listener):
    busy = make_worker(4)
    busy.accept(listener)
    stopping, gone = make_worker(0), make_worker(0)
    stopping.alive = False
    stopping.wait_for_and_dispatch_events(1.0)
    gone.leave()
    busy.accept(listener)
    assert accepted == [listener] * 2


def test_a_worker_that_has_fewer_again_is_waited_for(make_worker, accepted, listener):
    busy, other = make_worker(4), make_worker(9)
    other.nr_conns = 0
    other.wait_for_and_dispatch_events(1.0)
    busy.accept(listener)
    assert accepted == []
