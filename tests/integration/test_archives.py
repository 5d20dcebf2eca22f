"""Archives over the API: fed by webhooks, listed, read, started, stopped, renamed, held, deleted, reconciled."""

import itertools
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from tests.service import ON_SQLITE, at_once, service_of
from videoconf.api.services import services
from videoconf.archives.lifecycle import RANK
from videoconf.archives.merge import merge_evidence
from videoconf.archives.models import Archive
from videoconf.archives.reconcile import BATCH, RECONCILE_MEETING
from videoconf.audit import AuditEntry
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.db.types import db
from videoconf.errors import (
    ProviderConflict,
    ProviderError,
    ProviderResourceNotFound,
    ProviderTimeout,
    ProviderUnavailable,
    StorageUnavailable,
)
from videoconf.jobs.models import Job, JobState
from videoconf.jobs.queue import enqueue
from videoconf.meetings.models import Meeting
from videoconf.providers import ArchiveState, ArchiveStatus
from videoconf.providers.deadline import seconds_left
from videoconf.webhooks.models import WebhookEvent

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


pytestmark = pytest.mark.needs("archiving", long=True)


@pytest.fixture
def service(app, headers):
    return service_of(app, headers)


@pytest.fixture
def api(service):
    return service.api


@pytest.fixture
def link(service):
    """A meeting with somebody in it."""
    link = service.api.create()
    service.join(link, attendee="ann")
    service.deliver()
    return link


@pytest.fixture
def deletion(app):
    return services(app).deletion


@pytest.fixture
def stored(deletion, monkeypatch):
    """Give the copies in a storage target that is not there: their deletions, and what is raised at the next ones."""

    class Stored:
        def __init__(self):
            self.deleted = []
            self.fails = None

        def __call__(self, targets, archive):
            if self.fails:
                raise self.fails
            self.deleted.append(archive.archive_id)
            return True

    stored = Stored()
    monkeypatch.setattr("videoconf.archives.delete.delete_copies", stored)
    return stored


def start(api, link, **wish):
    answer = api("POST", f"/session/{link}/archives", wish)
    assert answer.status == 201, answer
    return answer.json


def get(api, archive_id):
    answer = api("GET", f"/archives/{archive_id}")
    assert answer.status == 200, answer
    return answer.json


def items(api, query=""):
    answer = api("GET", f"/archives{query}")
    assert answer.status == 200, answer
    assert answer.json.keys() == {"count", "items"}
    return answer.json["items"]


def finished(service, link, **wish):
    """Record, stop and make available; return the archive's id."""
    archive_id = start(service.api, link, **wish)["id"]
    service.fake.change_archive(archive_id, ArchiveStatus.STOPPED)
    service.fake.change_archive(archive_id, ArchiveStatus.AVAILABLE)
    service.deliver()
    return archive_id


def failing(error):
    def fail(*args, **kwargs):
        raise error

    return fail


def make_due(app):
    """Let the time come at which archives are asked about, those that are to be."""
    with app.app_context(), write() as session:
        session.execute(update(Archive).where(Archive.check_due_at.is_not(None)).values(check_due_at=utc_in(-1)))


def row_of(app, archive_id):
    with app.app_context(), read() as session:
        found = session.execute(select(Archive.__table__).where(Archive.archive_id == archive_id)).one()
        return found._asdict()


def sweep(app):
    """Run what recurs and what is due, as a worker does."""
    with app.app_context():
        jobs = services(app).jobs
        jobs.run_due()
        with write() as session:
            session.execute(update(Job).where(Job.state == JobState.PENDING).values(due_at=utc_in(-1)))
        jobs.run_due()


def audited(app, action):
    with app.app_context(), read() as session:
        return session.execute(select(AuditEntry).where(AuditEntry.action == action)).scalars().all()


def told(service, archive_id, session_id, status, **members):
    """Post a webhook about an archive that the fake provider need not know."""
    now = datetime.now(UTC).isoformat()
    archive = {"id": archive_id, "status": status, "created_at": now, "updated_at": now, **members}
    answer = service.post(service.made_up("archive.updated", session_id, archive=archive))
    assert answer.status == 204, answer


# --- fed by webhooks ------------------------------------------------------------------------------------------------


@pytest.mark.needs("archiving")
def test_an_archive_goes_through_its_life_by_webhooks_alone(service, api, link):
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
def test_webhooks_in_any_order_and_twice(service, api, link):
    session_id = api.read(link)["sessionId"]
    told(service, "a-1", session_id, "uploaded", size_bytes=10)
    told(service, "a-1", session_id, "started", name="Late")
    told(service, "a-1", session_id, "stopped", duration_seconds=3)
    told(service, "a-1", session_id, "stopped", duration_seconds=3)
    archive = get(api, "a-1")
    assert (archive["status"], archive["sizeBytes"], archive["durationSeconds"]) == ("uploaded", 10, 3)
    assert archive["name"] == "Late"


