"""What is done, under way or not yet there is left alone by whatever comes a second time."""

import time

import pytest
from sqlalchemy import select, update

from tests.support.service import service_of
from videoconf.api.services import services
from videoconf.archives import reconcile
from videoconf.archives.models import Archive
from videoconf.attendance import roster
from videoconf.audit import AuditEntry
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.errors import ProviderUnavailable
from videoconf.idempotency import IdempotencyKey
from videoconf.jobs.models import Job
from videoconf.jobs.queue import enqueue
from videoconf.jobs.work import LEASE_SECONDS
from videoconf.meetings.models import Meeting
from videoconf.providers import ArchiveStatus


@pytest.fixture
def service(app, headers):
    return service_of(app, headers)


def row(app, model, *conditions):
    with app.app_context(), read() as session:
        return session.execute(select(model.__table__).where(*conditions)).one()


def finished_archive(service):
    link = service.api.create()
    service.join(link)
    service.deliver()
    archive = service.api("POST", f"/session/{link}/archives", {}).json["id"]
    for status in (ArchiveStatus.STOPPED, ArchiveStatus.AVAILABLE):
        service.fake.change_archive(archive, status)
    service.deliver()
    return archive


@pytest.mark.parametrize("state", ["pending", "done"])
def test_job_that_is_not_dead_is_not_revived(app, state):
    with app.app_context():
        with write() as session:
            id = enqueue(session, "end_session", {"meeting_id": 0}, delay_seconds=60)
            session.execute(update(Job).where(Job.id == id).values(state=state, attempts=3))
        before = row(app, Job, Job.id == id)
        assert not services(app).jobs.retry(id)
    assert row(app, Job, Job.id == id) == before


def test_retention_leaves_deletion_that_is_under_way(make_app, headers):
    app = make_app(archive_retention_days=1)
    service = service_of(app, headers)
    archive = finished_archive(service)
    expire = services(app).jobs.works["expire_archives"].handler
    with app.app_context():
        with write() as session:
            session.execute(update(Archive).values(created_on=utc_in(-2 * 86400), known_on=utc_in(-2 * 86400)))
        expire({})
        before = row(app, Archive, Archive.archive_id == archive)
        expire({})
        with read() as session:
            jobs = session.execute(select(Job.id).where(Job.kind == "erase_archive")).all()
    assert before.deleting_since is not None
    assert row(app, Archive, Archive.archive_id == archive) == before
    assert len(jobs) == 1


def test_retention_leaves_archives_that_are_deleted(make_app, headers):
    app = make_app(archive_retention_days=1)
    service = service_of(app, headers)
    archive = finished_archive(service)
    assert service.api("DELETE", f"/archives/{archive}").status == 200
    with app.app_context():
        with write() as session:
            session.execute(update(Archive).values(created_on=utc_in(-2 * 86400), known_on=utc_in(-2 * 86400)))
        before = row(app, Archive, Archive.archive_id == archive)
        services(app).jobs.works["expire_archives"].handler({})
    assert row(app, Archive, Archive.archive_id == archive) == before


def test_second_deletion_of_archive_is_not_found(service, app):
    archive = finished_archive(service)
    assert service.api("DELETE", f"/archives/{archive}").status == 200
    before = row(app, Archive, Archive.archive_id == archive)
    assert service.api("DELETE", f"/archives/{archive}").problem == (404, "archive_not_found")
    with app.app_context():
        services(app).jobs.works["erase_archive"].handler({"id": before.id})
    assert row(app, Archive, Archive.archive_id == archive) == before


@pytest.mark.parametrize("method", ["end", "delete"])
def test_second_end_changes_nothing(service, app, method):
    link = service.api.create()
    service.api("PATCH", f"/session/{link}/end")
    before = row(app, Meeting, Meeting.meeting_link == link)
    if method == "end":
        assert service.api("PATCH", f"/session/{link}/end").problem == (409, "meeting_ended")
        assert row(app, Meeting, Meeting.meeting_link == link) == before
    else:
        assert service.api("DELETE", f"/session/{link}").status == 204
        after = row(app, Meeting, Meeting.meeting_link == link)
        assert (after.end_time, after.modified_on) == (before.end_time, before.modified_on)
    with app.app_context(), read() as session:
        assert len(session.execute(select(Job.id).where(Job.kind == "end_session")).all()) == 1
        ended = AuditEntry.action == "meeting.ended"
        assert len(session.execute(select(AuditEntry.id).where(ended)).all()) == 1


def test_second_delete_keeps_time_and_actor_of_first(service, app):
    link = service.api.create()
    assert service.api("DELETE", f"/session/{link}").status == 204
    before = row(app, Meeting, Meeting.meeting_link == link)
    assert service.caller_with(subject="other")("DELETE", f"/session/{link}").status == 404
    assert row(app, Meeting, Meeting.meeting_link == link) == before


