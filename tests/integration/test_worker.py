"""The worker with a small application: HTTP as ever, and no client that others wait for."""

import http.client
import os
import socket
import ssl
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import worker_app
from tests.support.servers import start_gunicorn

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
LAST = b"Connection: close\r\n\r\n"
UPLOAD = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"


@contextmanager
def servers(folder):
    """Give a function that starts a server; keywords are the worker's times and gunicorn's options."""
    with ExitStack() as stack:

        def start(*options, threads=4, ready=True, **times):
            gunicorn = [sys.executable, "-m", "gunicorn", "--config=gunicorn.conf.py", "tests.support.worker_app:app"]
            server = start_gunicorn(
                [*gunicorn, f"--threads={threads}", *options],
                folder / "gunicorn.log",
                Path(__file__).parents[2],
                {name: str(value) for name, value in times.items()},
            )
            stack.callback(server.close)
            if ready:
                server.wait_until_up()
            return server

        yield start


@pytest.fixture
def start(tmp_path):
    """Give a function that starts a server for this test."""
    with servers(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def server_of_module(tmp_path_factory):
    with servers(tmp_path_factory.mktemp("worker")) as start:
        yield start()


@pytest.fixture
def server(server_of_module):
    """Give a server with the worker's own times, which the tests share that leave it as it was."""
    yield server_of_module
    print(server_of_module.log)


@pytest.fixture
def connect():
    """Give a function that connects to a server and sends something."""
    with ExitStack() as stack:

        def connect(server, data=b"", *, receive_buffer=None):
            made = stack.enter_context(socket.socket())
            if receive_buffer is not None:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            made.settimeout(20)
            made.connect(("127.0.0.1", urlsplit(server.url).port))
            made.sendall(data)
            return made

        yield connect


def read(connection):
    """Read to the end; a reset is one too."""
    data = b""
    try:
        while part := connection.recv(1 << 16):
            data += part
    except ConnectionResetError:
        pass
    return data


def ask(connect, server, data=GET + LAST):
    """Return the answer on a connection of its own, and the seconds that it took."""
    began = time.monotonic()
    answer = read(connect(server, data))
    return answer, time.monotonic() - began


def assert_serves(connect, server, seconds=0.7):
    for _ in range(3):
        answer, took = ask(connect, server)
        assert answer.startswith(b"HTTP/1.1 200")
        assert took < seconds


# --- HTTP -----------------------------------------------------------------------------------------------------------


def test_a_connection_serves_one_request_after_another(server):
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)
    connection.connect()
    before = connection.sock
    for number in range(20):
        connection.request("POST", "/echo", body=str(number))
        assert connection.getresponse().read() == str(number).encode()
    assert connection.sock is before
    connection.close()


def test_pipelined_requests_are_all_answered(server, connect):
    post = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
    answer, took = ask(connect, server, post + b"one.." + GET + b"\r\n" + post + b"two.." + GET + LAST)
    assert answer.count(b"HTTP/1.1 200") == 4
    assert answer.index(b"one..") < answer.index(b"two..")
    assert took < 1


def test_a_request_in_parts_is_answered(server, connect):
    connection = connect(server)
    for part in (
        b"POST /echo HTT",
        b"P/1.1\r\nHost: x\r\nContent-Length: 6\r\nConnection: close\r\n\r",
        b"\nabc",
        b"def",
    ):
        connection.sendall(part)
        time.sleep(0.1)
    assert read(connection).endswith(b"\r\n\r\nabcdef")


@pytest.mark.parametrize("length", [100, 40_000, 3_000_000])
@pytest.mark.parametrize("framing", ["length", "chunks", "expectation"])
def test_a_body_of_any_length_arrives(server, connect, length, framing):
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    connection = connect(server)
    if framing == "chunks":
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % length)
        connection.sendall(b"b" * length + b"\r\n0\r\n\r\n")
    else:
        expect = b"Expect: 100-continue\r\n" if framing == "expectation" else b""
        connection.sendall(head + b"Content-Length: %d\r\n" % length + expect + b"\r\n")
        if expect:
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(b"b" * length)
    answer = read(connection)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"b", answer.index(b"\r\n\r\n")) == length