def test_a_status_that_nobody_knows_is_kept(service, api, link):
    session_id = api.read(link)["sessionId"]
    told(service, "a-1", session_id, "transmogrified", name="N")
    assert get(api, "a-1")["status"] == "unknown"
    assert get(api, "a-1")["metaData"] == {"providerStatus": "transmogrified"}
    told(service, "a-1", session_id, "stopped")
    told(service, "a-1", session_id, "pickled")
    archive = get(api, "a-1")
    assert (archive["status"], archive["metaData"]) == ("stopped", {"providerStatus": "pickled"})


def test_what_gives_access_is_not_shown(service, api, link):
    session_id = api.read(link)["sessionId"]
    told(service, "a-1", session_id, "available", metadata={"url": "https://x/y?sig=z", "codec": "vp8"})
    assert get(api, "a-1")["metaData"] == {"codec": "vp8"}


@pytest.mark.parametrize("archive_id", ["a/b", "", "x" * 256, "\x00"])
def test_an_archive_whose_id_is_of_no_use_is_taken_and_kept_apart(service, api, link, archive_id):
    told(service, archive_id, api.read(link)["sessionId"], "started")
    assert items(api) == []


def test_hostile_texts_are_stored(service, api, link):
    session_id = api.read(link)["sessionId"]
    told(service, "a-1", session_id, "x" * 999, name="\x00\ud800" * 500, reason="\u0000", metadata={"\x00": "\ud800"})
    assert get(api, "a-1")["name"] == "\ufffd" * 255


@pytest.mark.needs("archiving", "eager")
def test_archives_of_a_session_that_is_not_known_yet_appear_with_it(service, api, app):
    """A webhook may be here before the answer to the call that made the session."""
    original = service.provider.ensure_session

    def ensure_session(request):
        ref = original(request)
        told(service, "a-1", ref.session_id, "stopped", duration_seconds=5, metadata={"codec": "vp8"})
        told(service, "a-1", ref.session_id, "started")
        return ref

    service.provider.ensure_session = ensure_session
    link = api.create()
    archive = get(api, "a-1")
    assert (archive["status"], archive["durationSeconds"], archive["meetingLink"]) == ("stopped", 5, link)
    assert archive["metaData"] == {"codec": "vp8"}
    with app.app_context(), read() as session:
        kept = session.execute(select(WebhookEvent.status, WebhookEvent.event)).all()
    assert kept == [("applied", None)] * 2, "what it told is merged, and is kept no longer"


def test_first_webhooks_at_once_make_one_archive(service, api, link):
    session_id = api.read(link)["sessionId"]
    order = ["started", "paused", "stopped", "available", "uploaded", "started", "stopped"]
    at_once([partial(told, service, "a-1", session_id, status) for status in order])
    assert [one["status"] for one in items(api)] == ["uploaded"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_merge_waits_for_one_that_is_under_way(service, api, link, app):
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
def test_a_merge_goes_by_what_it_has_locked_and_not_by_what_was_read_before(service, api, link, app):
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


@pytest.mark.needs("automatic_archiving")
def test_an_automatic_archive_belongs_to_its_meeting_and_the_next_one_too(service, api):
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
def test_the_end_of_the_meeting_stops_its_archive(service, api, link):
    archive_id = start(api, link)["id"]
    assert api("PATCH", f"/session/{link}/end").status == 204
    service.deliver()
    archive = get(api, archive_id)
    assert (archive["status"], archive["reason"]) == ("stopped", "session_ended")


# --- list and read --------------------------------------------------------------------------------------------------


def test_the_list_is_paged_newest_first_and_filtered(service, api, link):
    other = api.create()
    service.join(other)
    ids = [finished(service, link, name=f"number {number}") for number in range(3)]
    running = start(api, other)["id"]
    service.deliver()
    assert [one["id"] for one in items(api)] == [running, *reversed(ids)]

    first = api("GET", "/archives?pageSize=3")
    assert first.json["count"] == 4
    assert json.loads(first.headers["X-Pagination"])["totalPages"] == 2
    assert 'rel="next"' in first.headers["Link"]
    assert [one["id"] for one in items(api, "?pageSize=3&page=2")] == [ids[0]]
    assert items(api, "?page=9") == []

    assert {one["id"] for one in items(api, f"?meetingLink={link}")} == set(ids)
    assert [one["id"] for one in items(api, f"?sessionId={api.read(other)['sessionId']}")] == [running]
    assert [one["id"] for one in items(api, "?status=started")] == [running]
    assert items(api, f"?status=started&meetingLink={link}") == []
    assert api("GET", "/archives?status=started").json["count"] == 1


@ON_SQLITE
def test_what_cannot_be_asked_for(api):
    assert api("GET", "/archives?status=nonsense").wrong == ["status"]
    assert api("GET", "/archives?pageSize=101").wrong == ["pageSize"]
    assert api("GET", "/archives?color=red").wrong == ["color"]
    assert api("GET", "/archives/unknown").problem == (404, "archive_not_found")
    assert api("GET", "/archives/%00%F0%9F%92%A9").status in (400, 404)


def test_archives_of_one_moment_are_in_one_order(service, api, link, app):
    ids = [finished(service, link) for _ in range(4)]
    with app.app_context(), write() as session:
        session.execute(update(Archive).values(created_on=datetime(2026, 1, 1, tzinfo=UTC)))
    assert [one["id"] for one in items(api)] == ids[::-1]
    assert [one["id"] for page in (1, 2, 3, 4) for one in items(api, f"?pageSize=1&page={page}")] == ids[::-1]


def test_reading_needs_no_provider(service, api, link, monkeypatch):
    archive_id = finished(service, link)
    for name in ("get_archive", "list_archives", "check"):
        monkeypatch.setattr(service.provider, name, failing(ProviderUnavailable()))
    assert items(api) == [get(api, archive_id)]


def test_another_tenants_archive_is_as_unknown_as_any(service, api, link):
    archive_id = finished(service, link)
    stranger = service.caller_with(tenant="other")
    assert items(stranger) == items(stranger, f"?meetingLink={link}") == []
    path = f"/archives/{archive_id}"
    for method, target, body in (
        ("GET", path, None),
        ("GET", f"{path}/download", None),
        ("DELETE", path, None),
        ("PATCH", path, {"name": "mine"}),
        ("POST", f"{path}/stop", None),
    ):
        answer, unknown = stranger(method, target, body), stranger(method, target.replace(archive_id, "fa_none"), body)
        assert answer.problem == unknown.problem == (404, "archive_not_found")
        assert answer.json["detail"] == unknown.json["detail"]
    assert stranger("POST", f"/session/{link}/archives").problem == (404, "meeting_not_found")
    assert get(api, archive_id)["name"] is None


@ON_SQLITE
@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("GET", "/archives", "GetMeetingArchives"),
        ("GET", "/archives/x", "GetMeetingArchives"),
        ("DELETE", "/archives/x", "DeleteMeetingArchive"),
        ("PATCH", "/archives/x", "DeleteMeetingArchive"),
        ("POST", "/archives/x/stop", "StopMeetingArchive"),
        ("POST", "/session/x/archives", "StartMeetingArchive"),
    ],
)
def test_each_operation_needs_its_permission(service, method, path, permission):
    assert service.stranger(method, path).problem == (401, "unauthenticated")
    assert service.caller_with(["GetMeetings"])(method, path).problem == (403, "forbidden")
    assert service.caller_with(permission)(method, path, {} if method == "PATCH" else None).status in (200, 404)


