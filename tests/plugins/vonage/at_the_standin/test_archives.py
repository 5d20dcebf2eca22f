"""Archives at a stand-in for Vonage."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.plugins.vonage.at_the_standin.steps import AZURE, OPENTOK, in_world, join, requests
from tools.vonage_standin import faults
from videoconf.errors import (
    ProviderAuthFailed,
    ProviderConflict,
    ProviderRejected,
    ProviderResourceNotFound,
)
from videoconf.providers import (
    ArchiveRequest,
    ArchiveStatus,
    SessionRef,
    SessionRequest,
)

UNKNOWN_ARCHIVE = "00000000-0000-4000-8000-000000000000"


def test_archive_is_started_stopped_read_and_deleted(standin, provider, session):
    join(standin, provider, session)
    started = provider.start_archive(session, ArchiveRequest(name="visit 7", layout="pip", output="composed"))
    (sent,) = requests(standin, "POST", "/archive")
    body = {"sessionId": session.session_id, "name": "visit 7", "outputMode": "composed", "layout": {"type": "pip"}}
    assert json.loads(sent.body) == body
    assert (started.status, started.name, started.session_id) == (ArchiveStatus.STARTED, "visit 7", session.session_id)

    stopped = provider.stop_archive(session, started.archive_id)
    assert (stopped.status, stopped.reason) == (ArchiveStatus.STOPPED, "user initiated")
    assert provider.stop_archive(session, started.archive_id).status is ArchiveStatus.STOPPED
    with pytest.raises(ProviderConflict):
        provider.delete_archive(started.archive_id)

    standin.finish_archive(started.archive_id)
    ready = provider.get_archive(started.archive_id)
    assert (ready.status, ready.object_key) == (ArchiveStatus.AVAILABLE, None)
    assert ready.size_bytes > 0
    assert "url" not in repr(ready)
    assert provider.stop_archive(session, started.archive_id).status is ArchiveStatus.AVAILABLE  # 409 there
    assert provider.list_archives(session) == [ready]

    for _ in range(2):
        provider.delete_archive(started.archive_id)
    assert provider.list_archives(session) == []


def test_archive_is_downloaded_while_vonage_has_it(standin, provider, session):
    join(standin, provider, session)
    archive_id = provider.start_archive(session, ArchiveRequest()).archive_id
    for read in (provider.archive_url, provider.open_archive):
        with pytest.raises(ProviderConflict):
            read(archive_id)
        with pytest.raises(ProviderResourceNotFound):
            read(UNKNOWN_ARCHIVE)
    provider.stop_archive(session, archive_id)
    standin.finish_archive(archive_id)
    signed = provider.archive_url(archive_id)
    assert signed.url.startswith(standin.url)
    assert timedelta(minutes=9) < signed.expires_at - datetime.now(UTC) <= timedelta(minutes=10)
    with provider.open_archive(archive_id) as stream:
        assert stream.read() == standin.archives.get(archive_id).content
    (download,) = [one for one in standin.received if one.path.startswith("/downloads/")]
    assert not {"authorization", "x-opentok-auth"} & download.headers.keys()

    standin.faults.add("GET", "^/downloads/", faults.Fault(change=lambda answer: type(answer)(403, b"")))
    with pytest.raises(ProviderConflict):
        provider.open_archive(archive_id)


@OPENTOK
def test_uploaded_archive_reports_its_key(standin, provider, session):
    join(standin, provider, session)
    provider.apply_storage("azure", AZURE[0])
    for output, name in (("composed", "archive.mp4"), ("individual", "archive.zip")):
        archive_id = provider.start_archive(session, ArchiveRequest(output=output)).archive_id
        provider.stop_archive(session, archive_id)
        standin.finish_archive(archive_id)
        state = provider.get_archive(archive_id)
        assert (state.status, state.object_key) == (ArchiveStatus.UPLOADED, f"{standin.account}/{archive_id}/{name}")
        assert state.object_key == standin.archives.object_key(standin.archives.get(archive_id))


@pytest.mark.parametrize("status", [404, 400])
def test_start_in_an_empty_session_has_its_own_conflict(standin, provider, session, status):
    standin.switches.no_clients_status = status
    with pytest.raises(ProviderConflict) as caught:
        provider.start_archive(session, ArchiveRequest())
    assert caught.value.provider_code == "no_connections"


def test_other_conflicts_of_a_start_have_their_own_codes(standin, provider, session):
    join(standin, provider, session)
    provider.start_archive(session, ArchiveRequest())
    with pytest.raises(ProviderConflict) as caught:
        provider.start_archive(session, ArchiveRequest())
    assert caught.value.provider_code == "already_recording"
    relayed = provider.ensure_session(SessionRequest("m", options={"mediaMode": "relayed"}))
    join(standin, provider, relayed)
    with pytest.raises(ProviderConflict) as caught:
        provider.start_archive(relayed, ArchiveRequest())
    assert caught.value.provider_code == "session_relayed"
    with pytest.raises(ProviderResourceNotFound):
        provider.start_archive(SessionRef(session.account, session.session_id + "x"), ArchiveRequest())
    with pytest.raises(ProviderRejected):
        provider.start_archive(session, ArchiveRequest(output="cinema"))


def test_automatic_archive_is_not_stopped(standin, provider):
    session = provider.ensure_session(SessionRequest("m", archiving=True))
    join(standin, provider, session)
    (archive,) = provider.list_archives(session)
    with pytest.raises(ProviderConflict):
        provider.stop_archive(session, archive.archive_id)


@pytest.mark.parametrize("outcome", ["failed", "expired"])
def test_deleting_an_archive_without_a_file_succeeds(standin, provider, session, outcome):
    join(standin, provider, session)
    archive_id = provider.start_archive(session, ArchiveRequest()).archive_id
    provider.stop_archive(session, archive_id)
    standin.finish_archive(archive_id, "failed" if outcome == "failed" else "ready")
    standin.advance(72 * 3600 + 60)
    assert provider.get_archive(archive_id).provider_status == outcome
    provider.delete_archive(archive_id)


@pytest.mark.parametrize("counts", ["total", "page"])
def test_archives_of_a_session_are_listed_over_all_pages(standin, provider, session, counts):
    standin.switches.list_count_is = counts
    join(standin, provider, session)
    made = []
    with standin.lock:
        for number in range(205):
            wanted = {"sessionId": session.session_id, "multiArchiveTag": str(number)}
            made.append(standin.archives.start(in_world(standin, session), wanted).archive_id)
    other = provider.ensure_session(SessionRequest("m"))
    join(standin, provider, other)
    provider.start_archive(other, ArchiveRequest())
    assert [one.archive_id for one in provider.list_archives(session)] == made[::-1]


BAD_IDS = [
    "",
    ".",
    "..",
    "../../x?y=1",
    "a/b",
    "a?b",
    "a%2fb",
    "a b",
    "ä",
    "a\nb",
    "x" * 256,
    UNKNOWN_ARCHIVE + "/stop",
]


@pytest.mark.parametrize("bad", BAD_IDS, ids=ascii)
def test_id_never_becomes_another_path(standin, provider, session, bad):
    before = len(standin.received)
    for call in (
        lambda: provider.get_archive(bad),
        lambda: provider.stop_archive(session, bad),
        lambda: provider.archive_url(bad),
    ):
        with pytest.raises(ProviderResourceNotFound):
            call()
    provider.delete_archive(bad)
    provider.disconnect(session, bad)
    odd = SessionRef(session.account, bad)
    assert provider.list_connections(odd).connections == []
    provider.end_session(odd, [bad])
    provider.mute(odd, "c", {"c": [bad]})
    assert len(standin.received) == before
    provider.mute(session, bad, {bad: [bad]})
    assert [one.method for one in standin.received[before:]] == ["GET"]  # the list of streams


def test_session_of_another_account_is_not_reported_as_gone(standin, provider, session):
    other = SessionRef("123", session.session_id)
    for call in (
        lambda: provider.end_session(other, []),
        lambda: provider.list_connections(other),
        lambda: provider.list_archives(other),
        lambda: provider.start_archive(other, ArchiveRequest()),
        lambda: provider.disconnect(other, "c"),
        lambda: provider.mute(other, None, {}),
        lambda: provider.mute(other, "c", {}),
    ):
        with pytest.raises(ProviderAuthFailed):
            call()
