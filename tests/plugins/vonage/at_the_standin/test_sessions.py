"""Creating and ending sessions, and the account, at a stand-in for Vonage."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import parse_qs

import pytest
from marshmallow import ValidationError

from tests.plugins.vonage.at_the_standin.steps import in_world, join, provider_at, requests
from tools.vonage_standin import faults
from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
)
from videoconf.providers import (
    ArchiveRequest,
    ArchiveStatus,
    SessionRequest,
)
from videoconf_vonage.provider import Options


@pytest.mark.parametrize(
    ("request_", "form"),
    [
        (SessionRequest("m"), {"p2p.preference": "disabled", "archiveMode": "manual", "e2ee": "false"}),
        (
            SessionRequest("m", options={"mediaMode": "relayed", "location": "192.0.2.7"}),
            {"p2p.preference": "enabled", "archiveMode": "manual", "e2ee": "false", "location": "192.0.2.7"},
        ),
        (
            SessionRequest("m", options={"mediaMode": "routed"}, archiving=True),
            {"p2p.preference": "disabled", "archiveMode": "always", "e2ee": "false"},
        ),
        (
            SessionRequest("m", end_to_end_encryption=True),
            {"p2p.preference": "disabled", "archiveMode": "manual", "e2ee": "true"},
        ),
    ],
    ids=["plain", "relayed", "archived", "encrypted"],
)
def test_session_is_created_as_requested(standin, provider, request_, form):
    ref = provider.ensure_session(request_)
    assert ref.account == standin.account
    assert ref.session_id in standin.world.sessions
    (sent,) = requests(standin, "POST", "/session/create")
    assert {name: values[0] for name, values in parse_qs(sent.body.decode()).items()} == form
    assert sent.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    "request_",
    [
        SessionRequest("m", options={"mediaMode": "relayed"}, archiving=True),
        SessionRequest("m", options={"mediaMode": "relayed"}, end_to_end_encryption=True),
        SessionRequest("m", archiving=True, end_to_end_encryption=True),
    ],
)
def test_contradictory_request_is_refused_before_it_is_sent(standin, provider, request_):
    with pytest.raises(ProviderRejected):
        provider.ensure_session(request_)
    assert standin.received == []


WRONG_OPTIONS = [{"mediaMode": "p2p"}, {"location": "vienna"}, {"location": "::1"}, {"location": 7}, {"e2ee": True}]


@pytest.mark.parametrize("wrong", WRONG_OPTIONS, ids=str)
def test_other_options_are_refused(wrong):
    with pytest.raises(ValidationError):
        Options().load(wrong)


def test_content_type_with_a_charset_counts_as_json(standin, provider):
    standin.faults.add("POST", "/session/create$", faults.charset_suffix())
    assert provider.ensure_session(SessionRequest("m")).session_id in standin.world.sessions


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"7", b"[7]", b"[{}]", b'[{"session_id":7}]', b'[{"session_id":"a/../b"}]',
             b'[{"session_id":"a"},{"session_id":"b"}]', b'{"session_id":"a"}']
)  # fmt: skip
def test_answer_without_a_usable_id_is_a_bad_response(standin, provider, body):
    standin.faults.add(
        "POST", "/session/create$", faults.Fault(change=lambda answer: type(answer)(200, body, answer.content_type))
    )
    with pytest.raises(ProviderBadResponse) as caught:
        provider.ensure_session(SessionRequest("m"))
    assert caught.value.outcome_unknown


def test_end_disconnects_participants_and_stops_archives(standin, provider, session):
    people = [join(standin, provider, session) for _ in range(3)]
    archive = provider.start_archive(session, ArchiveRequest())
    told = [people[0].connection_id, "left-long-ago"]
    provider.end_session(session, told)
    assert in_world(standin, session).connections == {}
    assert standin.archives.get(archive.archive_id).status == "stopped"
    sent = len(requests(standin, "DELETE", ""))
    assert sent == 4  # each once, whether told, listed or both
    provider.end_session(session, told)  # and again, as a job does
    assert standin.archives.get(archive.archive_id).status == "stopped"


def test_end_leaves_an_automatic_archive_to_stop_by_itself(standin, provider):
    session = provider.ensure_session(SessionRequest("m", archiving=True))
    join(standin, provider, session)
    assert [one.status for one in provider.list_archives(session)] == [ArchiveStatus.STARTED]
    provider.end_session(session, [])
    standin.advance(61)
    assert [one.status for one in provider.list_archives(session)] == [ArchiveStatus.STOPPED]


def test_one_failed_disconnect_does_not_stop_the_end(standin, provider, session):
    people = [join(standin, provider, session) for _ in range(3)]
    standin.faults.add("DELETE", f"/{people[0].connection_id}$", faults.html(500))
    with pytest.raises(Exception) as caught:
        provider.end_session(session, [])
    assert caught.value.status == 502
    assert list(in_world(standin, session).connections) == [people[0].connection_id]
    provider.end_session(session, [])
    assert in_world(standin, session).connections == {}


def test_end_reports_a_retryable_failure_before_others(standin, provider, session):
    people = [join(standin, provider, session) for _ in range(2)]
    standin.faults.add("DELETE", f"/{people[0].connection_id}$", faults.error(400))
    standin.faults.add("DELETE", f"/{people[1].connection_id}$", faults.html(500))
    with pytest.raises(ProviderError) as caught:
        provider.end_session(session, [])
    assert caught.value.status == 502, "after a rejection the job would be given up, and people stay connected"


def test_end_without_a_roster_disconnects_those_of_the_webhooks(standin, provider, session):
    connection = join(standin, provider, session)
    standin.faults.add("GET", "/connection$", faults.html(500))
    with pytest.raises(ProviderError):
        provider.end_session(session, [connection.connection_id])
    assert in_world(standin, session).connections == {}


def test_check_uses_the_credentials(standin, provider):
    provider.check()
    standin.credentials.skew_seconds = -3600
    with pytest.raises(ProviderAuthFailed):
        provider.check()


def test_refusal_reports_clocks_that_differ(standin, provider):
    page = faults.reply(403, b"{}", headers={"Date": "Wed, 01 Jan 2020 00:00:00 GMT"})
    standin.faults.add("GET", "/archive$", faults.Fault(processed=False, behaviour=page))
    with pytest.raises(ProviderAuthFailed, match="clock is"):
        provider.check()


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 01 Jan 2020 00:00:00 -0000"])
def test_refusal_without_a_date_is_still_a_refusal(standin, provider, date):
    page = faults.reply(401, b"", headers={"Date": date})
    standin.faults.add("GET", "/archive$", faults.Fault(processed=False, behaviour=page))
    with pytest.raises(ProviderAuthFailed):
        provider.check()


def test_silent_vonage_is_a_timeout(standin):
    with closing(provider_at(standin, attempt_seconds=0.2, connect_seconds=0.1)) as provider:
        standin.faults.add("GET", "/archive$", *[faults.silence()] * 3)
        with pytest.raises(ProviderTimeout):
            provider.check()
