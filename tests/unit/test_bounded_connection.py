"""The time to connect covers the connection and the TLS handshake together."""

import socket
import ssl
import time

import pytest
from urllib3.connection import HTTPSConnection
from urllib3.util import connection as connecting

from videoconf.bounded_connection import BoundedConnection, Bounds, call_within


class Connection(BoundedConnection, HTTPSConnection):
    pass


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
