"""A reader of the log that stalls delays no request, and all lines of a server have one format."""

import json
import os
import signal
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
import urllib3

from tests.support.service import ON_SQLITE

pytestmark = ON_SQLITE

COUNT = 400


@pytest.fixture
def pipe():
    ends = list(os.pipe())
    yield ends
    while ends:
        os.close(ends.pop())


def slowest(server, headers, count):
    """Return the longest time of a number of answered requests."""
    times = []
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        for _ in range(count):
            began = time.monotonic()
            assert pool.request("GET", f"{server.url}/session", headers=headers).status == 200
            times.append(time.monotonic() - began)
    return max(times)


def test_unread_log_pipe_delays_no_request(gunicorn_server, headers, pipe):
    server = gunicorn_server(workers=2, output=pipe[1])
    sent = {**headers(), "X-Request-ID": "x" * 120}
    many = [threading.Thread(target=slowest, args=(server, sent, 150)) for _ in range(4)]
    for one in many:
        one.start()
    for one in many:
        one.join(60)
    assert slowest(server, sent, 60) < 2
    assert server.is_up()
    # The master is not held up either: it replaces a worker, and stops when it is asked to.
    server.process.send_signal(signal.SIGHUP)
    time.sleep(1)
    server.wait_until_up()
    assert server.terminate(20) == 0


def test_lines_that_waited_are_written_when_the_pipe_is_read(gunicorn_server, headers, pipe):
    server = gunicorn_server(output=pipe[1])
    os.close(pipe.pop())
    sent = {**headers(), "X-Request-ID": "x" * 128}
    slowest(server, sent, COUNT)  # 120 kB of lines, and the pipe holds 64
    found = b""

    def drain():
        nonlocal found
        while part := os.read(pipe[0], 1 << 16):
            found += part

    reader = threading.Thread(target=drain)
    reader.start()
    server.terminate()
    reader.join(10)
    lines = [json.loads(line) for line in found.splitlines()]
    assert sum(line.get("request_id") == "x" * 128 and line["message"] == "request" for line in lines) == COUNT


def test_messages_of_gunicorn_are_json_as_all_others(gunicorn_server):
    server = gunicorn_server()
    for line in (b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01garbage\r\n\r\n", b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port), 10) as connection:
            connection.sendall(line)
            connection.recv(1000)
    server.terminate()
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert any("Invalid" in line["message"] for line in lines if line["logger"] == "gunicorn.error")
    assert any("Booting worker" in line["message"] for line in lines)


def test_line_between_two_requests_names_neither(gunicorn_server, headers):
    server = gunicorn_server(threads=1)
    assert urllib3.request("GET", f"{server.url}/session", headers={**headers(), "X-Request-ID": "first"}).status == 200
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port)) as client:
        client.sendall(b"GET / HTTP/9.9\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400")
    server.terminate()
    [line] = [json.loads(one) for one in server.log.splitlines() if "Invalid HTTP Version" in one]
    assert "request_id" not in line
