"""One attempt to deliver an event, to receivers that answer without end."""

import time

import pytest

from videoconf.events.sender import LARGEST_ANSWER_BYTES, Sender
from videoconf.storage import EndpointGuard
from videoconf.testing.faulty_server import FaultyServer, endless, reply


@pytest.fixture
def server():
    with FaultyServer() as server:
        yield server


@pytest.fixture
def post(server):
    sender = Sender(EndpointGuard(("*:*",), development=True))
    yield lambda: sender.post(server.url("/x"), {}, b"{}")
    sender.close()


def interim_answers(exchange):
    while not exchange.stopping.is_set() and exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100):
        pass
    return False


def long_head(exchange):
    exchange.send(b"HTTP/1.1 200 OK\r\n" + (b"X-Long: " + b"x" * 60_000 + b"\r\n") * 20 + b"Content-Length: 0\r\n\r\n")
    return False


@pytest.mark.parametrize("behaviour", [interim_answers, long_head])
def test_answer_without_an_end_ends_the_attempt(server, post, behaviour):
    server.on("/x", behaviour, reply(204))
    began = time.monotonic()
    assert post().error == "The connection failed."
    assert time.monotonic() - began < 5
    assert post().succeeded


def test_long_body_leaves_the_status(server, post):
    server.on("/x", endless(), reply(200, b"x" * 60_000), reply(200, b"x" * LARGEST_ANSWER_BYTES), reply(204))
    assert [post().status for _ in range(4)] == [200, 200, 200, 204]


def test_each_answer_of_a_connection_is_counted_alone(server, post):
    server.on("/x", *[reply(200, b"x" * 60_000)] * 8)
    assert {post().status for _ in range(8)} == {200}
    assert server.connection_count == 1
