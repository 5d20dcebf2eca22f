"""Reading something large through the guarded client: bounded by silences, never cut short without a word."""

import socket
import time
from contextlib import closing
from functools import partial

import pytest

from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderError,
    ProviderResourceNotFound,
    ProviderTimeout,
    ProviderUnavailable,
)
from videoconf.providers import GuardedClient, download, provider_deadline
from videoconf.storage import EndpointGuard
from videoconf.testing.faulty_server import FaultyServer, drip_body, drip_head, hang, raw, reply, reset, truncated

LARGE = bytes(range(256)) * 4096 * 8


@pytest.fixture
def server():
    with FaultyServer() as server:
        yield server


@pytest.fixture
def client():
    made = GuardedClient(
        provider="test",
        account="a",
        connect_seconds=0.5,
        between_bytes_seconds=0.3,
        attempt_seconds=0.5,
        answer_cap_bytes=1024,
    )
    with closing(made):
        yield made


def test_more_than_an_answer_may_hold_is_read(server, client):
    server.on("/archive", reply(200, LARGE))
    with client.open(server.url("/archive?signature=x")) as stream:
        assert b"".join(iter(partial(stream.read, 1 << 16), b"")) == LARGE
        assert stream.read(1) == b""
    assert server.count("/archive") == 1


def test_partly_read_download_leaves_no_reusable_connection(server, client):
    server.on("/archive", reply(200, LARGE))
    for _ in range(3):
        with client.open(server.url("/archive")) as stream:
            assert stream.read(4) == LARGE[:4]
    stream.close()
    assert server.count("/archive") == 3


def test_only_silence_bounds_the_reading_and_not_the_deadline(server, client):
    server.on("/archive", drip_body(0.05, length=16))
    with provider_deadline(0.3), client.open(server.url("/archive")) as stream:
        assert stream.read() == b"x" * 16


def test_slow_download_is_abandoned_in_time(server, client, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE_SECONDS", 0.5)
    server.on("/archive", drip_body(0.05))
    started = time.monotonic()
    with client.open(server.url("/archive")) as stream, pytest.raises(ProviderTimeout):
        stream.read(1 << 16)
    assert time.monotonic() - started < 2


def test_a_slow_reader_is_not_the_peers_fault(server, client, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE_SECONDS", 0.5)
    server.on("/archive", reply(200, LARGE[:64]))
    with client.open(server.url("/archive")) as stream:
        time.sleep(0.7)
        assert stream.read() == LARGE[:64]


BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"
TOO_EARLY = {
    "one byte short": truncated(b"x"),
    "far too short": truncated(b"x", missing=1 << 30),
    "reset": reset(BEGUN),
}


@pytest.mark.parametrize("behaviour", TOO_EARLY.values(), ids=TOO_EARLY)
def test_an_end_that_comes_too_early_is_an_error(server, client, behaviour):
    server.on("/archive", behaviour)
    with client.open(server.url("/archive")) as stream, pytest.raises(ProviderError):
        stream.read()


def test_a_silence_is_an_error(server, client):
    def fall_silent(exchange):
        exchange.send(BEGUN)
        exchange.stopping.wait()
        return False

    server.on("/archive", fall_silent)
    with client.open(server.url("/archive")) as stream, pytest.raises(ProviderTimeout):
        stream.read()


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (reply(403), ProviderAuthFailed),
        (reply(404), ProviderResourceNotFound),
        (reply(302, headers={"Location": "/elsewhere"}), ProviderBadResponse),
        (reply(206, b"x"), ProviderBadResponse),
        (raw(b"\x00 no http\r\n\r\n"), ProviderBadResponse),
        (hang(), ProviderTimeout),
        (drip_head(0.05), ProviderTimeout),
        (reset(), ProviderTimeout),
    ],
    ids=["403", "404", "redirect", "a part", "garbage", "hang", "drip", "reset"],
)
def test_invalid_beginning_is_an_error_within_the_deadline(server, client, behaviour, error, caplog):
    server.on("/archive", behaviour)
    started = time.monotonic()
    with provider_deadline(0.6), pytest.raises(error) as caught:
        client.open(server.url("/archive?signature=tops3cret"))
    assert time.monotonic() - started < 1.5
    assert server.count("/elsewhere") == 0
    assert "tops3cret" not in caplog.text + str(caught.value) + repr(caught.value.provider_message)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "/x", "", "http://", "http://[", "http://a:b/"])
def test_invalid_url_is_an_error(client, url):
    with pytest.raises(ProviderBadResponse):
        client.open(url)


def test_refused_connection_is_an_error(client):
    with pytest.raises(ProviderUnavailable):
        client.open("http://127.0.0.1:1/x")


# --- what the provider names is guarded -------------------------------------------------------------------------------


def guarded(*addresses, allowed=("*:*",), development=False):
    """A client whose host names have these addresses."""

    def resolve(host, port, **kwargs):
        return [(socket.AF_INET, 1, 6, "", (one, port)) for one in addresses or (host,)]

    return GuardedClient(
        provider="test",
        account="a",
        connect_seconds=0.5,
        between_bytes_seconds=0.3,
        downloads=EndpointGuard(allowed, development=development, resolve=resolve),
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0"])
def test_private_address_is_not_fetched_from(address):
    for host, found in (
        (address, ()),
        ("vendor.example.com", (address,)),
        ("vendor.example.com", ("203.0.114.7", address)),
    ):
        with closing(guarded(*found)) as client, pytest.raises(ProviderBadResponse):
            client.open(f"https://{host}/archive?signature=x")


def test_plain_http_is_not_fetched_from(server):
    with closing(guarded("127.0.0.1", development=True)) as client:
        with pytest.raises(ProviderBadResponse):
            client.open("http://vendor.example.com/archive")
        server.on("/archive", reply(200, b"x"))
        with client.open(server.url("/archive")) as stream:  # this machine, in development
            assert stream.read() == b"x"


def test_own_machine_is_not_fetched_from_in_production(server):
    server.on("/archive", reply(200, b"x"))
    with closing(guarded()) as client, pytest.raises(ProviderBadResponse):
        client.open(server.url("/archive"))
    assert server.count("/archive") == 0