# --- start and stop -------------------------------------------------------------------------------------------------


@pytest.mark.needs("archiving")
def test_starting(service, api, link, app):
    answer = api("POST", f"/session/{link}/archives", {"name": "Visit 7"})
    assert answer.status == 201
    archive = answer.json
    assert answer.headers["Location"] == f"/archives/{archive['id']}"
    assert (archive["status"], archive["name"], archive["meetingLink"]) == ("started", "Visit 7", link)
    assert archive == get(api, archive["id"])
    assert api.read(link)["archiveId"] == archive["id"]
    service.deliver()
    assert items(api) == [archive], "the webhook says nothing new"
    [entry] = audited(app, "archive.started")
    assert (entry.meeting_link, entry.target, entry.after) == (link, archive["id"], {"name": "(not recorded)"})
    assert api("POST", f"/session/{link}/archives").problem == (409, "archive_already_running")


@pytest.mark.needs("archiving", "end_to_end_encryption")
def test_a_start_that_cannot_be(service, api, link, app):
    empty = api.create()
    assert api("POST", f"/session/{empty}/archives").problem == (409, "archive_no_connections")
    encrypted = api.create(endToEndEncryption=True)
    service.join(encrypted)
    assert api("POST", f"/session/{encrypted}/archives").problem == (409, "archive_session_encrypted")
    assert api("POST", "/session/unknown/archives").problem == (404, "meeting_not_found")
    assert api("POST", f"/session/{link}/archives", {"name": 1}).wrong == ["name"]
    assert api("POST", f"/session/{link}/archives", {"url": "x"}).wrong == ["url"]
    assert api("PATCH", f"/session/{link}/end").status == 204
    assert api("POST", f"/session/{link}/archives").problem == (409, "meeting_ended")
    assert items(api) == []
    assert audited(app, "archive.started") == []


@ON_SQLITE
@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (ProviderConflict(provider_code="session_relayed"), (409, "archive_session_relayed")),
        (ProviderConflict(provider_code="other"), (409, "provider_conflict")),
        (ProviderUnavailable(), (503, "provider_unavailable")),
        (ProviderTimeout(), (504, "provider_timeout")),
        (ProviderError(), (502, "provider_error")),
        (RuntimeError("a bug of the plugin"), (502, "provider_plugin_error")),
    ],
)
def test_a_provider_that_does_not_start(service, api, link, monkeypatch, error, problem):
    monkeypatch.setattr(service.provider, "start_archive", failing(error))
    assert api("POST", f"/session/{link}/archives").problem == problem
    assert items(api) == []


def test_a_start_that_was_not_answered_is_found(service, api, link, app, monkeypatch):
    original = service.provider.start_archive

    def unanswered(*args):
        original(*args)
        raise ProviderTimeout

    monkeypatch.setattr(service.provider, "start_archive", unanswered)
    assert api("POST", f"/session/{link}/archives").problem == (504, "provider_timeout")
    sweep(app)  # the webhook is lost
    assert [one["status"] for one in items(api)] == ["started"]


