"""What webhooks say of an archive: in any order, twice, early, hostile, at once."""

import itertools
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from tests.integration.archives.steps import get, items, metadata_of, row_of, start, told, told_name
from tests.support.service import at_once
from videoconf.api.services import services
from videoconf.archives.lifecycle import RANK
from videoconf.archives.merge import merge_evidence
from videoconf.archives.models import Archive
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.errors import (
    ProviderConflict,
    ProviderUnavailable,
)
from videoconf.meetings.models import Meeting
from videoconf.providers import ArchiveState, ArchiveStatus
from videoconf.webhooks.models import WebhookEvent

pytestmark = pytest.mark.needs("archiving", long=True)
FIELDS = {
    "id",
    "name",
    "sessionId",
    "meetingLink",
    "status",
    "createdOn",
    "durationSeconds",
    "sizeBytes",
    "reason",
    "uploadTarget",
    "legalHold",
    "metaData",
}


@pytest.mark.needs("archiving", "the fake")
def test_webhooks_alone_take_an_archive_through_its_life(service, api, link):
    archive_id = start(api, link, name="Visit 7", layout="pip", output="composed")["id"]
    seen = [get(api, archive_id)]
    for status in ("paused", "started", "stopped", "available", "expired"):
        service.fake.change_archive(archive_id, ArchiveStatus(status), f"why-{status}")
        service.deliver()
        seen.append(get(api, archive_id))
        assert [seen[-1]] == items(api)
    assert [one["status"] for one in seen] == ["started", "paused", "started", "stopped", "available", "expired"]
    last = seen[-1]
    assert last.keys() == FIELDS
    assert (last["id"], last["name"], last["meetingLink"]) == (archive_id, "Visit 7", link)
    assert last["sessionId"] == api.read(link)["sessionId"]
    assert last["reason"] == "why-expired"
    assert last["metaData"] == {"layout": "pip", "output": "composed"}
    assert (last["durationSeconds"], last["sizeBytes"], last["legalHold"]) == (0, 0, False)
    assert len({one["createdOn"] for one in seen}) == 1


@pytest.mark.needs("archiving")
def test_order_and_repetition_of_webhooks_do_not_matter(service, api, link):
    session_id = api.read(link)["sessionId"]
    told(service, "a-1", session_id, "uploaded", size_bytes=10)
    told(service, "a-1", session_id, "started", name="Late")
    told(service, "a-1", session_id, "stopped", duration_seconds=3)
    told(service, "a-1", session_id, "stopped", duration_seconds=3)
    archive = get(api, "a-1")
    assert (archive["status"], archive["sizeBytes"], archive["durationSeconds"]) == ("uploaded", 10, 3)
    assert archive["name"] == told_name(service, "Late")


def test_unknown_status_is_kept(service, api, link):
    session_id = api.read(link)["sessionId"]
    told(service, "a-1", session_id, "transmogrified", name="N")
    assert get(api, "a-1")["status"] == "unknown"
    assert get(api, "a-1")["metaData"] == {"providerStatus": "transmogrified"}
    told(service, "a-1", session_id, "stopped")
    told(service, "a-1", session_id, "pickled")
    archive = get(api, "a-1")
    assert (archive["status"], archive["metaData"]) == ("stopped", {"providerStatus": "pickled"})


def test_urls_and_tokens_in_metadata_are_not_shown(service, api, link):
    session_id = api.read(link)["sessionId"]
    told(service, "a-1", session_id, "available", metadata={"url": "https://x/y?sig=z", "layout": "grid"})
    assert metadata_of(get(api, "a-1")) == {"layout": "grid"}


@pytest.mark.parametrize("archive_id", ["a/b", "", "x" * 256, "\x00"])
def test_archive_with_an_unusable_id_is_quarantined(service, api, link, archive_id):
    told(service, archive_id, api.read(link)["sessionId"], "started")
    assert items(api) == []


