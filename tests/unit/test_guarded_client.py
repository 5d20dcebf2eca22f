"""The guarded client against a real server that misbehaves."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import ipaddress
import json
import logging
import socket
import ssl
import threading
import time
import traceback
import tracemalloc
from email.utils import format_datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.faulty_server import (
    FaultyServer,
    black_hole,
    drip_body,
    drip_head,
    endless,
    gzip_bomb,
    hang,
    raw,
    reply,
    reset,
    truncated,
)
from videoconf import __version__
from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderBusy,
    ProviderConflict,
    ProviderError,
    ProviderPluginError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderResourceNotFound,
    ProviderTimeout,
    ProviderUnavailable,
)
from videoconf.providers import Answer, GuardedClient, provider_deadline
from videoconf.providers.breaker import BreakerState
from videoconf.providers.http import CallOutcome

CANARY = "canary-7f3a9c51e0d2"
OVERSHOOT_SECONDS = 0.3


@pytest.fixture
def server():
    with FaultyServer() as server:
        yield server


@pytest.fixture
def outcomes():
    return []


@pytest.fixture
def make_client(outcomes):
    with contextlib.ExitStack() as stack:

        def make(**options):
            limits = {"connect_seconds": 0.3, "between_bytes_seconds": 0.4, "attempt_seconds": 0.5}
            client = GuardedClient(provider="fake", account="key-1", observer=outcomes.append, **(limits | options))
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def client(make_client):
    return make_client()


@pytest.fixture
def pauses(monkeypatch):
    """Pauses between attempts, noted rather than slept."""
    noted = []
    monkeypatch.setattr("videoconf.providers.http.time.sleep", noted.append)
    return noted


def get(client, url, *, idempotent=True, **options):
    return client.request("GET", url, operation="thing.get", idempotent=idempotent, **options)


def create(client, url, **options):
    return client.request("POST", url, operation="thing.create", idempotent=False, **options)


@contextlib.contextmanager
def within(seconds):
    started = time.monotonic()
    yield
    assert time.monotonic() - started <= seconds


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# --- what is sent, what is returned ---------------------------------------------------------------------------------


def test_an_answer(client, server):
    server.on("/x", reply(201, b'{"id": "1"}', headers={"X-Trace": "t", "Content-Type": "application/json"}))
    answer = get(client, server.url("/x?page=2"))
    assert (answer.status, answer.body, answer.json()) == (201, b'{"id": "1"}', {"id": "1"})
    assert answer.headers["x-trace"] == "t"
    [request] = server.requests("/x")
    assert (request.method, request.query) == ("GET", "page=2")
    assert request.headers["user-agent"] == f"videoconf/{__version__}"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert "content-type" not in request.headers


def test_a_header_of_the_callers_replaces_ours(client, server):
    server.on("/x", reply())
    create(client, server.url("/x"), headers={"user-agent": "mine"})
    assert server.requests("/x")[0].headers["user-agent"] == "mine"


def test_json_and_form_bodies(client, server):
    server.on("/x", reply())
    create(client, server.url("/x"), json={"name": "é"})
    create(client, server.url("/x"), form={"a": "1 2", "b": "&"})
    create(client, server.url("/x"), json={}, headers={"content-type": "application/merge-patch+json"})
    first, second, third = server.requests("/x")
    assert (first.headers["content-type"], json.loads(first.body)) == ("application/json", {"name": "é"})
    assert (second.headers["content-type"], second.body) == ("application/x-www-form-urlencoded", b"a=1+2&b=%26")
    assert (third.headers["content-type"], third.body) == ("application/merge-patch+json", b"{}")


def test_a_call_that_simply_succeeds_is_a_line_at_debug_only(client, server, pauses, caplog):
    caplog.set_level(logging.DEBUG, logger="videoconf")
    server.on("/x", reply())
    server.on("/late", reply(503), reply())
    server.on("/down", reply(404))
    get(client, server.url("/x"))
    get(client, server.url("/late"))
    with pytest.raises(ProviderResourceNotFound):
        get(client, server.url("/down"))
    assert [record.levelname for record in caplog.records if record.name == "videoconf.providers.http"] == [
        "DEBUG",
        "INFO",
        "WARNING",
    ]


def test_callable_headers_are_asked_for_each_attempt(client, server, pauses):
    server.on("/x", reply(503), reply(503), reply())
    tokens = iter(["one", "two", "three"])
    get(client, server.url("/x"), headers=lambda: {"Authorization": next(tokens)})
    assert [request.headers["authorization"] for request in server.requests("/x")] == ["one", "two", "three"]


def test_compressed_answers_are_decompressed(client, server):
    server.on("/x", reply(200, gzip.compress(b"[1, 2]"), headers={"Content-Encoding": "gzip"}))
    assert get(client, server.url("/x")).json() == [1, 2]


def test_accepted_statuses_are_returned(client, server):
    server.on("/x", reply(409, b'{"code": 15008}'), reply(409))
    assert create(client, server.url("/x"), accept={409}).json() == {"code": 15008}
    with pytest.raises(ProviderConflict):
        create(client, server.url("/x"), accept={404})


def test_answers_without_a_body(client, server):
    server.on("/x", reply(204))
    answer = client.request("DELETE", server.url("/x"), operation="thing.delete", idempotent=True)
    assert (answer.status, answer.body) == (204, b"")
    assert client.request("HEAD", server.url("/x"), operation="thing.head", idempotent=True).status == 204


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"{",
        b"NaN",
        b'{"a": -Infinity}',
        b"[1e999]",
        b"[" * 100_000,
        b"\xff\xfe\xfd",
        b"1" * 5000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_not_json_is_a_bad_response(body):
    with pytest.raises(ProviderBadResponse) as error:
        Answer(200, {}, body).json()
    assert error.value.provider_status == 200


def test_an_answer_does_not_print_its_contents():
    assert CANARY not in repr(Answer(200, {"set-cookie": CANARY}, CANARY.encode()))


# --- the table ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "public_status", "retry_after", "attempts_when_idempotent"),
    [
        (400, ProviderRejected, 422, None, 1),
        (402, ProviderRejected, 422, None, 1),
        (413, ProviderRejected, 422, None, 1),
        (415, ProviderRejected, 422, None, 1),
        (422, ProviderRejected, 422, None, 1),
        (401, ProviderAuthFailed, 502, None, 1),
        (403, ProviderAuthFailed, 502, None, 1),
        (404, ProviderResourceNotFound, 404, None, 1),
        (410, ProviderResourceNotFound, 404, None, 1),
        (409, ProviderConflict, 409, None, 1),
        (429, ProviderRateLimited, 503, 5, 3),
        (500, ProviderError, 502, 5, 1),
        (501, ProviderError, 502, 5, 1),
        (502, ProviderError, 502, 5, 3),
        (503, ProviderUnavailable, 503, 5, 3),
        (504, ProviderTimeout, 504, 5, 3),
        (599, ProviderError, 502, 5, 1),
        (301, ProviderBadResponse, 502, None, 1),
        (304, ProviderBadResponse, 502, None, 1),
        (103, ProviderBadResponse, 502, None, 1),
    ],
)
def test_statuses(
    client, server, pauses, outcomes, status, error, public_status, retry_after, attempts_when_idempotent
):
    server.on("/x", reply(status, keep_alive=False))
    with pytest.raises(ProviderError) as raised:
        get(client, server.url("/x"))
    assert type(raised.value) is error
    assert (raised.value.status, raised.value.provider_status) == (public_status, status)
    assert raised.value.retry_after_seconds == retry_after
    assert server.count("/x") == outcomes[0].attempts == attempts_when_idempotent


NOT_ANSWERED = {
    "hang": (hang(), ProviderTimeout),
    "reset after reading": (reset(), ProviderTimeout),
    "reset in the head": (reset(b"HTTP/1.1 200 OK\r\nContent-"), ProviderTimeout),
    "reset in the body": (reset(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), ProviderTimeout),
    "closed without an answer": (raw(b""), ProviderTimeout),
    "drip in the head": (drip_head(0.05), ProviderTimeout),
    "drip in the body": (drip_body(0.05), ProviderTimeout),
    "not HTTP": (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), ProviderBadResponse),
    "half a status line": (raw(b"HTTP/1.1 2"), ProviderBadResponse),
    "endless status line": (raw(b"HTTP/1.1 200 " + b"x" * 100_000), ProviderBadResponse),
    "too many fields": (raw(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n"), ProviderBadResponse),
    "two lengths": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab"), ProviderBadResponse),
    "truncated": (truncated(b"{}"), ProviderBadResponse),
    "truncated chunks": (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab"), ProviderBadResponse),
    "broken chunk": (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab"), ProviderBadResponse),
    "broken gzip": (reply(200, b"no gzip", headers={"Content-Encoding": "gzip"}), ProviderBadResponse),
    "redirect": (reply(302, headers={"Location": "/elsewhere"}), ProviderBadResponse),
    "endless body": (endless(), ProviderBadResponse),
}


@pytest.mark.parametrize("fault", NOT_ANSWERED)
def test_what_is_not_idempotent_is_sent_once(client, server, fault):
    behaviour, error = NOT_ANSWERED[fault]
    server.on("/x", behaviour)
    with within(0.5 + OVERSHOOT_SECONDS), pytest.raises(ProviderError) as raised:
        create(client, server.url("/x"), json={})
    assert type(raised.value) is error
    assert raised.value.outcome_unknown
    assert server.count("/x") == 1
    assert server.count("/elsewhere") == 0


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_create_that_failed_is_not_repeated(client, server, status):
    server.on("/x", reply(status))
    with pytest.raises(ProviderError):
        create(client, server.url("/x"), json={})
    assert server.count("/x") == 1


def test_a_reset_before_the_request_was_read_leaves_the_outcome_open(client, server):
    server.resets_before_reading = True
    with pytest.raises(ProviderTimeout):
        create(client, server.url("/x"))
    assert server.connection_count == 1


@pytest.mark.parametrize("fault", ["hang", "reset after reading", "closed without an answer"])
def test_what_is_idempotent_is_repeated(client, server, pauses, fault):
    server.on("/x", NOT_ANSWERED[fault][0], NOT_ANSWERED[fault][0], reply(200, b"1"))
    assert get(client, server.url("/x")).json() == 1
    assert server.count("/x") == 3


@pytest.mark.parametrize("fault", ["truncated", "not HTTP", "redirect", "broken gzip"])
def test_bad_responses_are_not_repeated(client, server, fault):
    server.on("/x", NOT_ANSWERED[fault][0])
    with pytest.raises(ProviderBadResponse):
        get(client, server.url("/x"))
    assert server.count("/x") == 1


# --- nothing sent ---------------------------------------------------------------------------------------------------


def assert_unavailable(client, url, outcomes, *, seconds, attempts=3):
    with within(seconds), pytest.raises(ProviderUnavailable) as raised:
        create(client, url, json={})
    assert not raised.value.outcome_unknown
    assert raised.value.retry_after_seconds == 5
    assert outcomes[-1].attempts == attempts
    return raised.value


def test_refused(client, outcomes, caplog):
    caplog.set_level(logging.INFO)
    assert_unavailable(client, f"http://127.0.0.1:{closed_port()}/x", outcomes, seconds=1)
    assert "Connection refused" in caplog.text


def test_a_create_goes_through_once_the_provider_listens_again(client, server, monkeypatch):
    port = closed_port()
    monkeypatch.setattr("videoconf.providers.http.time.sleep", lambda _: setattr(client, "healed", True))
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, p, *rest, **options: real(
            host, server.port if hasattr(client, "healed") else port, *rest, **options
        ),
    )
    server.on("/x", reply(200, b"{}"))
    create(client, server.url("/x"))
    assert server.count("/x") == 1


def test_black_hole(make_client, outcomes, pauses):
    with black_hole() as port:
        assert_unavailable(make_client(), f"http://127.0.0.1:{port}/x", outcomes, seconds=3 * 0.3 + OVERSHOOT_SECONDS)


def test_a_name_that_does_not_resolve(client, outcomes, pauses, monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert_unavailable(client, "http://provider.test/x", outcomes, seconds=1)


def test_a_resolver_that_does_not_answer(client, outcomes, pauses, monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(5) and [])
    assert_unavailable(client, "http://provider.test/x", outcomes, seconds=3 * 0.3 + OVERSHOOT_SECONDS)
    answered.set()


def test_a_dead_address_leaves_time_for_the_next(make_client, server, monkeypatch):
    client = make_client(connect_seconds=0.6, attempt_seconds=2)
    server.on("/x", reply())
    asked, real = [], socket.getaddrinfo

    def resolve(host, *rest, **options):
        asked.append(host)
        addresses = ("127.0.0.2", "127.0.0.1") if host == "provider.test" else (host,)
        return [one for address in addresses for one in real(address, *rest, **options)]

    with black_hole("127.0.0.2", server.port):
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with within(0.55):
            assert create(client, server.url("/x", host="provider.test")).status == 200
    assert asked[0] == "provider.test"
    assert "127.0.0.2" in asked


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1, as a file of key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with FaultyServer(tls=context) as server:
        server.on("/x", reply(200, b"1"))
        yield server


@pytest.fixture
def trusting_client(certificate, monkeypatch, make_client):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return make_client()


def test_tls_keeps_alive(trusting_client, tls_server):
    for _ in range(3):
        assert get(trusting_client, tls_server.url("/x")).json() == 1
    assert tls_server.connection_count == 1


def test_tls_from_a_stranger(client, tls_server, outcomes, pauses, caplog):
    caplog.set_level(logging.INFO)
    assert_unavailable(client, tls_server.url("/x"), outcomes, seconds=1)
    assert "certificate verify failed" in caplog.text
    assert tls_server.count("/x") == 0


def test_tls_for_another_host(trusting_client, tls_server, outcomes, pauses):
    assert_unavailable(trusting_client, tls_server.url("/x", host="localhost"), outcomes, seconds=1)
    assert tls_server.count("/x") == 0


def test_tls_with_a_peer_that_speaks_none(client, server, outcomes, pauses):
    assert_unavailable(client, server.url("/x").replace("http:", "https:"), outcomes, seconds=1)


def test_a_handshake_without_an_answer(client, outcomes, pauses):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/x"
        assert_unavailable(client, url, outcomes, seconds=3 * 0.3 + OVERSHOOT_SECONDS)


def test_a_handshake_that_drips(client, outcomes):
    def drip():
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"\x16\x03\x03\x40\x00")
                while not over.wait(0.05):
                    connection.sendall(b"\x02")

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/x"
        with provider_deadline(0.31):  # leaves no room for a second attempt
            assert_unavailable(client, url, outcomes, seconds=0.3 + OVERSHOOT_SECONDS, attempts=1)
        over.set()
        thread.join()


# --- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["hang", "drip in the head", "drip in the body"])
def test_the_deadline_holds_whatever_the_peer_does(make_client, server, fault):
    client = make_client(attempt_seconds=6, between_bytes_seconds=5)
    server.on("/x", NOT_ANSWERED[fault][0])
    with provider_deadline(0.35), within(0.35 + OVERSHOOT_SECONDS), pytest.raises(ProviderTimeout):
        get(client, server.url("/x"))
    assert server.count("/x") == 1


@pytest.mark.parametrize("behaviour", [drip_head(0.02), drip_body(0.02)])
def test_the_deadline_holds_under_tls(trusting_client, tls_server, behaviour):
    tls_server.on("/x", behaviour)
    with within(0.5 + OVERSHOOT_SECONDS), pytest.raises(ProviderTimeout):
        create(trusting_client, tls_server.url("/x"))


def test_the_deadline_covers_all_attempts(client, server):
    server.on("/x", hang())
    with provider_deadline(1.0), within(1.0 + OVERSHOOT_SECONDS), pytest.raises(ProviderTimeout):
        get(client, server.url("/x"))
    assert server.count("/x") == 2


def test_the_deadline_holds_on_a_kept_connection(client, server):
    server.on("/x", reply(), drip_body(0.05))
    create(client, server.url("/x"))
    with provider_deadline(0.3), within(0.3 + OVERSHOOT_SECONDS), pytest.raises(ProviderTimeout):
        create(client, server.url("/x"))
    assert server.connection_count == 1


def test_a_short_deadline_is_not_left_behind_on_a_connection(client, server):
    server.on("/x", reply())
    with provider_deadline(0.1):
        create(client, server.url("/x"))
    time.sleep(0.15)
    create(client, server.url("/x"))
    assert server.connection_count == 1


def test_silence_between_bytes_is_bounded(make_client, server):
    client = make_client(attempt_seconds=5, between_bytes_seconds=0.2)
    server.on("/x", hang())
    with within(0.2 + OVERSHOOT_SECONDS), pytest.raises(ProviderTimeout):
        create(client, server.url("/x"))


def test_a_slow_peer_within_the_limits_is_fine(client, server):
    server.on("/x", reply(200, b"1", delay_seconds=0.25))
    assert create(client, server.url("/x")).json() == 1


def test_no_call_without_time(client, server, outcomes):
    with provider_deadline(0), pytest.raises(ProviderUnavailable):
        get(client, server.url("/x"))
    assert server.connection_count == 0
    assert client.state.breaker is BreakerState.CLOSED


def read_slowly(exchange):
    reply()(exchange)
    with contextlib.suppress(OSError):
        while exchange.connection.recv(1 << 14):
            exchange.stopping.wait(0.02)
    return False


@pytest.mark.parametrize("tls", [False, True])
def test_the_deadline_holds_while_sending(trusting_client, server, tls_server, tls):
    chosen = tls_server if tls else server
    chosen.on("/x", read_slowly)
    create(trusting_client, chosen.url("/x"))
    with within(0.5 + OVERSHOOT_SECONDS), pytest.raises(ProviderTimeout):
        create(trusting_client, chosen.url("/x"), json="x" * 20_000_000)
    assert chosen.connection_count == 1


# --- size -----------------------------------------------------------------------------------------------------------


def test_the_cap_is_exact(make_client, server):
    client = make_client(answer_cap_bytes=100_000)
    server.on("/fits", reply(200, b"x" * 100_000))
    server.on("/over", reply(200, b"x" * 100_001))
    assert len(create(client, server.url("/fits")).body) == 100_000
    with pytest.raises(ProviderBadResponse):
        create(client, server.url("/over"))


@pytest.mark.parametrize("behaviour", [endless(), gzip_bomb(256 << 20)], ids=["endless", "gzip bomb"])
def test_memory_is_bounded(make_client, server, behaviour):
    client = make_client(attempt_seconds=5)
    server.on("/x", behaviour)
    tracemalloc.start()
    try:
        with pytest.raises(ProviderBadResponse):
            get(client, server.url("/x"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 << 20


# --- repeating ------------------------------------------------------------------------------------------------------


def test_pauses_grow_and_are_jittered(make_client, server, pauses):
    server.on("/x", reply(429))
    for _ in range(10):
        with pytest.raises(ProviderRateLimited):
            get(make_client(), server.url("/x"))
    first, second = pauses[::2], pauses[1::2]
    assert max(first) <= 0.1 < max(second) <= 0.2
    assert len(set(pauses)) == 20


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_respected(client, server, pauses, status):
    server.on("/x", reply(status, headers={"Retry-After": "2"}), reply(200, b"1"))
    assert get(client, server.url("/x")).json() == 1
    assert pauses == [2.0]


def test_retry_after_as_a_date(client, server, pauses):
    when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=4)
    server.on("/x", reply(503, headers={"Retry-After": format_datetime(when, usegmt=True)}), reply())
    get(client, server.url("/x"))
    [pause] = pauses
    assert 2.5 < pause <= 4


@pytest.mark.parametrize(
    ("value", "told", "attempts"),
    [
        ("30", 30, 1),
        ("100000", 60, 1),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 60, 1),
        ("0", 0, 3),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 3),
        ("soon", 5, 3),
        ("-1", 5, 3),
        ("nan", 5, 3),
        ("9" * 5000, 5, 3),
        ("", 5, 3),
    ],
    ids=lambda value: str(value)[:12],
)
@pytest.mark.parametrize(("status", "error"), [(429, ProviderRateLimited), (503, ProviderUnavailable)])
def test_retry_after_is_passed_on(client, server, pauses, status, error, value, told, attempts):
    server.on("/x", reply(status, headers={"Retry-After": value}))
    with pytest.raises(error) as raised:
        get(client, server.url("/x"))
    assert raised.value.retry_after_seconds == told
    assert server.count("/x") == attempts


def test_no_repetition_without_room_before_the_deadline(make_client, server):
    server.on("/x", reply(503))
    with provider_deadline(1.9), pytest.raises(ProviderUnavailable):
        get(make_client(connect_seconds=2.0), server.url("/x"))
    assert server.count("/x") == 1


def test_the_retry_budget_runs_out_and_refills(client, server, pauses):
    server.on("/x", reply(429))
    server.on("/ok", reply())
    for calls in range(1, 6):
        with pytest.raises(ProviderRateLimited):
            get(client, server.url("/x"))
        assert server.count("/x") == 3 * calls
    for _ in range(3):
        with pytest.raises(ProviderRateLimited):
            get(client, server.url("/x"))
    assert server.count("/x") == 15 + 3
    for _ in range(11):
        get(client, server.url("/ok"))
    with pytest.raises(ProviderRateLimited):
        get(client, server.url("/x"))
    assert server.count("/x") == 18 + 2


# --- breaker and slots ----------------------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("fault", [reply(500), reply(503), hang(), reset()], ids=["500", "503", "hang", "reset"])
def test_a_failing_provider_is_left_alone_and_tried_again(make_client, server, outcomes, fault):
    clock = Clock()
    client = make_client(clock=clock, attempt_seconds=0.1)
    server.on("/x", fault)
    for _ in range(5):
        with pytest.raises(ProviderError):
            create(client, server.url("/x"))
    assert client.state.breaker is BreakerState.OPEN
    with within(0.05), pytest.raises(ProviderUnavailable) as raised:
        get(client, server.url("/x"))
    assert 8 <= raised.value.retry_after_seconds <= 12
    assert server.count("/x") == 5
    assert outcomes[-1].attempts == 0
    clock.now += 12.1
    assert client.state.breaker is BreakerState.HALF_OPEN
    server.on("/x", reply())
    get(client, server.url("/x"))
    assert client.state.breaker is BreakerState.CLOSED


def test_an_unreachable_provider_is_left_alone(client, pauses, outcomes):
    url = f"http://127.0.0.1:{closed_port()}/x"
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            create(client, url)
    assert [outcome.attempts for outcome in outcomes] == [3, 2]  # the fifth failure opens it: no third attempt
    assert client.state.breaker is BreakerState.OPEN


@pytest.mark.parametrize("status", [400, 404, 409, 422, 429])
def test_refusals_of_a_request_do_not_open_the_breaker(client, server, status):
    server.on("/x", reply(status))
    for _ in range(10):
        with pytest.raises(ProviderError):
            create(client, server.url("/x"))
    assert server.count("/x") == 10


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_not_tried_for_a_minute(make_client, server, status):
    clock = Clock()
    client = make_client(clock=clock)
    server.on("/x", reply(status))
    for _ in range(3):
        with pytest.raises(ProviderAuthFailed):
            get(client, server.url("/x"))
    assert server.count("/x") == 1
    assert client.state.breaker is BreakerState.MISCONFIGURED
    clock.now += 61
    server.on("/x", reply())
    get(client, server.url("/x"))


def test_the_state_says_how_the_latest_attempt_ended(client, server):
    server.on("/x", reply(500), reply())
    assert client.state.last_error_code is None
    with pytest.raises(ProviderError):
        get(client, server.url("/x"))
    assert client.state.last_error_code == "provider_error"
    get(client, server.url("/x"))
    assert client.state.last_error_code is None
    assert client.state.since.utcoffset() == datetime.timedelta(0)


def test_a_plugins_own_error_neither_counts_nor_leaks_the_probe(make_client, server, outcomes):
    clock = Clock()
    client = make_client(clock=clock)
    server.on("/x", reply(500))
    for _ in range(5):
        with pytest.raises(ProviderError):
            get(client, server.url("/x"))
    clock.now += 13

    def fail():
        raise LookupError("no key")

    with pytest.raises(LookupError):
        get(client, server.url("/x"), headers=fail)
    assert outcomes[-1].outcome == "provider_plugin_error"
    with pytest.raises(ProviderPluginError):
        get(client, server.url("/x"), headers={"X": "a\nb"})
    assert client.state.breaker is BreakerState.HALF_OPEN
    server.on("/x", reply())
    get(client, server.url("/x"))


def test_slots(make_client, server):
    client = make_client(slots=2, attempt_seconds=5, between_bytes_seconds=5)
    arrived, release = threading.Semaphore(0), threading.Event()

    def hold(exchange):
        arrived.release()
        release.wait(5)
        return reply()(exchange)

    server.on("/held", hold)
    threads = [threading.Thread(target=create, args=(client, server.url("/held"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert arrived.acquire(timeout=5)
    with within(0.25 + OVERSHOOT_SECONDS), pytest.raises(ProviderBusy) as raised:
        get(client, server.url("/x"))
    assert raised.value.retry_after_seconds == 1
    with provider_deadline(0.02), within(0.2), pytest.raises(ProviderBusy):
        get(client, server.url("/x"))
    assert server.count("/x") == 0
    assert client.state.breaker is BreakerState.CLOSED
    release.set()
    for thread in threads:
        thread.join()
    server.on("/x", reply())
    get(client, server.url("/x"))


def test_an_open_breaker_answers_before_a_slot_is_waited_for(make_client, server):
    clock = Clock()
    client = make_client(clock=clock, slots=1, attempt_seconds=5, between_bytes_seconds=5)
    server.on("/x", reply(500))
    for _ in range(5):
        with pytest.raises(ProviderError):
            get(client, server.url("/x"))
    clock.now += 13
    arrived, release = threading.Event(), threading.Event()

    def hold(exchange):
        arrived.set()
        release.wait(5)
        return reply()(exchange)

    server.on("/held", hold)
    probe = threading.Thread(target=create, args=(client, server.url("/held")))
    probe.start()
    assert arrived.wait(5)
    with pytest.raises(ProviderUnavailable):
        get(client, server.url("/x"))
    release.set()
    probe.join()
    assert client.state.breaker is BreakerState.CLOSED


def test_a_slot_comes_free_whatever_happened(make_client, server):
    client = make_client(slots=1)
    server.on("/x", reply(400), reset(), raw(b"?"), reply())
    for _ in range(3):
        with pytest.raises(ProviderError):
            create(client, server.url("/x"))
    create(client, server.url("/x"))


# --- connections ----------------------------------------------------------------------------------------------------


def test_connections_are_kept_alive(client, server):
    server.on("/x", reply(200, b"1"), reply(404, b"{}"), reply(500), reply(200, b"2"))
    for _ in range(4):
        with contextlib.suppress(ProviderError):
            create(client, server.url("/x"), json={})
    assert (server.count("/x"), server.connection_count) == (4, 1)


def test_a_connection_that_the_peer_closed_is_not_used_again(client, server):
    server.on("/x", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    for calls in range(1, 4):
        create(client, server.url("/x"))
        give_up = time.monotonic() + 5
        while server.open_connection_count and time.monotonic() < give_up:
            time.sleep(0.001)
        assert server.connection_count == calls


def test_a_connection_on_which_more_came_than_asked_is_not_used_again(client, server):
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


def test_an_old_connection_is_not_used_again(client, server, monkeypatch):
    server.on("/x", reply())
    create(client, server.url("/x"))
    monkeypatch.setattr("videoconf.providers.connection.IDLE_SECONDS", 0)
    create(client, server.url("/x"))
    assert server.connection_count == 2


def test_a_reset_on_a_kept_connection_leaves_the_outcome_open(client, server):
    server.on("/x", reply(), reset())
    create(client, server.url("/x"))
    with pytest.raises(ProviderTimeout):
        create(client, server.url("/x"))
    assert (server.count("/x"), server.connection_count) == (2, 1)


def test_an_unread_error_body_does_not_spoil_the_next_answer(client, server):
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


def test_closing_twice(client, server):
    server.on("/x", reply())
    get(client, server.url("/x"))
    client.close()
    client.close()
    get(client, server.url("/x"))  # nothing is kept any more
    get(client, server.url("/x"))
    assert server.connection_count == 3


# --- secrets, logs, environment ---------------------------------------------------------------------------------------


def test_the_providers_own_words(client, server):
    said = {"code": 15008, "message": "Only\r\nrouted\x00 sessions\x1b[31m " + "x" * 300, "more": 1}
    server.on("/x", reply(409, json.dumps(said).encode()))
    with pytest.raises(ProviderConflict) as raised:
        create(client, server.url("/x"))
    assert raised.value.provider_code == "15008"
    assert raised.value.provider_message.startswith("Onlyrouted sessions[31m xxx")
    assert len(raised.value.provider_message) == 200
    assert "routed" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"code": -1, "message": "m", "title": "t"}', "-1", "m"),
        (b'{"title": "t", "detail": "d"}', None, "d"),
        (b'{"title": "t", "detail": null}', None, "t"),
        (b'{"code": {"a": 1}, "message": ["m"]}', None, None),
        (b'["code", "message"]', None, None),
        (b"<html>Bad Gateway</html>", None, None),
        (b"[" * 100_000, None, None),
        (b"", None, None),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_error_bodies_are_read_leniently(client, server, body, code, message):
    server.on("/x", reply(400, body))
    with pytest.raises(ProviderRejected) as raised:
        create(client, server.url("/x"))
    assert (raised.value.provider_code, raised.value.provider_message) == (code, message)


def everything_logged(caplog):
    formatter = logging.Formatter("%(message)s")
    return "\n".join(f"{formatter.format(record)} {vars(record)}" for record in caplog.records)


ECHOES = {
    "answer": reply(200, CANARY.encode()),
    "message": reply(400, json.dumps({"code": f"bad {CANARY}", "message": f"Bad token {CANARY}"}).encode()),
    "signed URL": reply(503, json.dumps({"message": f"see https://x.test/a?sig={CANARY[:9]}-new"}).encode()),
    "malformed head": raw(f"HTTP/1.1 200 OK\r\n{CANARY}\r\n: {CANARY}\r\nA: b\r\n\r\n".encode()),
    "status line": raw(f"{CANARY}\r\n\r\n".encode()),
    "redirect": reply(302, headers={"Location": f"/?{CANARY}"}),
    "length": raw(f"HTTP/1.1 200 OK\r\nContent-Length: {CANARY}\r\n\r\n".encode()),
    "encoding": reply(200, b"x", headers={"Content-Encoding": f"gzip, {CANARY}"}),
    "reset": reset(),
    "hang": hang(),
}


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize(
    "request_options",
    [
        {"headers": {"Authorization": f"Bearer {CANARY}"}},
        {"headers": lambda: {"X-OPENTOK-AUTH": CANARY}},
        {"json": {"config": [{"secretKey": CANARY}]}},
        {"form": {"secret": CANARY}},
        {},
    ],
    ids=["header", "callable header", "json", "form", "query"],
)
def test_credentials_stay_out_of_logs_and_errors(make_client, server, caplog, outcomes, echo, request_options):
    caplog.set_level(logging.DEBUG)
    server.on("/x", ECHOES[echo])
    client = make_client(attempt_seconds=0.05)
    told = ""
    try:
        create(client, server.url("/x" if request_options else f"/x?sig={CANARY}"), **request_options)
    except ProviderError as error:
        told = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert server.count("/x") == 1
    assert CANARY[:9] not in everything_logged(caplog) + told + repr(outcomes)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("", {"headers": {"Authorization": f"{CANARY}\r\nX: 1"}}),
        ("", {"headers": {"Authorization": f"{CANARY}é€"}}),
        ("", {"headers": {f"{CANARY} :": "x"}}),
        ("", {"json": {"secret": CANARY, "number": float("nan")}}),
        ("", {"json": {"secret": CANARY, "set": {1}}}),
        ("", {"json": {"a": CANARY}, "form": {"a": "b"}}),
        (f"ftp://127.0.0.1/{CANARY}", {}),
        (f"/{CANARY}", {}),
        (f"http://user:{CANARY}@127.0.0.1/", {}),
        (f"http://127.0.0.1:99999/{CANARY}", {}),
        (f"http://{'a' * 70}.test/{CANARY}", {}),
    ],
)
def test_a_request_that_cannot_be_built(client, server, caplog, url, options):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ProviderPluginError) as raised:
        create(client, url or server.url("/x"), **options)
    assert server.count("/x") == 0
    assert CANARY not in everything_logged(caplog) + "".join(traceback.format_exception(raised.value))


def test_one_line_a_call(client, server, caplog, outcomes, pauses):
    caplog.set_level(logging.DEBUG)
    server.on("/x", reply(503), reply(200))
    server.on("/y", reply(409))
    get(client, server.url("/x"))
    with pytest.raises(ProviderConflict):
        create(client, server.url("/y"))
    first, second = (record for record in caplog.records if record.name == "videoconf.providers.http")
    assert (first.levelname, first.outcome, first.status, first.attempts) == ("INFO", "ok", 200, 2)
    assert (first.provider, first.account, first.operation, first.method, first.host) == (
        "fake",
        "key-1",
        "thing.get",
        "GET",
        "127.0.0.1",
    )
    assert (second.levelname, second.outcome, second.status) == ("WARNING", "provider_conflict", 409)
    assert "operation=thing.create" in second.getMessage()
    assert 0 <= second.milliseconds < 1000
    assert [(o.provider, o.operation, o.outcome, o.attempts) for o in outcomes] == [
        ("fake", "thing.get", "ok", 2),
        ("fake", "thing.create", "provider_conflict", 1),
    ]
    assert isinstance(outcomes[0], CallOutcome)
    assert 0 < outcomes[0].seconds < 1


def test_proxies_and_netrc_are_ignored(server, make_client, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login me password {CANARY}\n")
    with FaultyServer() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        monkeypatch.setenv("NO_PROXY", "")
        server.on("/x", reply())
        assert get(make_client(), server.url("/x")).status == 200
        assert proxy.connection_count == 0
    assert "authorization" not in server.requests("/x")[0].headers