@ON_SQLITE
@pytest.mark.parametrize("answer", [None, ArchiveState("a/b", "s", "started", ArchiveStatus.STARTED)])
def test_an_answer_that_cannot_be_used(service, api, link, monkeypatch, answer):
    monkeypatch.setattr(service.provider, "start_archive", lambda *args: answer)
    answer = api("POST", f"/session/{link}/archives")
    assert answer.status == 502
    assert items(api) == []


@pytest.mark.needs("archiving")
def test_stopping(service, api, link, app):
    archive_id = start(api, link)["id"]
    first = api("POST", f"/archives/{archive_id}/stop")
    assert (first.status, first.json["status"], first.json["reason"]) == (200, "stopped", "requested")
    assert first.json == get(api, archive_id)
    service.fake.change_archive(archive_id, ArchiveStatus.AVAILABLE)
    service.deliver()
    again = api("POST", f"/archives/{archive_id}/stop")
    assert (again.status, again.json["status"]) == (200, "available")
    assert [entry.target for entry in audited(app, "archive.stopped")] == [archive_id]
    assert api("POST", "/archives/unknown/stop").problem == (404, "archive_not_found")


def test_stopping_at_once_and_what_the_provider_says(service, api, link, monkeypatch):
    archive_id = start(api, link)["id"]
    stops = at_once([lambda: api("POST", f"/archives/{archive_id}/stop")] * 4)
    assert [(one.status, one.json["status"]) for one in stops] == [(200, "stopped")] * 4
    archive_id = start(api, link)["id"]
    monkeypatch.setattr(service.provider, "stop_archive", failing(ProviderUnavailable()))
    assert api("POST", f"/archives/{archive_id}/stop").problem == (503, "provider_unavailable")
    assert get(api, archive_id)["status"] == "started"
    monkeypatch.setattr(service.provider, "stop_archive", failing(ProviderResourceNotFound()))
    assert api("POST", f"/archives/{archive_id}/stop").json["status"] == "expired"


# --- rename and hold ------------------------------------------------------------------------------------------------


def test_renaming_and_holding(service, api, link, app):
    archive_id = start(api, link, name="before")["id"]
    path = f"/archives/{archive_id}"
    assert api("PATCH", path, {"name": "after"}).status == 204
    assert api("PATCH", path, {"legalHold": True}).status == 204
    service.fake.change_archive(archive_id, ArchiveStatus.STOPPED)
    service.deliver()  # it names the archive as before
    archive = get(api, archive_id)
    assert (archive["name"], archive["legalHold"], archive["status"]) == ("after", True, "stopped")
    assert api("PATCH", path, {}).status == 204
    assert api("PATCH", path, {"legalHold": True}).status == 204, "as it is"
    entries = [(entry.before, entry.after) for entry in audited(app, "archive.edited")]
    assert entries == [
        ({"name": "(not recorded)"}, {"name": "(not recorded)"}),
        ({"legal_hold": False}, {"legal_hold": True}),
    ]
    assert api("PATCH", path, {"name": None}).wrong == ["name"]
    assert api("PATCH", path, {"name": ""}).wrong == ["name"]
    assert api("PATCH", path, {"legalHold": "true"}).wrong == ["legalHold"]
    assert api("PATCH", path, {"status": "stopped"}).wrong == ["status"]


@pytest.mark.needs("archiving")
def test_an_archive_on_hold_is_not_deleted(service, api, link, stored):
    archive_id = finished(service, link)
    assert api("PATCH", f"/archives/{archive_id}", {"legalHold": True}).status == 204
    assert api("DELETE", f"/archives/{archive_id}").problem == (409, "archive_on_hold")
    assert service.provider.get_archive(archive_id).status is ArchiveStatus.AVAILABLE
    assert stored.deleted == []
    assert api("PATCH", f"/archives/{archive_id}", {"legalHold": False}).status == 204
    assert api("DELETE", f"/archives/{archive_id}").status == 200


# --- delete ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", [None, "text/plain", "application/json"])
@ON_SQLITE
def test_the_answer_to_a_deletion_is_null(service, api, link, accept):
    answer = api("DELETE", f"/archives/{finished(service, link)}", **({"Accept": accept} if accept else {}))
    assert (answer.status, answer.json) == (200, None)
    assert answer.headers["Content-Type"].split(";")[0] == (accept or "text/plain")


@ON_SQLITE
def test_an_answer_that_cannot_be_given_deletes_nothing(service, api, link):
    archive_id = finished(service, link)
    assert api("DELETE", f"/archives/{archive_id}", Accept="image/png").problem == (406, "not_acceptable")
    assert get(api, archive_id)["status"] == "available"