def test_hostile_strings_are_stored(service, api, link):
    session_id = api.read(link)["sessionId"]
    told(service, "a-1", session_id, "x" * 999, name="\x00\ud800" * 500, reason="\u0000", metadata={"\x00": "\ud800"})
    assert get(api, "a-1")["name"] == told_name(service, "\ufffd" * 255)


@pytest.mark.needs("archiving", "eager")
def test_archives_of_an_unknown_session_appear_with_its_meeting(service, api, app):
    """A webhook may be here before the answer to the call that made the session."""

    def ensure_session(request):
        ref = service.provider.real.ensure_session(request)
        told(service, "a-1", ref.session_id, "stopped", duration_seconds=5, metadata={"layout": "grid"})
        told(service, "a-1", ref.session_id, "started")
        return ref

    service.provider.script("ensure_session", ensure_session)
    link = api.create()
    archive = get(api, "a-1")
    assert (archive["status"], archive["durationSeconds"], archive["meetingLink"]) == ("stopped", 5, link)
    assert metadata_of(archive) == {"layout": "grid"}
    with app.app_context(), read() as session:
        kept = session.execute(select(WebhookEvent.status, WebhookEvent.event)).all()
    assert kept == [("applied", None)] * 2, "what it told is merged, and is kept no longer"