def test_file_is_sent_from_its_read_position(server, connect):
    answer, _ = ask(connect, server, b"GET /file HTTP/1.0\r\n\r\n")
    assert answer.partition(b"\r\n\r\n")[2] == Path(worker_app.__file__).read_bytes()[8:]


def test_a_client_that_half_closes_is_answered(server, connect):
    connection = connect(server, GET + b"\r\n")
    connection.shutdown(socket.SHUT_WR)
    assert read(connection).startswith(b"HTTP/1.1 200")


def test_a_client_that_reads_steadily_gets_a_long_answer(server, connect):
    length = 3_000_000
    connection = connect(server, b"GET /bytes/%d HTTP/1.0\r\n\r\n" % length, receive_buffer=4096)
    data = b""
    while part := connection.recv(50_000):
        data += part
        time.sleep(0.001)
    assert len(data.partition(b"\r\n\r\n")[2]) == length


def test_tls_is_served_too(start, connect, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(hours=1))
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (path := tmp_path / "both.pem").write_bytes(private + built.sign(key, hashes.SHA256()).public_bytes(pem))
    server = start(f"--certfile={path}", f"--keyfile={path}", ready=False)
    deadline = time.monotonic() + 20
    while "Booting worker" not in server.log and time.monotonic() < deadline:
        time.sleep(0.05)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(connect(server)) as connection:
        for last in (b"\r\n", LAST):
            connection.sendall(GET + last)
            answer = b""
            while answer.count(b"\r\n\r\n") < 1 or answer.endswith(b"\r\n\r\n"):
                answer += connection.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")
        assert connection.recv(1000) == b""


# --- clients that others do not wait for ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_", [b"GET / HTTP/1.0\r\n\r\n", GET + LAST, b"garbage\r\n\r\n"], ids=["1.0", "1.1", "400"]
)
def test_clients_that_keep_their_end_open_block_no_loop(server, connect, request_):
    kept = [connect(server, request_) for _ in range(5)]
    assert_serves(connect, server)
    assert all(read(one) for one in kept)


def test_connection_closes_although_the_client_keeps_its_end(start, connect):
    connection = connect(start(LINGER_SECONDS=0.3), GET + LAST)
    assert read(connection).startswith(b"HTTP/1.1 200")
    time.sleep(0.6)
    connection.sendall(b"x")
    time.sleep(0.1)
    with pytest.raises(OSError):
        connection.sendall(b"x")


@pytest.mark.parametrize(
    ("sent", "drip", "status"),
    [
        (b"", b"", b""),
        (GET + b"X: ", b"a", b"408"),
        (GET + b"X: " + b"a" * 40_000, b"", b"431"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b"a", b"408"),
    ],
    ids=["silence", "head", "long head", "body"],
)
def test_clients_whose_request_does_not_arrive_hold_no_thread(start, connect, sent, drip, status):
    server = start(threads=1, HEAD_SECONDS=1.5, BODY_SECONDS=1.5)
    began = time.monotonic()
    slow = [connect(server, sent) for _ in range(4)]
    for _ in range(3):
        for one in slow:
            one.sendall(drip)
        assert_serves(connect, server)
    for one in slow:
        assert read(one)[9:12] == status
    assert time.monotonic() - began < 5


def test_few_threads_read_bodies_and_each_for_a_limited_time(start, connect):
    server = start(threads=8, BODY_SECONDS=2.0)
    began = time.monotonic()
    uploads = [connect(server, UPLOAD) for _ in range(20)]
    assert_serves(connect, server)
    answers = [read(upload)[9:12] for upload in uploads]
    assert time.monotonic() - began < 4
    assert answers[:2] == [b"", b""]
    assert answers.count(b"503") >= 16, "two of eight threads read bodies, and the next two have no time left"
    assert_serves(connect, server)
    answer, _ = ask(connect, server, UPLOAD.replace(b"Host", LAST[:-2] + b"Host") + bytes(100_000))
    assert answer.startswith(b"HTTP/1.1 200"), "a thread reads bodies again"


