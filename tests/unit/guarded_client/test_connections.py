"""Connections are kept alive and reused only while they are clean."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from tests.unit.guarded_client.calls import create, get
from videoconf.errors import (
    ProviderConflict,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
)
from videoconf.providers import connection
from videoconf.providers.connection import Connections, Origin
from videoconf.testing.faulty_server import (
    FaultyServer,
    drip_body,
    endless,
    raw,
    reply,
    reset,
)


def test_connections_are_kept_alive(client, server):
    server.on("/x", reply(200, b"1"), reply(404, b"{}"), reply(500), reply(200, b"2"))
    for _ in range(4):
        with contextlib.suppress(ProviderError):
            create(client, server.url("/x"), json={})
    assert (server.count("/x"), server.connection_count) == (4, 1)


def test_connection_that_the_peer_closed_is_not_reused(client, server):
    server.on("/x", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    for calls in range(1, 4):
        create(client, server.url("/x"))
        give_up = time.monotonic() + 5
        while server.open_connection_count and time.monotonic() < give_up:
            time.sleep(0.001)
        assert server.connection_count == calls


def test_connection_with_surplus_bytes_is_not_reused(client, server):
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    sent = threading.Event()

    def answer_twice(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue" + smuggled)
        time.sleep(0.02)  # the second one comes apart from the first, too late to be read with it
        exchange.send(smuggled)
        sent.set()
        return True

    server.on("/x", answer_twice, reply(200, b"real"))
    assert create(client, server.url("/x")).body == b"true"
    assert sent.wait(5)
    assert create(client, server.url("/x")).body == b"real"


def test_old_connection_is_not_reused(client, server, monkeypatch):
    server.on("/x", reply())
    create(client, server.url("/x"))
    monkeypatch.setattr("videoconf.providers.connection.IDLE_SECONDS", 0)
    create(client, server.url("/x"))
    assert server.connection_count == 2


def test_reset_on_a_kept_connection_leaves_the_outcome_open(client, server):
    server.on("/x", reply(), reset())
    create(client, server.url("/x"))
    with pytest.raises(ProviderTimeout):
        create(client, server.url("/x"))
    assert (server.count("/x"), server.connection_count) == (2, 1)


def test_unread_error_body_does_not_spoil_the_next_answer(client, server):
    server.on("/x", endless(status=400), drip_body(0.05, status=409), reply(200, b"1"))
    with pytest.raises(ProviderRejected):
        create(client, server.url("/x"))
    with pytest.raises(ProviderConflict):
        create(client, server.url("/x"))
    assert create(client, server.url("/x")).json() == 1
    assert server.connection_count == 3


def test_threads_get_their_own_answers(make_client, server):
    client = make_client(slots=8)
    server.on("/echo", lambda exchange: reply(200, exchange.request.body)(exchange))
    wrong = []

    def work(worker):
        for i in range(25):
            sent = {"worker": worker, "i": i}
            if create(client, server.url("/echo"), json=sent).json() != sent:
                wrong.append(sent)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert server.count("/echo") == 200
    assert server.connection_count <= 8


def test_closing_twice_is_a_no_op(client, server):
    server.on("/x", reply())
    get(client, server.url("/x"))
    client.close()
    client.close()
    get(client, server.url("/x"))  # nothing is kept any more
    get(client, server.url("/x"))
    assert server.connection_count == 3


@pytest.fixture
def origins():
    """Eight servers that answer."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(FaultyServer()) for _ in range(8)]
        for one in servers:
            one.on("/x", reply(200, b"1"), reply(200, b"1"))
        yield servers


def test_connections_of_all_origins_together_are_few(origins, monkeypatch):
    """A tenant that names one receiver after another takes no open file for each."""
    monkeypatch.setattr(connection, "MOST_IDLE", 3)
    connections = Connections(size=2, connect_seconds=2, between_bytes_seconds=2)
    for one in origins:
        ask(connections, one)
    wait_for_open(origins, [0, 0, 0, 0, 0, 1, 1, 1])
    ask(connections, origins[-1])
    assert origins[-1].connection_count == 1, "it is kept alive"
    connections.close()


def test_connections_of_other_origins_end_when_they_are_old(origins, monkeypatch):
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.1)
    connections = Connections(size=2, connect_seconds=2, between_bytes_seconds=2)
    for one in origins[:3]:
        ask(connections, one)
    time.sleep(0.15)
    ask(connections, origins[3])
    wait_for_open(origins[:4], [0, 0, 0, 1])
    connections.close()


def ask(connections, server):
    origin = Origin("http", "127.0.0.1", server.port)
    with connections.use(origin, time.monotonic() + 5) as used:
        used.request("GET", "/x", preload_content=False)
        with contextlib.closing(used.getresponse()) as response:
            assert response.read() == b"1"


def wait_for_open(servers, wanted):
    give_up = time.monotonic() + 5
    while (found := [one.open_connection_count for one in servers]) != wanted and time.monotonic() < give_up:
        time.sleep(0.001)
    assert found == wanted