def test_concurrent_first_webhooks_make_one_archive(service, api, link):
    session_id = api.read(link)["sessionId"]
    order = ["started", "paused", "stopped", "available", "uploaded", "started", "stopped"]
    known = service.writer.archive_statuses
    at_once([partial(told, service, "a-1", session_id, status) for status in order if status in known])
    assert [one["status"] for one in items(api)] == ["uploaded"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_merge_waits_for_another_under_way(service, api, link, app):
    """On what it read before, it would write a lower status over a higher one. SQLite has one writer."""
    session_id = api.read(link)["sessionId"]
    told(service, "a-1", session_id, "started")
    late = threading.Thread(target=told, args=(service, "a-1", session_id, "stopped"))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    with app.app_context(), write() as session:
        meeting_id = session.execute(select(Meeting.id).where(Meeting.meeting_link == link)).scalar_one()
        said = partial(ArchiveState, "a-1", session_id, provider_status="x")
        merge_evidence(session, meeting_id, said(status=ArchiveStatus.STARTED))  # nothing new: it is only read
        late.start()
        deadline = time.monotonic() + 10
        while not session.execute(text(waiting)).scalar_one():
            assert time.monotonic() < deadline, "the other did not wait"
        merge_evidence(session, meeting_id, said(status=ArchiveStatus.UPLOADED))
    late.join(10)
    assert get(api, "a-1")["status"] == "uploaded"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_merge_uses_the_locked_row_instead_of_an_earlier_read(service, api, link, app):
    session_id = api.read(link)["sessionId"]
    told(service, "a-1", session_id, "started")
    with app.app_context(), write() as session:
        read_before = session.execute(select(Archive)).scalar_one()
        late = threading.Thread(target=told, args=(service, "a-1", session_id, "uploaded"))
        late.start()
        late.join(10)
        said = ArchiveState("a-1", session_id, provider_status="stopped", status=ArchiveStatus.STOPPED)
        merge_evidence(session, read_before.meeting_id, said)
    assert get(api, "a-1")["status"] == "uploaded"


@pytest.mark.needs("archiving", "the fake")
def test_report_changes_its_own_archive_once(service, api, link, app):
    """Another archive of the meeting stays as it is."""
    at = datetime.now(UTC).isoformat()
    session_id = api.read(link)["sessionId"]
    for archive_id in ("a-1", "a-2"):
        told(service, archive_id, session_id, "started", created_at=at, updated_at=at)
    with app.app_context(), write() as session:
        session.execute(update(Archive).values(modified_on=utc_in(-60)))
    before = {archive_id: row_of(app, archive_id) for archive_id in ("a-1", "a-2")}
    told(service, "a-1", session_id, "started", created_at=at, updated_at=at)
    assert row_of(app, "a-1") == before["a-1"], "nothing new was said"
    told(service, "a-1", session_id, "stopped", created_at=at, updated_at=at)
    assert row_of(app, "a-1")["modified_on"] > before["a-1"]["modified_on"]
    assert row_of(app, "a-2") == before["a-2"]


@pytest.mark.needs("automatic_archiving", "the fake")
def test_automatic_archives_belong_to_their_meeting(service, api):
    """The fake begins them itself. Those that the service begins: plugins/livekit/test_livekit_service.py."""
    link = api.create(enableArchiving=True)
    first = service.join(link)
    service.deliver()
    [archive] = items(api, f"?meetingLink={link}")
    assert (archive["meetingLink"], archive["status"]) == (link, "started")
    assert api.read(link)["archiveId"] == archive["id"]
    service.fake.change_archive(archive["id"], ArchiveStatus.STOPPED, "rolled_over")
    service.fake.leave(first)
    service.join(link)
    service.deliver()
    newest, oldest = items(api, f"?meetingLink={link}")
    assert oldest["id"] == archive["id"]
    assert (newest["status"], oldest["status"]) == ("started", "stopped")
    assert api.read(link)["archiveId"] == newest["id"]


@pytest.mark.needs("archiving")
def test_end_of_the_meeting_stops_its_archive(service, api, link):
    archive_id = start(api, link)["id"]
    assert api("PATCH", f"/session/{link}/end").status == 204
    service.deliver()
    archive = get(api, archive_id)
    reason = "session_ended" if service.provider.key == "fake" else None
    assert (archive["status"], archive["reason"]) == ("stopped", reason)


steps = st.lists(
    st.tuples(st.sampled_from(ArchiveStatus), st.integers(0, 5))
    | st.sampled_from(["delete", "delete, refused", "delete, provider down", "go on"]),
    min_size=1,
    max_size=10,
)
numbers = itertools.count()


@pytest.mark.needs("archiving", "the fake", long=True)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=max(20, settings().max_examples // 3),
)
@given(steps=steps)
def test_status_never_goes_back_and_deletion_is_final(service, app, link, steps):
    """Events in any order with deletions in between. The one way back is a deletion that the provider refuses."""
    api, archive_id = service.api, f"h-{next(numbers)}"
    session_id = api.read(link)["sessionId"]
    told(service, archive_id, session_id, "started")
    rank, was_deleted = 1.0, False
    failures = {"delete, refused": [ProviderConflict()], "delete, provider down": [ProviderUnavailable()]}
    for step in steps:
        before = rank
        service.provider.script("delete_archive", *failures.get(step, ()), always=True)
        if isinstance(step, tuple):
            updated_at = (datetime.now(UTC) + timedelta(minutes=step[1])).isoformat()
            told(service, archive_id, session_id, step[0], updated_at=updated_at, duration_seconds=step[1])
        elif step == "go on":
            with app.app_context():
                with read() as session:
                    id = session.execute(select(Archive.id).where(Archive.archive_id == archive_id)).scalar_one()
                services(app).deletion.resume(id)
        else:
            answer = api("DELETE", f"/archives/{archive_id}")
            expected = {404} if was_deleted else {"delete": {200}, "delete, refused": {409, 200}}.get(step, {503, 200})
            assert answer.status in expected
        single, listed = api("GET", f"/archives/{archive_id}"), items(api, f"?sessionId={session_id}&pageSize=100")
        mine = [one for one in listed if one["id"] == archive_id]
        if single.status == 404:
            assert mine == []
            was_deleted, rank = True, RANK["deleted"]
        else:
            assert not was_deleted
            assert mine == [single.json]
            rank = RANK[single.json["status"]]
            if isinstance(step, tuple):
                assert rank >= max(before, 1 if before == RANK["deleting"] else RANK[step[0]])
        assert rank >= before or (step == "delete, refused" and before == RANK["deleting"])