@pytest.mark.needs("archiving")
def test_a_deleted_archive_is_gone_everywhere_and_for_ever(service, api, link, app, stored):
    older, archive_id = finished(service, link), finished(service, link)
    assert api("DELETE", f"/archives/{archive_id}").status == 200
    with pytest.raises(ProviderResourceNotFound):
        service.provider.get_archive(archive_id)
    assert stored.deleted == [archive_id]

    tombstone = row_of(app, archive_id)
    service.deliver()  # the provider's own word of it
    for status in ArchiveStatus:
        told(service, archive_id, api.read(link)["sessionId"], status, name="risen", size_bytes=1)
    sweep(app)
    assert row_of(app, archive_id) == tombstone
    for method in ("GET", "DELETE"):
        assert api(method, f"/archives/{archive_id}").problem == (404, "archive_not_found")
    assert [one["id"] for one in items(api)] == [older]
    assert api.read(link)["archiveId"] == older

    [asked] = audited(app, "archive.deletion_requested")
    [receipt] = audited(app, "archive.deleted")
    assert (asked.actor, asked.target, receipt.actor, receipt.target) == ("tester", archive_id, "tester", archive_id)
    assert receipt.after == {"provider": "gone", "storageTarget": "gone"}
    assert receipt.meeting_link == link


def test_an_archive_without_a_stored_copy_has_a_receipt_too(service, api, link, app):
    assert api("DELETE", f"/archives/{finished(service, link)}").status == 200
    [receipt] = audited(app, "archive.deleted")
    assert receipt.after == {"provider": "gone", "storageTarget": "none"}


def test_one_that_is_gone_at_the_provider_is_deleted(service, api, link, monkeypatch, stored):
    monkeypatch.setattr(service.provider, "delete_archive", failing(ProviderResourceNotFound()))
    archive_id = finished(service, link)
    assert api("DELETE", f"/archives/{archive_id}").status == 200
    assert stored.deleted == [archive_id]


@pytest.mark.needs("archiving")
def test_one_that_is_being_recorded_is_not_deleted(service, api, link, app, stored):
    archive_id = start(api, link)["id"]
    assert api("DELETE", f"/archives/{archive_id}").problem == (409, "archive_not_deletable")
    assert get(api, archive_id)["status"] == "started"
    assert stored.deleted == []
    [refused] = audited(app, "archive.deletion_refused")
    assert (refused.actor, refused.target) == ("tester", archive_id)
    api("POST", f"/archives/{archive_id}/stop")
    assert api("DELETE", f"/archives/{archive_id}").status == 200
    assert len(audited(app, "archive.deleted")) == 1
    assert not audited(app, "archive.deleted")[0].before


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (ProviderUnavailable(), (503, "provider_unavailable")),
        (ProviderTimeout(), (504, "provider_timeout")),
        (ProviderError(), (502, "provider_error")),
    ],
)
def test_while_the_provider_is_down_it_stays_deleting_and_a_job_finishes_it(
    service, api, link, app, stored, monkeypatch, error, problem
):
    archive_id = finished(service, link)
    with monkeypatch.context() as down:
        down.setattr(service.provider, "delete_archive", failing(error))
        assert api("DELETE", f"/archives/{archive_id}").problem == problem
        assert get(api, archive_id)["status"] == "deleting"
        assert [one["status"] for one in items(api, "?status=deleting")] == ["deleting"]
        assert items(api, "?status=available") == []
        again = api("DELETE", f"/archives/{archive_id}")
        assert (again.status, again.json) == (200, None)
        sweep(app)
        assert get(api, archive_id)["status"] == "deleting"
    told(service, archive_id, api.read(link)["sessionId"], "uploaded")
    assert get(api, archive_id)["status"] == "deleting", "a late webhook does not take it back"
    assert api("PATCH", f"/archives/{archive_id}", {"legalHold": True}).problem == (409, "archive_deleting")
    assert api("POST", f"/archives/{archive_id}/stop").problem == (409, "archive_deleting")
    assert stored.deleted == []
    sweep(app)
    assert api("GET", f"/archives/{archive_id}").problem == (404, "archive_not_found")
    assert stored.deleted == [archive_id]
    assert len(audited(app, "archive.deleted")) == 1


def test_while_the_storage_target_is_down_it_stays_deleting(service, api, link, app, stored):
    archive_id = finished(service, link)
    stored.fails = StorageUnavailable()
    assert api("DELETE", f"/archives/{archive_id}").problem == (503, "storage_unavailable")
    service.deliver()  # the provider says that it has deleted its own copy
    assert get(api, archive_id)["status"] == "deleting"
    assert api("DELETE", f"/archives/{archive_id}").status == 200
    assert audited(app, "archive.deleted") == []
    stored.fails = None
    sweep(app)
    assert api("GET", f"/archives/{archive_id}").status == 404
    assert len(audited(app, "archive.deleted")) == 1


def test_a_deletion_whose_job_is_dead_is_taken_up_again(service, api, link, app, stored):
    archive_id = finished(service, link)
    stored.fails = StorageUnavailable()
    assert api("DELETE", f"/archives/{archive_id}").status == 503
    with app.app_context(), write() as session:
        session.execute(update(Job).where(Job.kind == "erase_archive").values(state=JobState.DEAD))
    stored.fails = None
    make_due(app)
    sweep(app)
    assert api("GET", f"/archives/{archive_id}").status == 404
    assert len(audited(app, "archive.deleted")) == 1


