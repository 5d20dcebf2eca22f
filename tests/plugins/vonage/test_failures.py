"""Everything that can go wrong in a call to Vonage: which error it is, and how many requests reached Vonage."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.plugins.vonage.at_the_standin.steps import provider_at
from tools.vonage_standin import faults
from tools.vonage_standin.faults import Fault
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
from videoconf.providers import SessionRequest, provider_deadline
from videoconf.testing.faulty_server import reply
from videoconf_vonage.rest import seconds_ahead

BUDGET_SECONDS = 3.0
CLIENT = {"connect_seconds": 0.2, "between_bytes_seconds": 0.3, "attempt_seconds": 0.4}


def answered(status, body=b'{"code":-1,"message":"told in confidence"}', **headers):
    sent = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Fault(processed=False, behaviour=reply(status, body, headers=sent))


@dataclass(frozen=True)
class Row:
    """One row of the failure table."""

    fault: Fault
    error: type[ProviderError]
    status: int
    """Of our answer."""
    retryable: bool
    unknown: bool = False
    """Whether it may have been executed."""
    repeated: bool = False
    """Whether an idempotent call is sent three times; what is not idempotent is sent once whatever happens."""
    made: int = 0
    """How many sessions Vonage has made."""


OK_PAGE = Fault(change=lambda answer: type(answer)(200, b"<html>It works!</html>", "text/html"))
TABLE = {
    "401": Row(answered(401), ProviderAuthFailed, 502, False),
    "403": Row(answered(403), ProviderAuthFailed, 502, False),
    "404": Row(answered(404), ProviderResourceNotFound, 404, False),
    "409": Row(answered(409), ProviderConflict, 409, False),
    "413": Row(answered(413), ProviderRejected, 422, False),
    "415": Row(answered(415), ProviderRejected, 422, False),
    "429": Row(answered(429, Retry_After="0"), ProviderRateLimited, 503, True, repeated=True),
    "500": Row(answered(500), ProviderError, 502, True),
    "502": Row(faults.html(502), ProviderError, 502, True, repeated=True),
    "503": Row(answered(503, Retry_After="0"), ProviderUnavailable, 503, True, repeated=True),
    "504": Row(answered(504), ProviderTimeout, 504, True, unknown=True, repeated=True),
    "reset before": Row(faults.reset_before_processing(), ProviderTimeout, 504, True, unknown=True, repeated=True),
    "reset after": Row(
        faults.reset_after_processing(), ProviderTimeout, 504, True, unknown=True, repeated=True, made=1
    ),
    "silence": Row(faults.silence(), ProviderTimeout, 504, True, unknown=True, repeated=True),
    "drip": Row(faults.drip(), ProviderTimeout, 504, True, unknown=True, repeated=True, made=1),
    "huge": Row(faults.huge(), ProviderBadResponse, 502, True, unknown=True, made=1),
    "garbage": Row(faults.garbage(), ProviderBadResponse, 502, True, unknown=True),
    "half a document": Row(faults.bad_json(), ProviderBadResponse, 502, True, unknown=True, made=1),
    "nothing": Row(faults.empty_body(), ProviderBadResponse, 502, True, unknown=True, made=1),
    "HTML": Row(OK_PAGE, ProviderBadResponse, 502, True, unknown=True, made=1),
    "redirect": Row(faults.redirect(), ProviderBadResponse, 502, True, unknown=True),
}


@pytest.fixture
def provider(vonage_standin):
    with closing(provider_at(vonage_standin, **CLIENT)) as provider:
        yield provider


def fails(row, call):
    started = time.monotonic()
    with provider_deadline(BUDGET_SECONDS), pytest.raises(ProviderError) as caught:
        call()
    assert time.monotonic() - started < BUDGET_SECONDS + 0.5
    error = caught.value
    assert type(error) is row.error
    assert (error.status, error.retryable, error.outcome_unknown) == (row.status, row.retryable, row.unknown)
    assert "told in confidence" not in f"{error} {error.detail} {error.errors}"


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_non_idempotent_call_is_sent_once(vonage_standin, provider, row):
    vonage_standin.faults.add("POST", "/session/create$", *[row.fault] * 3)
    fails(row, lambda: provider.ensure_session(SessionRequest("m")))
    assert len(vonage_standin.received) == 1
    assert len(vonage_standin.world.sessions) == row.made


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_idempotent_call_is_repeated_if_that_can_help(vonage_standin, provider, row):
    session = provider.ensure_session(SessionRequest("m"))
    vonage_standin.faults.add("GET", "/archive$", *[row.fault] * 3)
    fails(row, lambda: provider.list_archives(session))
    assert len(vonage_standin.received) == 1 + (3 if row.repeated else 1)


UNREAD = ("half a document", "nothing", "HTML")
"""Of no consequence to a call whose answer's status alone is read."""


