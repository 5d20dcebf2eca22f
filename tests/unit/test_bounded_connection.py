"""The time to connect covers the connection and the TLS handshake together."""

import socket
import ssl
import time
from contextlib import closing
from functools import partial

import pytest
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ProtocolError
from urllib3.util import connection as connecting

from videoconf.bounded_connection import BoundedConnection, Bounds, call_within
from videoconf.testing import FaultyServer
from videoconf.testing.faulty_server import raw


class Connection(BoundedConnection, HTTPSConnection):
    pass


class PlainConnection(BoundedConnection, HTTPConnection):
    pass


class Counted(Bounds):
    """Counts what is read."""

    received_bytes = 0

    def received(self, count: int) -> None:
        self.received_bytes += count


def test_handshake_has_the_time_left_after_connecting(monkeypatch):
    real = connecting.create_connection

    def slow(*args, **kwargs):
        time.sleep(0.8)
        return real(*args, **kwargs)

    monkeypatch.setattr(connecting, "create_connection", slow)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = Connection("127.0.0.1", silent.getsockname()[1], timeout=1.0)
        connection.bounds = Bounds()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.connect()
        assert time.monotonic() - began < 1.5
        connection.close()


def test_a_deadline_that_has_passed_connects_to_nothing():
    connection = Connection("127.0.0.1", 9, ssl_context=ssl.create_default_context())
    connection.bounds = Bounds(time.monotonic() - 1)
    with pytest.raises(TimeoutError, match="deadline"):
        connection.connect()


def test_a_call_within_a_time_passes_results_and_errors():
    assert call_within(5.0, sorted, [2, 1]) == [1, 2]
    with pytest.raises(ZeroDivisionError):
        call_within(5.0, divmod, 1, 0)
    with pytest.raises(TimeoutError):
        call_within(0.05, time.sleep, 0.5)


@pytest.mark.parametrize("size", [b"-1", b"-2", b"-fffff"])
def test_chunk_of_negative_size_is_not_read_to_the_end(size):
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + b"x" * (4 << 20)
    with FaultyServer() as server:
        server.on("/", raw(answer))
        with closing(PlainConnection("127.0.0.1", server.port)) as connection:
            connection.bounds = Counted()
            connection.request("GET", "/", preload_content=False)
            response = connection.getresponse()
            with pytest.raises(ProtocolError):
                b"".join(iter(partial(response.read, 1 << 10), b""))
            assert connection.bounds.received_bytes < 1 << 20


def test_chunks_are_read_in_parts_of_any_size():
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\n\r\n"
    with FaultyServer() as server:
        server.on("/", raw(answer))
        for amount in (1, 2, 4, 8, 100):
            with closing(PlainConnection("127.0.0.1", server.port)) as connection:
                connection.bounds = Bounds()
                connection.request("GET", "/", preload_content=False)
                response = connection.getresponse()
                assert b"".join(iter(partial(response.read, amount), b"")) == b"abcdefgh"
