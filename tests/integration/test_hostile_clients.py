"""Clients without a token, directly at the service: the others are served in time."""

import time
from urllib.parse import urlsplit

import pytest
import urllib3

from tests.support.hostile_clients import KINDS, Siege
from tests.support.service import ON_SQLITE

SIEGE_SECONDS = 15.0
SHORT_SECONDS = 1.0


def port_of(server):
    return urlsplit(server.url).port


def slowest_answer(server, headers, rounds=10):
    """Ask for a page without a token and one with, each on a connection of its own; return the longest time."""
    slowest = 0.0
    for _ in range(rounds):
        for path, sent in (("/healthz", {}), ("/session", headers())):
            began = time.monotonic()
            answer = urllib3.request("GET", server.url + path, headers=sent, timeout=10, retries=False)
            slowest = max(slowest, time.monotonic() - began)
            assert answer.status == 200
    return slowest


@pytest.mark.long
@ON_SQLITE
def test_eight_hundred_hostile_clients_delay_no_other(gunicorn_server, headers):
    server = gunicorn_server(workers=2, threads=48)
    counts = {
        "read nothing": 200,
        "drip a head": 200,
        "half-close": 100,
        "half-close amid a head": 100,
        "keep their end open": 70,
        "keep their end open, HTTP/1.0": 70,
        "keep their end open, garbage": 60,
    }
    with Siege(port_of(server), counts) as siege:
        time.sleep(SIEGE_SECONDS)
        assert siege.connected == 800
        assert slowest_answer(server, headers) < 1.0
        assert siege.closed > 0


@ON_SQLITE
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_alone_delays_no_other(gunicorn_server, headers, kind):
    server = gunicorn_server(workers=1, threads=8)
    with Siege(port_of(server), {kind: 60}) as siege:
        time.sleep(SHORT_SECONDS)
        assert siege.connected == 60
        assert slowest_answer(server, headers, rounds=4) < 1.0
    server.kill()  # a stop would wait for them
