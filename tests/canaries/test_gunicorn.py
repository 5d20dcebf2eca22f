"""Canaries for gunicorn 26.0.0 to 27.0.1: what videoconf/serving/worker.py overrides and relies on in ``gthread``.

If a canary fails after an upgrade, serve with ``--worker-class=gthread`` (correct, without balance and without bounds
on hostile clients) or pin the older release in setup.cfg, then adapt ``BalancedWorker`` to the new one.
"""

import selectors
import socket
import time
from concurrent.futures import Future

import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser
from gunicorn.workers.gthread import TConn, ThreadWorker


class Noting(ThreadWorker):
    """A worker that notes what it would hand to a thread."""

    def enqueue_req(self, conn):
        self.queued = [*getattr(self, "queued", []), conn]


@pytest.fixture
def worker():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = Noting(1, 0, [listener], None, 30, Config(), None)
        worker.poller = selectors.DefaultSelector()
        yield worker
        worker.poller.close()
        worker.tmp.close()


@pytest.fixture
def client(worker):
    with socket.create_connection(worker.sockets[0].getsockname()) as client:
        client.settimeout(5)
        yield client


@pytest.fixture
def conn(worker, client):
    worker.set_accept_enabled(True)
    worker.wait_for_and_dispatch_events(5.0)
    [conn] = worker.queued
    yield conn
    conn.close()


def finished(result):
    future = Future()
    future.set_result(result)
    return future


def test_accept_counts_a_connection_and_enqueues_it(worker, conn):
    """``enqueue_req`` is overridden to wait for the request, and replaces ``sock``."""
    assert worker.nr_conns == 1
    assert isinstance(conn, TConn)
    assert type(conn.sock) is socket.socket
    assert conn.parser is None, "nothing has been read"


def test_accept_is_called_through_the_poller_with_the_listener(worker, client, monkeypatch):
    """``accept`` is overridden to leave a connection, and unregisters the listener for a moment."""
    accepted = []
    monkeypatch.setattr(worker, "accept", accepted.append)
    worker.set_accept_enabled(True)
    worker.wait_for_and_dispatch_events(5.0)
    assert accepted == worker.sockets
    worker.set_accept_enabled(False)
    assert not worker.poller.get_map()


def test_a_request_that_is_kept_alive_is_parked_then_enqueued(worker, client, conn):
    """``finish_request`` is overridden to close without waiting, and leaves keeping alive to gunicorn."""
    conn.init()
    worker.finish_request(conn, finished(True))
    assert list(worker.keepalived_conns) == [conn]
    assert conn.timeout > time.monotonic()
    client.sendall(b"G")
    worker.set_accept_enabled(False)
    worker.wait_for_and_dispatch_events(5.0)
    assert worker.queued == [conn, conn]
    assert not worker.keepalived_conns
    assert not worker.poller.get_map(), "the poller does not have it when it is enqueued"


def test_murder_keepalived_closes_timed_out_connections(worker, client, conn):
    """The oldest idle connection is closed by its ``timeout`` when a worker is full or stops."""
    conn.init()
    worker.finish_request(conn, finished(True))
    conn.timeout = 0.0
    worker.murder_keepalived()
    assert worker.nr_conns == 0
    assert client.recv(1) == b""


def test_connection_marked_ready_does_not_wait_for_data(worker, conn):
    """``data_ready`` is set because the request has arrived; otherwise a thread opens a selector to wait."""
    conn.data_ready = True
    assert conn.wait_for_data(0.0) is True


def test_parser_reads_by_recv_and_keeps_the_next_request():
    """``ClientSocket.recv`` is where a thread waits; the bytes of a next request are in ``unreader.buf``."""

    class Source:
        def __init__(self, *parts):
            self.parts = list(parts)

        def recv(self, size):
            return self.parts.pop(0)

    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    parser = get_parser(Config(), Source(post + b"GET / "), ("127.0.0.1", 1))
    assert next(parser).body.read() == b"abc"
    assert parser.finish_body(deadline=time.monotonic() + 1)
    assert parser.unreader.buf.getvalue() == b"GET / "


def test_the_run_loop_uses_the_methods_that_are_overridden(worker, monkeypatch):
    """``wait_for_and_dispatch_events`` is where timers run; it also runs while the worker stops."""
    calls = []

    def wait(timeout):
        calls.append(timeout)
        worker.nr_conns = 1 if len(calls) < 3 else 0
        worker.alive = False

    worker.tpool = worker.get_thread_pool()
    worker.method_queue.init()
    monkeypatch.setattr(worker, "wait_for_and_dispatch_events", wait)
    monkeypatch.setattr(worker, "is_parent_alive", lambda: True)
    worker.run()
    assert len(calls) == 3
    worker.poller = selectors.DefaultSelector()  # the fixture closes it
