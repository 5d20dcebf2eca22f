"""Which error each answer becomes, and which calls are repeated, after which pause."""

from __future__ import annotations

import datetime
from email.utils import format_datetime

import pytest

from tests.unit.guarded_client.calls import NOT_ANSWERED, OVERSHOOT_SECONDS, create, get, within
from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderConflict,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderResourceNotFound,
    ProviderTimeout,
    ProviderUnavailable,
)
from videoconf.providers import provider_deadline
from videoconf.testing.faulty_server import (
    reply,
)


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
def test_status_becomes_the_documented_error(
    client, server, pauses, outcomes, status, error, public_status, retry_after, attempts_when_idempotent
):
    server.on("/x", reply(status, keep_alive=False))
    with pytest.raises(ProviderError) as raised:
        get(client, server.url("/x"))
    assert type(raised.value) is error
    assert (raised.value.status, raised.value.provider_status) == (public_status, status)
    assert raised.value.retry_after_seconds == retry_after
    assert server.count("/x") == outcomes[0].attempts == attempts_when_idempotent


@pytest.mark.parametrize("fault", NOT_ANSWERED)
def test_non_idempotent_call_is_sent_once(client, server, fault):
    behaviour, error = NOT_ANSWERED[fault]
    server.on("/x", behaviour)
    with within(0.5 + OVERSHOOT_SECONDS), pytest.raises(ProviderError) as raised:
        create(client, server.url("/x"), json={})
    assert type(raised.value) is error
    assert raised.value.outcome_unknown
    assert server.count("/x") == 1
    assert server.count("/elsewhere") == 0


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_failed_create_is_not_repeated(client, server, status):
    server.on("/x", reply(status))
    with pytest.raises(ProviderError):
        create(client, server.url("/x"), json={})
    assert server.count("/x") == 1


def test_reset_before_the_request_is_read_leaves_an_open_outcome(client, server):
    server.resets_before_reading = True
    with pytest.raises(ProviderTimeout):
        create(client, server.url("/x"))
    assert server.connection_count == 1


@pytest.mark.parametrize("fault", ["hang", "reset after reading", "closed without an answer"])
def test_idempotent_call_is_repeated(client, server, pauses, fault):
    server.on("/x", NOT_ANSWERED[fault][0], NOT_ANSWERED[fault][0], reply(200, b"1"))
    assert get(client, server.url("/x")).json() == 1
    assert server.count("/x") == 3


@pytest.mark.parametrize("fault", ["truncated", "not HTTP", "redirect", "broken gzip"])
def test_bad_responses_are_not_repeated(client, server, fault):
    server.on("/x", NOT_ANSWERED[fault][0])
    with pytest.raises(ProviderBadResponse):
        get(client, server.url("/x"))
    assert server.count("/x") == 1


def test_pauses_grow_and_have_jitter(make_client, server, pauses):
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


def test_retry_after_may_be_a_date(client, server, pauses):
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
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", 5, 3),
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


def test_call_is_not_repeated_too_close_to_the_deadline(make_client, server):
    server.on("/x", reply(503))
    with provider_deadline(1.9), pytest.raises(ProviderUnavailable):
        get(make_client(connect_seconds=2.0), server.url("/x"))
    assert server.count("/x") == 1


def test_retry_budget_runs_out_and_refills(client, server, pauses):
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
