"""Long reads pause while quick requests run in the same process."""

import threading
import time
from contextlib import contextmanager

import pytest

from videoconf import precedence as module
from videoconf.precedence import giving_way


@pytest.fixture
def precedence(monkeypatch):
    """Give the process's precedence, with times that a busy machine keeps; this thread serves no request afterwards."""
    monkeypatch.setattr(module, "QUICK_SECONDS", 0.3)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 5.0)
    yield module.precedence
    module.precedence.end()


@contextmanager
def request_elsewhere(precedence):
    """Serve a request in another thread; give the function that ends it."""
    begun, over = threading.Event(), threading.Event()

    def serve():
        precedence.begin()
        begun.set()
        over.wait(10)
        precedence.end()

    thread = threading.Thread(target=serve)
    thread.start()
    begun.wait(5)
    yield over.set
    over.set()
    thread.join()


def seconds_of_one_block():
    began = time.monotonic()
    assert list(giving_way(range(module.ROWS_AT_ONCE))) == list(range(module.ROWS_AT_ONCE))
    return time.monotonic() - began


def become_long(precedence):
    precedence.begin()
    time.sleep(module.QUICK_SECONDS)


def test_long_read_pauses_until_a_quick_request_ends(precedence):
    become_long(precedence)
    with request_elsewhere(precedence) as end:
        threading.Timer(0.1, end).start()
        assert 0.05 < seconds_of_one_block() < 3


def test_long_read_pauses_for_a_bounded_time(precedence, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.02)
    become_long(precedence)
    with request_elsewhere(precedence):
        assert 0.015 < seconds_of_one_block() < 1


def test_request_that_takes_long_has_no_precedence(precedence):
    become_long(precedence)
    with request_elsewhere(precedence):
        time.sleep(module.QUICK_SECONDS)
        assert seconds_of_one_block() < 1


def test_quick_request_does_not_pause(precedence):
    precedence.begin()
    with request_elsewhere(precedence):
        assert seconds_of_one_block() < 1


def test_work_outside_a_request_does_not_pause(precedence):
    become_long(precedence)
    precedence.end()
    with request_elsewhere(precedence):
        assert seconds_of_one_block() < 1


def test_long_read_alone_does_not_pause(precedence):
    become_long(precedence)
    assert seconds_of_one_block() < 1


def test_long_read_is_looked_at_before_each_block(precedence):
    looks = []
    precedence.begin(on_block=lambda: looks.append(1))
    seconds_of_one_block()
    assert not looks, "it is quick so far"
    time.sleep(module.QUICK_SECONDS)
    seconds_of_one_block()
    seconds_of_one_block()
    assert len(looks) == 2
