"""A provider that no request reaches: refused, silent, without an address, without valid TLS."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading

import pytest

from tests.unit.guarded_client.calls import OVERSHOOT_SECONDS, closed_port, create, get, within
from videoconf.errors import (
    ProviderUnavailable,
)
from videoconf.providers import provider_deadline
from videoconf.testing.faulty_server import (
    black_hole,
    reply,
)


def assert_unavailable(client, url, outcomes, *, seconds, attempts=3):
    with within(seconds), pytest.raises(ProviderUnavailable) as raised:
        create(client, url, json={})
    assert not raised.value.outcome_unknown
    assert raised.value.retry_after_seconds == 5
    assert outcomes[-1].attempts == attempts
    return raised.value


def test_refused_connection_is_unavailable(client, outcomes, caplog):
    caplog.set_level(logging.INFO)
    assert_unavailable(client, f"http://127.0.0.1:{closed_port()}/x", outcomes, seconds=1)
    assert "Connection refused" in caplog.text


def test_create_succeeds_once_the_provider_listens_again(client, server, monkeypatch):
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


def test_black_hole_is_unavailable_at_the_connect_limit(make_client, outcomes, pauses):
    with black_hole() as port:
        assert_unavailable(make_client(), f"http://127.0.0.1:{port}/x", outcomes, seconds=3 * 0.3 + OVERSHOOT_SECONDS)


def test_unresolvable_name_is_unavailable(client, outcomes, pauses, monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert_unavailable(client, "http://provider.test/x", outcomes, seconds=1)


def test_silent_resolver_ends_at_the_connect_limit(client, outcomes, pauses, monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(5) and [])
    assert_unavailable(client, "http://provider.test/x", outcomes, seconds=3 * 0.3 + OVERSHOOT_SECONDS)
    answered.set()


def test_dead_address_leaves_time_for_the_next(make_client, server, monkeypatch):
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


def test_tls_connection_is_kept_alive(trusting_client, tls_server):
    for _ in range(3):
        assert get(trusting_client, tls_server.url("/x")).json() == 1
    assert tls_server.connection_count == 1


def test_tls_certificate_of_a_stranger_is_refused(client, tls_server, outcomes, pauses, caplog):
    caplog.set_level(logging.INFO)
    assert_unavailable(client, tls_server.url("/x"), outcomes, seconds=1)
    assert "certificate verify failed" in caplog.text
    assert tls_server.count("/x") == 0


def test_tls_certificate_of_another_host_is_refused(trusting_client, tls_server, outcomes, pauses):
    assert_unavailable(trusting_client, tls_server.url("/x", host="localhost"), outcomes, seconds=1)
    assert tls_server.count("/x") == 0


def test_tls_to_a_plain_server_is_unavailable(client, server, outcomes, pauses):
    assert_unavailable(client, server.url("/x").replace("http:", "https:"), outcomes, seconds=1)


def test_silent_tls_handshake_ends_at_the_limit(client, outcomes, pauses):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/x"
        assert_unavailable(client, url, outcomes, seconds=3 * 0.3 + OVERSHOOT_SECONDS)


def test_dripping_tls_handshake_ends_at_the_limit(client, outcomes):
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
