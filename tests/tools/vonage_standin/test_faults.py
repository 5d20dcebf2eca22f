"""Faults on demand: what the caller sees, and whether the thing was done."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from opentok.exceptions import OpenTokException

from tools.vonage_standin import VonageStandin, faults
from tools.vonage_standin.callers import authorization, call, sdk_client, server_token


def create(standin: VonageStandin, timeout_seconds: float = 5) -> requests.Response:
    """Create a session with a client that shows everything."""
    headers = {**authorization(standin, server_token(standin)), "Accept": "application/json"}
    with requests.Session() as caller:
        caller.trust_env = False
        return caller.post(
            f"{standin.url}/session/create", headers=headers, timeout=timeout_seconds, allow_redirects=False
        )


def befall(standin: VonageStandin, *fault: faults.Fault) -> None:
    standin.faults.add("POST", "/session/create$", *fault)


def test_error_fault_answers_without_effect(opentok: VonageStandin) -> None:
    befall(opentok, faults.error(500), faults.error(409, "HTTP 409 Conflict", 15001))
    assert create(opentok).json() == {"code": -1, "message": "Request timed out.", "description": "Request timed out."}
    conflict = create(opentok)
    assert (conflict.status_code, conflict.json()["code"]) == (409, 15001)
    assert not opentok.world.sessions


def test_stopped_standin_answers_no_request() -> None:
    """Not on a connection that was kept alive either."""
    with requests.Session() as caller:
        with VonageStandin() as standin:
            url, headers = f"{standin.url}/session/create", authorization(standin, server_token(standin))
            assert caller.post(url, headers=headers, timeout=5).status_code == 200
        with pytest.raises(requests.ConnectionError):
            caller.post(url, headers=headers, timeout=5)
    assert len(standin.received) == 1


def test_fault_applies_to_one_request_of_its_kind(opentok: VonageStandin) -> None:
    befall(opentok, faults.html(503), faults.html(502))
    assert call(opentok, "GET", "{p}/archive").status == 200
    assert [create(opentok).status_code for _ in range(3)] == [503, 502, 200]
    assert len(opentok.received) == 4


def test_latency_fault_delays_the_answer(opentok: VonageStandin) -> None:
    befall(opentok, faults.latency(0.2))
    begin = time.monotonic()
    assert create(opentok).status_code == 200
    assert time.monotonic() - begin >= 0.2


@pytest.mark.parametrize(
    ("fault", "done"),
    [
        (faults.reset_before_processing(), 0),
        (faults.reset_after_processing(), 1),
        (faults.garbage(), 0),
    ],
)
def test_reset_fault_breaks_the_connection(opentok: VonageStandin, fault: faults.Fault, done: int) -> None:
    befall(opentok, fault)
    with pytest.raises(requests.ConnectionError):
        create(opentok)
    assert len(opentok.world.sessions) == done
    assert create(opentok).status_code == 200


@pytest.mark.parametrize(("fault", "done"), [(faults.silence(), 0), (faults.latency(30), 0)])
def test_silence_fault_runs_into_the_timeout(opentok: VonageStandin, fault: faults.Fault, done: int) -> None:
    befall(opentok, fault)
    with pytest.raises(requests.ReadTimeout):
        create(opentok, timeout_seconds=0.3)
    assert len(opentok.world.sessions) == done


def test_drip_fault_outlasts_the_read_timeout(opentok: VonageStandin) -> None:
    befall(opentok, faults.drip(0.003))
    begin = time.monotonic()
    body = create(opentok, timeout_seconds=0.5).content
    assert time.monotonic() - begin > 1  # longer than the time-out, which each byte restarts
    assert json.loads(body)[0]["session_id"] in opentok.world.sessions


def test_rate_limit_fault_answers_429(opentok: VonageStandin) -> None:
    befall(opentok, faults.rate_limited("7"))
    got = create(opentok)
    assert (got.status_code, got.headers["Retry-After"]) == (429, "7")
    assert not opentok.world.sessions


def test_answer_faults_send_wrong_answers(opentok: VonageStandin) -> None:
    befall(opentok, faults.html(), faults.redirect(), faults.bad_json(), faults.empty_body(), faults.huge(1 << 20))
    page = create(opentok)
    assert (page.status_code, page.headers["Content-Type"]) == (502, "text/html")
    moved = create(opentok)
    assert (moved.status_code, moved.headers["Location"]) == (302, "http://127.0.0.1:9/elsewhere")
    assert not opentok.world.sessions
    half = create(opentok)
    assert half.status_code == 200
    with pytest.raises(ValueError):
        half.json()
    assert create(opentok).content == b""
    assert len(create(opentok).content) == 1 << 20
    assert len(opentok.world.sessions) == 3


def test_sdk_reads_an_answer_with_a_charset_as_xml(opentok: VonageStandin, tmp_path: Path) -> None:
    befall(opentok, faults.charset_suffix())
    sdk: Any = sdk_client(opentok, tmp_path)
    with pytest.raises(OpenTokException):
        sdk.create_session()
    assert sdk.create_session().session_id in opentok.world.sessions


def test_stopping_waits_for_no_hanging_request() -> None:
    with VonageStandin() as standin:
        standin.faults.add("GET", "/archive", faults.silence())
        caller = http.client.HTTPConnection("127.0.0.1", standin.server.port, timeout=5)
        caller.request("GET", f"/v2/project/{standin.account}/archive")
        begin = time.monotonic()
    assert time.monotonic() - begin < 2
    caller.close()