def test_second_token_keeps_start(service, app):
    link = service.api.create()
    service.api.token(link)
    started = row(app, Meeting, Meeting.meeting_link == link)
    service.api.token(link)
    assert row(app, Meeting, Meeting.meeting_link == link) == started


def test_edit_that_changes_nothing_leaves_no_trace(service, app):
    link = service.api.create(extId="x", extMetadata={"a": 1})
    before = row(app, Meeting, Meeting.meeting_link == link)
    other = service.caller_with(subject="other")
    assert other("PATCH", f"/session/{link}", {"extId": "x", "extMetadata": {"a": 1}}).status in (200, 204)
    assert row(app, Meeting, Meeting.meeting_link == link) == before
    with app.app_context(), read() as session:
        edited = AuditEntry.action == "meeting.edited"
        assert session.execute(select(AuditEntry.id).where(edited)).all() == []


def test_archive_edit_that_changes_nothing_leaves_no_trace(service, app):
    archive = finished_archive(service)
    path = f"/archives/{archive}"
    assert service.api("PATCH", path, {"name": "x", "legalHold": True}).status in (200, 204)
    before = row(app, Archive, Archive.archive_id == archive)
    assert service.caller_with(subject="other")("PATCH", path, {"name": "x", "legalHold": True}).status in (200, 204)
    assert row(app, Archive, Archive.archive_id == archive) == before
    with app.app_context(), read() as session:
        edited = AuditEntry.action == "archive.edited"
        assert len(session.execute(select(AuditEntry.id).where(edited)).all()) == 1


def test_stopping_stopped_archive_leaves_no_trace(service, app):
    archive = finished_archive(service)
    before = row(app, Archive, Archive.archive_id == archive)
    assert service.api("POST", f"/archives/{archive}/stop").status == 200
    assert row(app, Archive, Archive.archive_id == archive) == before
    with app.app_context(), read() as session:
        stopped = AuditEntry.action == "archive.stopped"
        assert session.execute(select(AuditEntry.id).where(stopped)).all() == []


def test_only_an_abandoned_creation_is_removed(service, app):
    """Old and ready, or young and not ready: both stay, with their keys."""
    links = {}
    for name in ("abandoned", "ready", "young"):
        answer = service.api("POST", "/session", {"extId": name}, Idempotency_Key=name)
        links[answer.json] = name
    with app.app_context():
        with write() as session:
            for link, name in links.items():
                values = {"is_ready": name == "ready", "created_on": utc_in(-299 if name == "young" else -301)}
                session.execute(update(Meeting).where(Meeting.meeting_link == link).values(values))
                if name != "ready":
                    busy = {"state": "busy", "answer": None, "lease_until": utc_in(-1), "owner": "gone"}
                    session.execute(update(IdempotencyKey).where(IdempotencyKey.key == name).values(busy))
        services(app).jobs.run_now("complete_creations")
        with read() as session:
            left = {links[link] for link in session.execute(select(Meeting.meeting_link)).scalars()}
            keys = set(session.execute(select(IdempotencyKey.key)).scalars())
    assert left == keys == {"ready", "young"}


def test_abandoned_creation_under_lease_is_left(service, app):
    answer = service.api("POST", "/session", {}, Idempotency_Key="k")
    with app.app_context():
        with write() as session:
            session.execute(update(Meeting).values(is_ready=False, created_on=utc_in(-301)))
            held = {"state": "busy", "answer": None, "lease_until": utc_in(20), "owner": "at work"}
            session.execute(update(IdempotencyKey).values(held))
        services(app).jobs.run_now("complete_creations")
        assert row(app, Meeting).meeting_link == answer.json
        assert row(app, IdempotencyKey).owner == "at work"


def test_only_old_keys_are_deleted(service, app):
    for name in ("old", "young"):
        service.api("POST", "/session", {}, Idempotency_Key=name)
    other = service.caller_with(tenant="other")
    other("POST", "/session", {}, Idempotency_Key="old")
    with app.app_context():
        with write() as session:
            old = (IdempotencyKey.key == "old", IdempotencyKey.tenant == "default")
            session.execute(update(IdempotencyKey).values(created_on=utc_in(-86_390)))
            session.execute(update(IdempotencyKey).where(*old).values(created_on=utc_in(-86_410)))
        services(app).jobs.run_now("reap_idempotency_keys")
        with read() as session:
            kept = session.execute(select(IdempotencyKey.tenant, IdempotencyKey.key)).all()
    assert set(map(tuple, kept)) == {("default", "young"), ("other", "old")}


@pytest.mark.parametrize("way", ["end", "delete"])
def test_meeting_that_is_over_is_not_edited(service, app, way):
    link = service.api.create(extId="x")
    if way == "end":
        service.api("PATCH", f"/session/{link}/end")
    else:
        service.api("DELETE", f"/session/{link}")
    before = row(app, Meeting, Meeting.meeting_link == link)
    answer = service.api("PATCH", f"/session/{link}", {"extId": "new"})
    assert answer.problem in ((409, "meeting_ended"), (404, "meeting_not_found"))
    assert row(app, Meeting, Meeting.meeting_link == link) == before