def test_deletions_at_once_delete_once(service, api, link, app, stored, monkeypatch):
    archive_id = finished(service, link)
    calls, original = [], service.provider.delete_archive
    monkeypatch.setattr(service.provider, "delete_archive", lambda one: (calls.append(one), original(one)))
    answers = at_once([lambda: api("DELETE", f"/archives/{archive_id}")] * 6)
    assert {one.status for one in answers} <= {200, 404}
    assert 200 in {one.status for one in answers}
    assert calls == stored.deleted == [archive_id]
    assert len(audited(app, "archive.deleted")) == 1
    assert api("GET", f"/archives/{archive_id}").status == 404


def test_a_deletion_that_two_workers_finish_has_one_receipt(service, api, link, app, deletion, stored, monkeypatch):
    """The lease of one ran out while it waited for the storage target."""
    archive_id = finished(service, link)
    stored.fails = StorageUnavailable()
    assert api("DELETE", f"/archives/{archive_id}").status == 503
    both_are_here = threading.Barrier(2)

    def delete_stored_copy(targets, archive):
        both_are_here.wait(10)
        return True

    monkeypatch.setattr("videoconf.archives.delete.delete_copies", delete_stored_copy)

    def resume():
        with app.app_context():
            deletion.resume(row["id"])

    row = row_of(app, archive_id)
    at_once([resume, resume])
    assert len(audited(app, "archive.deleted")) == 1


def test_a_hold_and_a_deletion_at_once_are_not_both_had(service, api, link):
    for _ in range(5):
        archive_id = finished(service, link)
        path = f"/archives/{archive_id}"
        held, deleted = at_once([partial(api, "PATCH", path, {"legalHold": True}), partial(api, "DELETE", path)])
        if held.status == 204:
            assert deleted.problem == (409, "archive_on_hold")
            assert get(api, archive_id)["legalHold"] is True
            assert service.provider.get_archive(archive_id)
        else:
            assert (held.status, deleted.status) in ((409, 200), (404, 200))


def test_one_that_the_provider_has_deleted_is_gone_and_its_stored_copy_too(service, api, link, app, stored):
    archive_id = finished(service, link)
    service.fake.change_archive(archive_id, ArchiveStatus.DELETED)
    service.deliver()
    assert api("GET", f"/archives/{archive_id}").problem == (404, "archive_not_found")
    assert items(api) == []
    sweep(app)
    assert stored.deleted == [archive_id]
    [receipt] = audited(app, "archive.deleted")
    assert receipt.actor == "provider:fake"


def test_one_that_is_out_of_sight_stays_so_though_the_provider_refuses(service, api, link, app, stored, monkeypatch):
    archive_id = finished(service, link)
    monkeypatch.setattr(service.provider, "delete_archive", failing(ProviderConflict()))
    told(service, archive_id, api.read(link)["sessionId"], "deleted")
    sweep(app)
    row = row_of(app, archive_id)
    assert row["deleted_on"] is not None
    assert row["deleting_since"] is None
    assert [entry.target for entry in audited(app, "archive.deleted")] == [archive_id]


def test_one_on_hold_that_the_provider_has_deleted_stays_in_sight(service, api, link, app, stored):
    archive_id = finished(service, link)
    api("PATCH", f"/archives/{archive_id}", {"legalHold": True})
    service.fake.change_archive(archive_id, ArchiveStatus.DELETED)
    service.deliver()
    sweep(app)
    assert get(api, archive_id)["status"] == "deleted"
    assert stored.deleted == []
    assert api("PATCH", f"/archives/{archive_id}", {"legalHold": False}).status == 204
    assert api("GET", f"/archives/{archive_id}").status == 404
    sweep(app)
    assert stored.deleted == [archive_id]


# --- retention ------------------------------------------------------------------------------------------------------


def age(app, days, *archive_ids):
    with app.app_context(), write() as session:
        old = utc_in(-86400.0 * days)
        session.execute(update(Archive).where(Archive.archive_id.in_(archive_ids)).values(created_on=old))


def test_archives_beyond_their_age_are_deleted_but_not_held_or_running_ones(make_app, headers, monkeypatch):
    app = make_app(archive_retention_days=30)
    service = service_of(app, headers)
    calls, original = [], service.provider.delete_archive
    monkeypatch.setattr(service.provider, "delete_archive", lambda one: (calls.append(one), original(one)))
    link = service.api.create()
    service.join(link)
    old, young, held = (finished(service, link) for _ in range(3))
    running = start(service.api, link)["id"]
    service.api("PATCH", f"/archives/{held}", {"legalHold": True})
    age(app, 31, old, held, running)
    age(app, 29, young)
    sweep(app)
    sweep(app)
    assert {one["id"] for one in items(service.api)} == {young, held, running}
    assert calls == [old]
    [receipt] = audited(app, "archive.deleted")
    assert (receipt.actor, receipt.target, receipt.after["provider"]) == ("retention", old, "gone")


