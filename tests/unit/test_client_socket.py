"""A thread waits for a client only where it may, and no longer than it may."""

import socket
import time

import pytest

from videoconf.serving.client_socket import ClientSocket, SlowReaders


@pytest.fixture
def pair():
    ours, client = socket.socketpair()
    ours.setblocking(False)
    taken = ClientSocket.take_over(ours, SlowReaders(1))
    with taken, client:
        yield taken, client


def test_a_read_that_may_not_wait_ends_at_once(pair):
    began = time.monotonic()
    with pytest.raises(ConnectionResetError):
        pair[0].recv(10)
    assert time.monotonic() - began < 0.5


def test_a_read_waits_until_its_time(pair):
    ours, client = pair
    ours.read_until = time.monotonic() + 0.3
    client.sendall(b"body")
    assert ours.recv(10) == b"body"
    with pytest.raises(ConnectionResetError):
        ours.recv(10)
    assert time.monotonic() >= ours.read_until


def test_peek_leaves_the_data(pair):
    ours, client = pair
    with pytest.raises(BlockingIOError):
        ours.peek()
    client.sendall(b"head")
    assert ours.peek() == ours.recv(10) == b"head"


def test_unread_answer_is_held_then_flushed(pair):
    ours, client = pair
    sent = bytes(range(256)) * 4000
    ours.sendall(sent)
    ours.sendall(b"end")
    assert ours.holds_answer
    received = bytearray()
    while not ours.flush():
        received += client.recv(1 << 16)
    ours.shutdown(socket.SHUT_WR)
    while part := client.recv(1 << 16):
        received += part
    assert received == sent + b"end"


def test_released_memory_can_be_used_again():
    readers = SlowReaders(1)
    assert readers.hold(20 << 20)
    assert not readers.hold(20 << 20)
    readers.release(20 << 20)
    assert readers.hold(20 << 20)