def test_an_answer_is_held_for_a_slow_client_without_a_thread(start, connect):
    server = start(threads=1)
    slow = [connect(server, b"GET /bytes/4500000 HTTP/1.1\r\nHost: x\r\n\r\n", receive_buffer=4096) for _ in range(3)]
    slow[0].sendall(GET + LAST)
    assert_serves(connect, server)
    answer = read(slow[0])
    assert answer.count(b"HTTP/1.1 200") == 2
    assert len(answer) > 4_500_000


def test_held_answer_is_dropped_in_time(start, connect):
    server = start(threads=1, SLOW_SECONDS=1.0)
    slow = connect(server, b"GET /bytes/4500000 HTTP/1.1\r\nHost: x\r\n\r\n", receive_buffer=4096)
    time.sleep(1.5)
    slow.settimeout(2)
    received = 0
    with suppress(OSError):
        while part := slow.recv(1 << 16):
            received += len(part)
    assert received < 4_500_000


def test_few_threads_wait_for_clients_that_read_nothing(start, connect):
    server = start(threads=8, SLOW_SECONDS=3.0)
    deaf = [connect(server, b"GET /bytes/9000000 HTTP/1.1\r\nHost: x\r\n\r\n", receive_buffer=4096) for _ in range(20)]
    assert_serves(connect, server)
    time.sleep(3.5)  # the two for which threads wait are given up too
    steady = connect(server, b"GET /bytes/3000000 HTTP/1.0\r\n\r\n", receive_buffer=4096)
    time.sleep(1.0)
    assert len(read(steady)) > 3_000_000
    assert len(deaf) == 20
    assert "Traceback" not in server.log


def test_a_full_worker_closes_connections_that_can_be_spared(start, connect):
    server = start("--worker-connections=20")
    idle = [connect(server, GET + b"\r\n") for _ in range(30)]
    silent = [connect(server) for _ in range(30)]
    assert_serves(connect, server)
    assert len(idle + silent) == 60


def test_a_worker_without_free_files_goes_on_serving(start, connect):
    server = start("--worker-connections=1000", OPEN_FILES=50)
    process, _ = ask(connect, server)
    silent = [connect(server) for _ in range(100)]
    assert_serves(connect, server)
    assert len(silent) == 100
    assert ask(connect, server)[0].partition(b"\r\n\r\n")[2] == process.partition(b"\r\n\r\n")[2], "the same process"


# --- stopping -------------------------------------------------------------------------------------------------------


def test_stop_answers_running_requests_and_skips_idle_clients(start, connect):
    server = start(STOP_SECONDS=0.5)
    running = connect(server, b"GET /sleep/1.5 HTTP/1.1\r\nHost: x\r\n\r\n")
    idle, silent, dripping = connect(server, GET + b"\r\n"), connect(server), connect(server, GET)
    assert idle.recv(1000)
    time.sleep(0.3)
    began = time.monotonic()
    server.process.terminate()
    assert read(running).endswith(b"slept")
    assert server.process.wait(10) == 0
    assert time.monotonic() - began < 5
    assert b"HTTP/1.1" not in read(idle) + read(silent)
    assert read(dripping)[9:12] == b"408"


def test_stop_still_answers_on_an_open_connection(start, connect):
    server = start(STOP_SECONDS=2.0)
    connection, other = connect(server, GET + b"\r\n"), connect(server)
    assert connection.recv(1000)
    time.sleep(0.2)
    server.process.terminate()
    time.sleep(0.5)
    for one in (connection, other):
        one.sendall(GET + b"\r\n")
        answer = read(one)  # after what is left of the first one
        assert b"HTTP/1.1 200" in answer
        assert b"Connection: close" in answer


def test_reload_and_a_limit_of_requests_replace_the_worker(start, connect):
    server = start("--max-requests=3")
    seen = {ask(connect, server)[0].partition(b"\r\n\r\n")[2] for _ in range(8)}
    assert len(seen) >= 3
    server.process.send_signal(1)
    time.sleep(1)
    assert_serves(connect, server, seconds=3)
    assert os.path.exists(server.log_path)