def test_one_run_of_retention_begins_the_deletion_of_more_than_a_batch(make_app, headers, monkeypatch):
    monkeypatch.setattr("videoconf.archives.delete.RETENTION_BATCH", 3)
    app = make_app(archive_retention_days=30)
    service = service_of(app, headers)
    link = service.api.create()
    session_id = service.api.read(link)["sessionId"]
    names = [f"a-{number}" for number in range(10)]
    for name in names:
        told(service, name, session_id, "available")
    age(app, 31, *names)
    with app.app_context():
        with monkeypatch.context() as patch:
            patch.setattr("videoconf.archives.delete.run_until", lambda: 0.0)
            services(app).deletion.expire()
        assert {one["status"] for one in items(service.api)} == {"available"}, "what is not begun in time is left"
        services(app).deletion.expire()
        with read() as session:
            times = session.execute(select(Job.due_at).where(Job.kind == "erase_archive")).scalars().all()
    assert {one["status"] for one in items(service.api)} == {"deleting"}
    assert max(times) - min(times) > timedelta(seconds=10), "spread, or other jobs would wait for all of them"


@ON_SQLITE
def test_archives_of_a_provider_that_is_not_enabled_wait_for_it(make_app, headers):
    app = make_app(archive_retention_days=30)
    service = service_of(app, headers)
    told(service, "a-1", service.api.read(service.api.create())["sessionId"], "available")
    age(app, 31, "a-1")
    with app.app_context():
        with write() as session:
            session.execute(update(Archive).values(provider="another", check_due_at=utc_in(-60)))
        before = row_of(app, "a-1")
        services(app).deletion.expire()
        services(app).jobs.run_now("reconcile_archives")
    assert row_of(app, "a-1") == before


def test_retention_finds_the_oldest_by_an_index(make_app, headers):
    app = make_app(archive_retention_days=30)
    seen = []
    with app.app_context():
        sa.event.listen(db.engine, "before_cursor_execute", lambda *args: seen.append((args[2], args[3])))
        services(app).deletion.expire()
        statement, parameters = next(one for one in seen if "FROM archive" in one[0] and "ORDER BY" in one[0])
        is_postgresql = db.engine.dialect.name == "postgresql"
        with db.engine.connect() as connection:
            if is_postgresql:
                connection.exec_driver_sql("SET enable_seqscan = off")
            explain = "EXPLAIN " if is_postgresql else "EXPLAIN QUERY PLAN "
            plan = str(connection.exec_driver_sql(explain + statement, parameters).all())
    assert "ix_archive_kept" in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


def test_without_a_retention_archives_are_kept(service, api, link, app):
    archive_id = finished(service, link)
    age(app, 36500, archive_id)
    sweep(app)
    assert get(api, archive_id)["status"] == "available"


# --- reconciler -----------------------------------------------------------------------------------------------------


def lose_webhooks(service):
    for event in service.fake.list_events(waiting=True):
        service.provider.outbox.mark_delivered(event.event_id)


@pytest.mark.needs("archiving")
def test_an_archive_whose_webhooks_are_lost_is_asked_for(service, api, link, app):
    archive_id = start(api, link)["id"]
    service.fake.change_archive(archive_id, ArchiveStatus.STOPPED)
    service.fake.change_archive(archive_id, ArchiveStatus.AVAILABLE, "done")
    lose_webhooks(service)
    sweep(app)
    assert get(api, archive_id)["status"] == "started", "it is not due yet"
    make_due(app)
    sweep(app)
    archive = get(api, archive_id)
    assert (archive["status"], archive["reason"]) == ("available", "done")


def test_what_is_settled_is_not_asked_for_again(service, api, link, app, monkeypatch):
    finished(service, link)
    calls, original = [], service.provider.list_archives
    monkeypatch.setattr(service.provider, "list_archives", lambda ref: (calls.append(ref), original(ref))[1])
    sweep(app)
    assert calls == []
    with app.app_context(), read() as session:
        assert session.execute(select(Archive.check_due_at)).scalar_one() is None


@pytest.mark.needs("archiving")
def test_one_that_the_provider_no_longer_knows_has_expired(service, api, link, app):
    archive_id = start(api, link)["id"]
    service.fake.change_archive(archive_id, ArchiveStatus.STOPPED)
    service.fake.change_archive(archive_id, ArchiveStatus.DELETED)
    lose_webhooks(service)
    make_due(app)
    sweep(app)
    assert get(api, archive_id)["status"] == "expired"


@pytest.mark.needs("archiving", "automatic_archiving")
def test_the_next_automatic_archive_is_found_without_its_webhooks(service, api, app):
    link = api.create(enableArchiving=True)
    first = service.join(link)
    service.deliver()
    [archive] = items(api)
    service.fake.change_archive(archive["id"], ArchiveStatus.STOPPED)
    service.fake.change_archive(archive["id"], ArchiveStatus.AVAILABLE)
    service.deliver()
    service.fake.leave(first)
    service.join(link)
    lose_webhooks(service)
    with app.app_context(), read() as session:
        assert session.execute(select(Archive.check_due_at)).scalar_one() is not None
    make_due(app)
    sweep(app)
    newest, oldest = items(api, f"?meetingLink={link}")
    assert (newest["status"], oldest["id"]) == ("started", archive["id"])
    assert row_of(app, oldest["id"])["check_due_at"] is None, "that was all there was to ask"


