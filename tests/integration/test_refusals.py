"""Refusals are limited for each address; what is served never counts."""

import pytest

from tests.support.commands import run
from tests.support.service import ON_SQLITE

pytestmark = ON_SQLITE


@pytest.fixture
def ask(make_app, headers):
    """Give a function that asks from an address; without a token unless the test says so."""
    client = make_app(rate_limit_address="3/minute", trusted_proxies=1).test_client()

    def ask(path, address="192.0.2.1", method="GET", **sent):
        answer = client.open(path, method=method, headers={"X-Forwarded-For": address, **sent})
        assert answer.headers["X-Request-ID"]
        return answer.status_code

    return ask


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/session", 401), ("GET", "/unknown", 404), ("DELETE", "/healthz", 405), ("GET", "//healthz", 404)],
)
def test_each_kind_of_refusal_counts(ask, method, path, status):
    assert [ask(path, method=method) for _ in range(4)] == [status] * 3 + [429]


def test_refusals_of_all_kinds_count_together(ask):
    assert [ask("/session"), ask("/unknown"), ask("/healthz", method="DELETE")] == [401, 404, 405]
    assert ask("/another") == 429
    assert ask("/unknown", address="192.0.2.2") == 404


def test_served_requests_never_count_and_are_never_limited(ask, headers):
    assert {ask("/healthz") for _ in range(10)} == {200}
    assert {ask("/session", **headers()) for _ in range(10)} == {200}
    assert {ask("/session/unknown", **headers()) for _ in range(10)} == {404}
    for _ in range(4):
        ask("/session")
    assert ask("/session") == 429
    assert ask("/healthz") == 200
    assert ask("/session", **headers()) == 200, "a classroom behind one address comes in"


def test_ipv6_network_counts_as_one_address(ask):
    statuses = [ask("/session", address=f"2001:db8:0:1::{number}") for number in range(1, 5)]
    assert statuses == [401, 401, 401, 429]
    assert ask("/session", address="2001:db8:0:2::1") == 401


def test_doctor_warns_that_limits_multiply(make_app):
    assert "rate limits" in run(make_app(rate_limit="5/minute"), "doctor").output
    assert "rate limits" not in run(make_app(), "doctor").output
