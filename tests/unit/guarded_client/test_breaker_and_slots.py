"""A failing provider is left alone for a while, and only so many calls wait for one at once."""

from __future__ import annotations

import datetime
import threading
from contextvars import copy_context

import pytest

from tests.unit.guarded_client.calls import OVERSHOOT_SECONDS, closed_port, create, get, within
from videoconf import shares
from videoconf.breaker import BreakerState
from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBusy,
    ProviderError,
    ProviderPluginError,
    ProviderUnavailable,
)
from videoconf.providers import provider_deadline
from videoconf.testing.faulty_server import (
    hang,
    raw,
    reply,
    reset,
)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [(reply(500), 5.0), (reply(503), 5.0), (hang(), 0.3), (reset(), 5.0)],
    ids=["500", "503", "hang", "reset"],
)
def test_breaker_stops_calls_to_a_failing_provider_then_probes(make_client, server, outcomes, fault, seconds):
    clock = Clock()
    client = make_client(clock=clock, attempt_seconds=seconds)
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


def test_breaker_stops_calls_to_an_unreachable_provider(client, pauses, outcomes):
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
def test_refused_credentials_pause_calls_for_a_minute(make_client, server, status):
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


def test_state_reports_how_the_latest_attempt_ended(client, server):
    server.on("/x", reply(500), reply())
    assert client.state.last_error_code is None
    with pytest.raises(ProviderError):
        get(client, server.url("/x"))
    assert client.state.last_error_code == "provider_error"
    get(client, server.url("/x"))
    assert client.state.last_error_code is None
    assert client.state.since.utcoffset() == datetime.timedelta(0)


def test_error_of_the_plugin_neither_counts_nor_leaks_the_probe(make_client, server, outcomes):
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


def test_one_tenant_leaves_slots_to_others(make_client, server):
    client = make_client(slots=4, attempt_seconds=5, between_bytes_seconds=5)
    arrived, release = threading.Semaphore(0), threading.Event()

    def hold(exchange):
        arrived.release()
        release.wait(5)
        return reply()(exchange)

    server.on("/held", hold)
    server.on("/x", reply())
    is_refused = threading.Event()

    def call():
        shares.tenant.set("acme")
        try:
            create(client, server.url("/held"))
        except ProviderBusy:
            is_refused.set()

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    assert arrived.acquire(timeout=5)
    context = copy_context()
    context.run(shares.tenant.set, "other")
    context.run(get, client, server.url("/x"))  # a slot is free for another tenant
    assert is_refused.wait(5), "the tenant's own further calls are refused"
    release.set()
    for thread in threads:
        thread.join()


def test_calls_wait_for_a_free_slot(make_client, server):
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


def test_open_breaker_answers_before_waiting_for_a_slot(make_client, server):
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


def test_every_outcome_frees_the_slot(make_client, server):
    client = make_client(slots=1)
    server.on("/x", reply(400), reset(), raw(b"?"), reply())
    for _ in range(3):
        with pytest.raises(ProviderError):
            create(client, server.url("/x"))
    create(client, server.url("/x"))
