"""Canaries for urllib3 2.8.0 and Python 3.11: what videoconf/bounded_connection.py relies on and no documentation says.

All names are public. If a canary fails after an upgrade, the deadlines and address checks of outgoing requests may have
stopped working: pin the older release in setup.cfg, then adapt ``BoundedConnection`` or ``BoundedSocket``.
"""

import socket
import ssl
import threading

import pytest
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from videoconf.testing.faulty_server import FaultyServer, black_hole, reply


@pytest.fixture
def server():
    with FaultyServer() as server:
        server.on("/x", reply(200, b"content"))
        yield server


def test_connect_uses_the_host_that_is_set_at_the_time(server):
    """``BoundedConnection.connect`` sets ``host`` to a checked address and back: nothing else may be resolved."""
    connection = HTTPConnection("name.invalid", server.port)
    connection.host = "127.0.0.1"
    connection.connect()
    connection.host = "name.invalid"
    connection.request("GET", "/x")
    assert connection.getresponse().data == b"content"
    connection.close()
    [request] = server.requests("/x")
    assert request.headers["host"] == f"name.invalid:{server.port}"


def test_connect_keeps_a_plain_socket_in_sock(server):
    """``BoundedConnection.connect`` replaces it by a ``BoundedSocket`` on the same descriptor."""
    connection = HTTPConnection("127.0.0.1", server.port)
    connection.connect()
    assert type(connection.sock) is socket.socket
    connection.close()


def test_connect_errors_are_those_that_try_the_next_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    with pytest.raises(NewConnectionError) as refused:
        HTTPConnection("127.0.0.1", closed).connect()
    assert isinstance(refused.value.__cause__, ConnectionRefusedError), "its text is the reason that is logged"
    with black_hole() as port, pytest.raises(ConnectTimeoutError):
        HTTPConnection("127.0.0.1", port, timeout=0.05).connect()


def test_a_response_is_read_by_recv_into_alone(server):
    """``BoundedSocket`` bounds ``recv_into``, ``send`` and ``sendall``; another way past it would have no bounds."""
    calls = set()

    class Noting(socket.socket):
        def __getattribute__(self, name):
            if name.startswith(("recv", "send", "read", "write")):
                calls.add(name)
            return super().__getattribute__(name)

    connection = HTTPConnection("127.0.0.1", server.port)
    connection.connect()
    connection.sock = Noting(fileno=connection.sock.detach())
    connection.request("POST", "/x", body=b"content")
    assert connection.getresponse().data == b"content"
    connection.close()
    assert calls == {"sendall", "recv_into"}


def test_sending_and_reading_set_the_time_out_of_the_connection(server):
    """``timeout`` becomes the longest silence, by ``settimeout`` of the socket."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.connect()
    seen = []

    class Noting(socket.socket):
        def settimeout(self, value):
            seen.append(value)
            super().settimeout(value)

    connection.sock = Noting(fileno=connection.sock.detach())
    connection.timeout = 3
    connection.request("GET", "/x")
    connection.timeout = 4
    connection.getresponse()
    connection.close()
    assert seen == [3, 4]


def test_tls_uses_the_set_socket_class_server_name_and_timeout():
    """The handshake is the overridden ``do_handshake``, with the server name that is set and not the address."""
    handshakes, names = [], []

    class Noting(ssl.SSLSocket):
        def do_handshake(self, block=False):
            handshakes.append((self.gettimeout(), self.server_hostname))
            super().do_handshake(block)

    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.sni_callback = lambda connection, name, context: names.append(name)

    def serve():
        accepted, _ = listener.accept()
        with accepted, pytest.raises(ssl.SSLError):  # it has no certificate; the name arrives before that matters
            server_context.wrap_socket(accepted, server_side=True)

    context = create_urllib3_context()
    context.sslsocket_class = Noting
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        connection = HTTPSConnection("127.0.0.1", listener.getsockname()[1], timeout=5, ssl_context=context)
        connection.server_hostname = "name.invalid"
        with pytest.raises(ssl.SSLError):
            connection.connect()
        thread.join()
    assert handshakes == [(5, "name.invalid")]
    assert names == ["name.invalid"]