def test_archive_is_deleted_when_its_age_is_over(make_app, headers):
    app = make_app(archive_retention_days=1)
    service = service_of(app, headers)
    old, young = finished_archive(service), finished_archive(service)
    with app.app_context():
        with write() as session:
            for archive, age in ((old, 86_410), (young, 86_390)):
                row_of = Archive.archive_id == archive
                session.execute(update(Archive).where(row_of).values(created_on=utc_in(-age), known_on=utc_in(-age)))
        services(app).jobs.works["expire_archives"].handler({})
    assert row(app, Archive, Archive.archive_id == old).deleting_since is not None
    assert row(app, Archive, Archive.archive_id == young).deleting_since is None


def test_deletion_is_checked_again_in_an_hour(service, app):
    archive = finished_archive(service)

    def fail(archive_id):
        raise ProviderUnavailable

    service.provider.delete_archive = fail
    assert service.api("DELETE", f"/archives/{archive}").problem == (503, "provider_unavailable")
    with app.app_context(), read() as session:
        due = session.execute(select(Archive.check_due_at, utc_in(3600).label("hour"))).one()
    assert abs((due.check_due_at - due.hour).total_seconds()) < 20


def test_receipt_of_deletion_names_every_copy(service, app):
    archive = finished_archive(service)
    assert service.api("DELETE", f"/archives/{archive}").status == 200
    entry = row(app, AuditEntry, AuditEntry.action == "archive.deleted")
    assert (entry.after, entry.target) == ({"provider": "gone", "storageTarget": "none"}, archive)


@pytest.mark.parametrize("kind", ["pull_archive", "delete_pulled_archive", "erase_archive"])
def test_job_of_archive_that_is_gone_does_nothing(service, app, kind):
    archive = finished_archive(service)
    before = row(app, Archive, Archive.archive_id == archive)
    with app.app_context():
        services(app).jobs.works[kind].handler({"id": before.id + 1})
    assert row(app, Archive, Archive.archive_id == archive) == before


@pytest.mark.parametrize("way", ["edit", "end"])
def test_change_notes_its_time_and_actor(service, app, way):
    link = service.api.create()
    before = row(app, Meeting, Meeting.meeting_link == link)
    other = service.caller_with(subject="other")
    time.sleep(0.01)
    path, body = (f"/session/{link}", {"extId": "x"}) if way == "edit" else (f"/session/{link}/end", None)
    assert other("PATCH", path, body).status in (200, 204)
    after = row(app, Meeting, Meeting.meeting_link == link)
    assert (before.modified_by, after.modified_by) == ("tester", "other")
    assert after.modified_on > before.modified_on
    entry = row(app, AuditEntry, AuditEntry.action == ("meeting.edited" if way == "edit" else "meeting.ended"))
    assert (entry.actor, entry.meeting_link, entry.tenant) == ("other", link, "default")
    if way == "edit":
        assert entry.before.keys() == entry.after.keys() == {"ext_id"}


def test_queue_is_measured_by_state(app):
    with app.app_context():
        with write() as session:
            for state, seconds, count in (("pending", -50, 2), ("pending", 60, 3), ("dead", -9, 1), ("done", -99, 4)):
                for _ in range(count):
                    id = enqueue(session, "end_session", {"meeting_id": 0}, delay_seconds=seconds)
                    session.execute(update(Job).where(Job.id == id).values(state=state))
        measured = services(app).jobs.measure()
    assert measured.by_state == {"due": 2, "waiting": 3, "dead": 1}
    assert 49 < measured.lag_seconds < 60


def test_runs_end_within_a_lease():
    """Another worker may start the next run when the lease of this one is over."""
    assert reconcile.RUN_SECONDS <= LEASE_SECONDS / 2
    assert roster.RUN_SECONDS <= LEASE_SECONDS / 2


def test_settled_archive_is_asked_about_once(service, app):
    """The end of an automatic archive may be the start of the next, so that the provider is asked once more."""
    link = service.api.create(enableArchiving=True)
    service.join(link)
    service.deliver()
    [archive] = service.api("GET", f"/archives?meetingLink={link}").json["items"]
    for status in (ArchiveStatus.STOPPED, ArchiveStatus.AVAILABLE):
        service.fake.change_archive(archive["id"], status)
    service.deliver()
    assert row(app, Archive).check_due_at is not None
    with app.app_context():
        with write() as session:
            session.execute(update(Archive).values(check_due_at=utc_in(-1)))
        services(app).jobs.run_now("reconcile_archives")
    assert row(app, Archive).check_due_at is None
