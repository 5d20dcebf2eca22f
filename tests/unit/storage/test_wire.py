"""A storage server that drips, hangs, or talks without end holds no thread for ever, and fills no memory."""

import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from ipaddress import ip_address
from tracemalloc import get_traced_memory, start, stop

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from videoconf.errors import StorageError, StorageTimeout, StorageUnavailable
from videoconf.storage import EndpointGuard, StorageContext, StorageTarget, guarded_pool, storage_deadline
from videoconf.storage import pool as pool_module
from videoconf.storage import wire as module
from videoconf.storage.pool import MOST_ADDRESSES
from videoconf.storage.wire import LARGEST_ANSWER_BYTES, Exchange
from videoconf.testing.faulty_server import (
    ANY,
    FaultyServer,
    black_hole,
    drip_body,
    drip_head,
    endless,
    gzip_bomb,
    hang,
    reply,
)
from videoconf_azure import client as azure_client
from videoconf_azure.target import AzureTarget
from videoconf_s3 import client as s3_client
from videoconf_s3.target import S3Target

DEADLINE_SECONDS = 0.3
MARGIN_SECONDS = 3.0
"""For what an SDK waits before it tries again."""
MIB = 1 << 20


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture(params=["s3", "azure"])
def target(request: pytest.FixtureRequest, server: FaultyServer) -> Iterator[StorageTarget]:
    made = make(request.param, server.url(""))
    made.signed_url("a", expires_in_seconds=1)  # what is imported for it is not to be measured
    yield made
    made.close()


def make(kind: str, url: str) -> StorageTarget:
    context = StorageContext(lambda: datetime.now(UTC), EndpointGuard((), development=True))
    if kind == "s3":
        s3 = {"bucket": "archives", "region": "eu-west-1", "access_key": "AKIA", "secret_key": "s", "endpoint": url}
        return S3Target({**s3, "prefix": ""}, context)
    azure = {"container": "archives", "account_name": "account", "account_key": "c2VjcmV0"}
    return AzureTarget({**azure, "domain": url.partition("//")[2]}, context)


CALLS = {
    "probe": lambda target: target.probe(),
    "delete": lambda target: target.delete("a/b.mp4"),
    "stat": lambda target: target.stat("a/b.mp4"),
    "put": lambda target: target.put("a/b.mp4", BytesIO(b"content")),
    "open": lambda target: target.open("a/b.mp4").read(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "behaviour", [drip_head(0.05), drip_body(0.05, status=403), hang()], ids=["head", "body", "hang"]
)
def test_deadline_ends_every_kind_of_waiting(server, target, call, behaviour):
    server.on(ANY, behaviour)
    began = time.monotonic()
    with pytest.raises(StorageError), storage_deadline(DEADLINE_SECONDS):
        call(target)
    assert time.monotonic() - began < DEADLINE_SECONDS + MARGIN_SECONDS


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_minimum_speed_ends_a_slow_answer_without_a_deadline(server, kind, call, monkeypatch):
    for client in (s3_client, azure_client):
        for silence in ("CONNECT_SECONDS", "READ_SECONDS"):
            monkeypatch.setattr(client, silence, 2 * DEADLINE_SECONDS)  # each byte comes sooner
    monkeypatch.setattr(module, "PATIENCE_SECONDS", DEADLINE_SECONDS)
    asked, dripping = [], drip_head(0.05)

    def drip(exchange):
        asked.append((exchange.request.method, exchange.request.query))
        return dripping(exchange)

    server.on(ANY, drip)
    target = make(kind, server.url(""))
    began = time.monotonic()
    with pytest.raises(StorageTimeout):
        call(target)
    target.close()
    assert DEADLINE_SECONDS < time.monotonic() - began < 2 * (DEADLINE_SECONDS + MARGIN_SECONDS)
    assert len(asked) == len(set(asked)) > 0, "nothing was tried again"


@pytest.mark.parametrize("moved", ["sent", "received"])
def test_moved_bytes_earn_time_and_waiting_costs_it(moved):
    exchange = Exchange(math.inf)
    exchange.waited(module.PATIENCE_SECONDS)
    assert exchange.seconds_left(6.0) == 6.0
    exchange.waited(6.0)
    with pytest.raises(StorageTimeout):
        exchange.seconds_left(6.0)
    getattr(exchange, moved)(2 * module.SLOWEST_BYTES_PER_SECOND)
    assert exchange.seconds_left(6.0) == pytest.approx(2.0)


def test_each_request_of_a_connection_has_bounds_of_its_own(server):
    server.on("/x", reply(200, bytes(LARGEST_ANSWER_BYTES - 1024)))
    with guarded_pool(HTTPConnectionPool, EndpointGuard((), development=True))("127.0.0.1", server.port) as pool:
        for _ in range(3):
            assert len(pool.request("GET", "/x", retries=False).data) == LARGEST_ANSWER_BYTES - 1024
    assert server.connection_count == 1


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("status", [403, 500])
def test_an_error_without_end_is_not_remembered(server, target, call, status):
    with suppress(StorageError):  # what an SDK allocates when it is first used is not meant
        call(target)
    server.on(ANY, endless(status=status))
    start()
    try:
        with pytest.raises(StorageError), storage_deadline(10):
            call(target)
        peak = get_traced_memory()[1]
    finally:
        stop()
    assert peak < 12 * MIB


def bomb(encoding: str) -> bytes:
    """Half a mebibyte of XML whose one entity is named 1,000 times."""
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE E [<!ENTITY a "{"a" * 500_000}">]>'
    return f"{text}<Error><Code>NoSuchKey</Code><Message>{'&a;' * 1000}</Message></Error>".encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    ("call", "status"), [("open", 404), ("open", 503), ("delete", 404), ("put", 200), ("put", 400)]
)
def test_answer_that_declares_entities_is_refused(server, target, call, status, encoding):
    """Half a mebibyte became 120 in memory."""
    server.on(ANY, reply(status, bomb(encoding), headers={"Content-Type": "application/xml"}))
    start()
    try:
        with pytest.raises(StorageError, match="declares entities") as refused:
            CALLS[call](target)
        assert type(refused.value) is StorageError
        assert get_traced_memory()[1] < 20 * MIB
    finally:
        stop()