@pytest.mark.parametrize(("name", "row"), TABLE.items(), ids=TABLE)
def test_muting_one_fails_as_its_list_of_streams_does(vonage_standin, provider, name, row):
    session = provider.ensure_session(SessionRequest("m"))
    camera = vonage_standin.publish(vonage_standin.connect_to(session.session_id))
    ann = camera.connection.connection_id
    vonage_standin.faults.add("GET", "/stream$", *[row.fault] * 3)

    def mute():
        provider.mute(session, ann, {ann: [camera.stream_id]})

    if name == "404":
        mute()  # a session that never ran
    else:
        fails(row, mute)
    assert len(vonage_standin.received) == 1 + (3 if row.repeated else 1)
    assert not camera.muted


@pytest.mark.parametrize(("name", "row"), TABLE.items(), ids=TABLE)
def test_muting_one_fails_as_its_mute_of_a_stream_does(vonage_standin, provider, name, row):
    session = provider.ensure_session(SessionRequest("m"))
    camera = vonage_standin.publish(vonage_standin.connect_to(session.session_id))
    ann = camera.connection.connection_id
    vonage_standin.faults.add("POST", f"/stream/{camera.stream_id}/mute$", *[row.fault] * 3)

    def mute():
        provider.mute(session, ann, {ann: [camera.stream_id]})

    if name == "404" or name in UNREAD:
        mute()
    else:
        fails(row, mute)
    assert len(vonage_standin.received) == 2 + (3 if row.repeated else 1)
    assert camera.muted == bool(row.made), "done exactly where a session would have been made"


def test_transient_failure_is_not_noticed(vonage_standin, provider):
    vonage_standin.faults.add("GET", "/archive$", faults.html(502), faults.reset_after_processing())
    provider.check()
    assert len(vonage_standin.received) == 3


def test_refused_connection_means_that_nothing_was_executed(make_vonage_standin):
    standin = make_vonage_standin("opentok")
    with closing(provider_at(standin, **CLIENT)) as provider:
        standin.__exit__(None, None, None)
        row = Row(Fault(), ProviderUnavailable, 503, True)
        fails(row, lambda: provider.ensure_session(SessionRequest("m")))
        assert standin.received == []


def test_every_attempt_is_signed_again(vonage_standin, provider):
    vonage_standin.faults.add("GET", "/archive$", faults.html(502), faults.html(502))
    provider.check()
    names = ("authorization", "x-opentok-auth")
    assert len({one.headers.get(name) for one in vonage_standin.received for name in names} - {None}) == 3


@pytest.mark.parametrize(
    "date", [None, "", "no date", "Mon, 01 Jan 2030 00:00:00 -0000", "Mon, 01 Jan 99999999999999 00:00:00 GMT"]
)
def test_unreadable_date_says_nothing_of_the_clocks(date):
    assert seconds_ahead(date, datetime(2030, 1, 1, tzinfo=UTC)) is None