@ON_SQLITE
@pytest.mark.needs("archiving")
def test_one_failure_ends_no_sweep(service, api, link, app, monkeypatch):
    other = api.create()
    service.join(other)
    for meeting in (link, other):
        start(api, meeting)
    make_due(app)
    asked = []

    def list_archives(ref):
        asked.append(ref)
        raise ProviderUnavailable

    monkeypatch.setattr(service.provider, "list_archives", list_archives)
    with app.app_context():
        services(app).jobs.run_now("reconcile_archives")
    assert len(set(asked)) == 2


@ON_SQLITE
@pytest.mark.needs("archiving")
def test_what_is_to_be_asked_again_stays_due(service, api, link, app):
    archive_id = start(api, link)["id"]
    make_due(app)
    sweep(app)
    assert get(api, archive_id)["status"] == "started"
    assert row_of(app, archive_id)["check_due_at"] is not None


@ON_SQLITE
@pytest.mark.needs("archiving")
def test_a_deletion_that_is_under_way_stays_due_though_the_meeting_is_asked_about(service, api, link, app):
    archive_id = finished(service, link)
    with app.app_context():
        with write() as session:
            session.execute(update(Archive).values(deleting_since=utc_in(-1), check_due_at=utc_in(60)))
        with write() as session:
            enqueue(session, RECONCILE_MEETING, {"meeting_id": row_of(app, archive_id)["meeting_id"]})
        assert services(app).jobs.run_now(RECONCILE_MEETING) == 1
    assert row_of(app, archive_id)["check_due_at"] is not None


@ON_SQLITE
@pytest.mark.parametrize("seconds", [0.0, 5.0])
@pytest.mark.needs("archiving")
def test_a_sweep_has_a_bound_for_all_that_it_asks(service, api, link, app, monkeypatch, seconds):
    monkeypatch.setattr("videoconf.archives.reconcile.RUN_SECONDS", seconds)
    start(api, link)
    make_due(app)
    left = []
    monkeypatch.setattr(service.provider, "list_archives", lambda ref: left.append(seconds_left()) or [])
    monkeypatch.setattr(service.provider, "get_archive", failing(ProviderUnavailable()))
    with app.app_context():
        services(app).jobs.run_now("reconcile_archives")
    assert [one <= seconds for one in left] == ([True] if seconds else [])


@pytest.mark.needs("archiving")
def test_a_provider_that_is_down_is_asked_again_later(service, api, link, app, monkeypatch):
    archive_id = start(api, link)["id"]
    service.fake.change_archive(archive_id, ArchiveStatus.STOPPED)
    lose_webhooks(service)
    make_due(app)
    with monkeypatch.context() as down:
        down.setattr(service.provider, "list_archives", failing(ProviderUnavailable()))
        sweep(app)
    assert get(api, archive_id)["status"] == "started"
    make_due(app)
    sweep(app)
    assert get(api, archive_id)["status"] == "stopped"


def test_of_many_workers_one_asks(make_app, headers, monkeypatch):
    app = make_app()
    service = service_of(app, headers)
    links = [service.api.create() for _ in range(4)]
    for link in links:
        service.join(link)
        start(service.api, link)
    make_due(app)
    calls, original = [], service.provider.list_archives
    monkeypatch.setattr(service.provider, "list_archives", lambda ref: (calls.append(ref.session_id), original(ref))[1])
    sweep = services(app).jobs.works["reconcile_archives"].handler

    def work():
        with app.app_context():
            sweep({})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(calls) == len(set(calls)) == 4
    assert BATCH > 4


# --- whatever happens -----------------------------------------------------------------------------------------------

steps = st.lists(
    st.tuples(st.sampled_from(ArchiveStatus), st.integers(0, 5))
    | st.sampled_from(["delete", "delete, refused", "delete, provider down", "go on"]),
    min_size=1,
    max_size=10,
)
numbers = itertools.count()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(steps=steps)
def test_the_rank_never_decreases_and_what_is_deleted_never_returns(service, app, link, steps):
    """Events in any order with deletions in between. The one way back is a deletion that the provider refuses."""
    api, archive_id = service.api, f"h-{next(numbers)}"
    session_id = api.read(link)["sessionId"]
    told(service, archive_id, session_id, "started")
    rank, was_deleted = 1.0, False
    for step in steps:
        before = rank
        with pytest.MonkeyPatch.context() as patch:
            if step == "delete, refused":
                patch.setattr(service.provider, "delete_archive", failing(ProviderConflict()))
            elif step == "delete, provider down":
                patch.setattr(service.provider, "delete_archive", failing(ProviderUnavailable()))
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
                expected = (
                    {404} if was_deleted else {"delete": {200}, "delete, refused": {409, 200}}.get(step, {503, 200})
                )
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
        assert rank >= before