@pytest.fixture
def tls(tmp_path):
    """Give a context for a server on 127.0.0.1, and the file with its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(hours=1))
    signed = built.add_extension(host, critical=False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (path := tmp_path / "both.pem").write_bytes(private + signed.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, path


@pytest.mark.parametrize("behaviour", [drip_head(0.05), drip_body(0.05), hang()], ids=["head", "body", "hang"])
@pytest.mark.parametrize("has_context", [True, False])
def test_deadline_holds_under_tls(tls, behaviour, has_context):
    context, path = tls
    client = ssl.create_default_context(cafile=path) if has_context else None
    with FaultyServer(tls=context) as server:
        server.on("/fine", reply(200, b"1"))
        server.on("/x", behaviour)
        made = guarded_pool(HTTPSConnectionPool, EndpointGuard((), development=True))
        with made("127.0.0.1", server.port, ssl_context=client, ca_certs=str(path), retries=False, timeout=6) as pool:
            assert [pool.request("GET", "/fine").data for _ in range(2)] == [b"1"] * 2
            began = time.monotonic()
            with pytest.raises(StorageTimeout), storage_deadline(DEADLINE_SECONDS):
                pool.request("GET", "/x")
            assert time.monotonic() - began < DEADLINE_SECONDS + 1


def test_compressed_answer_stays_compressed(server):
    server.on("/x", gzip_bomb(64 * MIB))
    with guarded_pool(HTTPConnectionPool, EndpointGuard((), development=True))("127.0.0.1", server.port) as pool:
        answer = pool.request("GET", "/x", preload_content=False, retries=False)
        assert len(answer.read(decode_content=True)) < MIB


@pytest.mark.parametrize(("deadline_seconds", "bound_seconds"), [(0.2, 60.0), (60.0, 0.2)])
def test_endless_dns_lookup_is_abandoned(monkeypatch, deadline_seconds, bound_seconds):
    monkeypatch.setattr(pool_module, "LOOK_UP_SECONDS", bound_seconds)
    never, began = threading.Event(), time.monotonic()
    guard = EndpointGuard(("storage.example.com",), resolve=lambda *args, **kwargs: never.wait(20) and [])
    try:
        with (
            guarded_pool(HTTPSConnectionPool, guard)("storage.example.com") as pool,
            pytest.raises(StorageUnavailable),
            storage_deadline(deadline_seconds),
        ):
            pool.request("GET", "/", retries=False)
        assert time.monotonic() - began < 10
    finally:
        never.set()


@pytest.mark.parametrize("behaviour", ["accepts nothing", "reads nothing"])
def test_send_that_no_server_reads_is_abandoned(behaviour):
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf, black_hole() as hole:
        port = hole if behaviour == "accepts nothing" else deaf.getsockname()[1]
        made = guarded_pool(HTTPConnectionPool, EndpointGuard((), development=True))
        began = time.monotonic()
        with made("127.0.0.1", port, timeout=10) as pool, pytest.raises(StorageTimeout), storage_deadline(0.2):
            pool.request("PUT", "/x", body=bytes(32 * MIB), retries=False)
        assert time.monotonic() - began < 5


def test_only_a_few_of_many_addresses_are_tried(monkeypatch):
    tried = []

    def refuse(address, *args, **kwargs):
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr("urllib3.util.connection.create_connection", refuse)
    entries = [(None, None, None, "", (f"127.0.0.{number}", 1)) for number in range(1, 9)]
    guard = EndpointGuard((), development=True, resolve=lambda *args, **kwargs: entries)
    with guarded_pool(HTTPConnectionPool, guard)("localhost", 1) as pool, pytest.raises(NewConnectionError):
        pool.request("GET", "/", retries=False)
    assert tried == [f"127.0.0.{number}" for number in range(1, MOST_ADDRESSES + 1)]
