"""A call ends at its deadline, whatever the provider does."""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.unit.guarded_client.calls import NOT_ANSWERED, OVERSHOOT_SECONDS, create, get, within
from videoconf.breaker import BreakerState
from videoconf.errors import (
    ProviderTimeout,
    ProviderUnavailable,
)
from videoconf.providers import provider_deadline
from videoconf.testing.faulty_server import (
    drip_body,
    drip_head,
    hang,
    reply,
)


@pytest.mark.parametrize("fault", ["hang", "drip in the head", "drip in the body"])
def test_deadline_holds_whatever_the_peer_does(make_client, server, fault):
    client = make_client(attempt_seconds=6, between_bytes_seconds=5)
    server.on("/x", NOT_ANSWERED[fault][0])
    with provider_deadline(0.35), within(0.35 + OVERSHOOT_SECONDS), pytest.raises(ProviderTimeout):
        get(client, server.url("/x"))
    assert server.count("/x") == 1


@pytest.mark.parametrize("behaviour", [drip_head(0.02), drip_body(0.02)])
def test_deadline_holds_under_tls(trusting_client, tls_server, behaviour):
    tls_server.on("/x", behaviour)
    with within(0.5 + OVERSHOOT_SECONDS), pytest.raises(ProviderTimeout):
        create(trusting_client, tls_server.url("/x"))


def test_deadline_covers_all_attempts(client, server):
    server.on("/x", hang())
    with provider_deadline(1.0), within(1.0 + OVERSHOOT_SECONDS), pytest.raises(ProviderTimeout):
        get(client, server.url("/x"))
    assert server.count("/x") == 2


def test_deadline_holds_on_a_kept_connection(client, server):
    server.on("/x", reply(), drip_body(0.05))
    create(client, server.url("/x"))
    with provider_deadline(0.3), within(0.3 + OVERSHOOT_SECONDS), pytest.raises(ProviderTimeout):
        create(client, server.url("/x"))
    assert server.connection_count == 1


def test_short_deadline_does_not_stay_on_a_connection(client, server):
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


def test_slow_peer_within_the_limits_is_accepted(client, server):
    server.on("/x", reply(200, b"1", delay_seconds=0.25))
    assert create(client, server.url("/x")).json() == 1


def test_call_without_time_left_is_not_sent(client, server, outcomes):
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
def test_deadline_holds_while_sending(trusting_client, server, tls_server, tls):
    chosen = tls_server if tls else server
    chosen.on("/x", read_slowly)
    create(trusting_client, chosen.url("/x"))
    body = "x" * 20_000_000  # takes a while to write, on a busy machine
    with within(0.5 + 4 * OVERSHOOT_SECONDS), pytest.raises(ProviderTimeout):
        create(trusting_client, chosen.url("/x"), json=body)
    assert chosen.connection_count == 1
