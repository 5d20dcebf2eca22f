"""Deleting an archive at the provider and in storage, also when one of them fails or two delete at once."""

import threading
from functools import partial

import pytest
from sqlalchemy import update

from tests.integration.archives.steps import (
    audited,
    finished,
    get,
    items,
    make_due,
    receipt,
    row_of,
    start,
    sweep,
    told,
)
from tests.support.service import ON_SQLITE, at_once
from videoconf.api.services import services
from videoconf.archives.models import Archive
from videoconf.db.transactions import write
from videoconf.errors import (
    ProviderConflict,
    ProviderError,
    ProviderResourceNotFound,
    ProviderTimeout,
    ProviderUnavailable,
    StorageUnavailable,
)
from videoconf.jobs.models import Job, JobState
from videoconf.jobs.work import Lane
from videoconf.providers import ArchiveStatus

pytestmark = pytest.mark.needs("archiving", long=True)


@pytest.mark.parametrize("accept", [None, "text/plain", "application/json"])
@ON_SQLITE
def test_deletion_answers_null(service, api, link, accept):
    answer = api("DELETE", f"/archives/{finished(service, link)}", **({"Accept": accept} if accept else {}))
    assert (answer.status, answer.json) == (200, None)
    assert answer.headers["Content-Type"].split(";")[0] == (accept or "application/json")


@ON_SQLITE
def test_unacceptable_media_type_deletes_nothing(service, api, link):
    archive_id = finished(service, link)
    assert api("DELETE", f"/archives/{archive_id}", Accept="image/png").problem == (406, "not_acceptable")
    assert get(api, archive_id)["status"] == "available"


@pytest.mark.needs("archiving")
def test_deleted_archive_is_gone_everywhere_for_good(service, api, link, app, stored):
    older, archive_id = finished(service, link), stored.add(finished(service, link))
    assert api("DELETE", f"/archives/{archive_id}").status == 200
    if service.provider.capabilities.deletes_archives:
        with pytest.raises(ProviderResourceNotFound):
            service.provider.get_archive(archive_id)
    assert stored.deleted == [archive_id]

    tombstone = row_of(app, archive_id)
    service.deliver()  # the provider's own word of it
    for status in service.writer.archive_statuses:
        told(service, archive_id, api.read(link)["sessionId"], status, name="risen", size_bytes=1)
    sweep(app)
    assert row_of(app, archive_id) == tombstone
    for method in ("GET", "DELETE"):
        assert api(method, f"/archives/{archive_id}").problem == (404, "archive_not_found")
    assert [one["id"] for one in items(api)] == [older]
    assert api.read(link)["archiveId"] == older

    [asked] = audited(app, "archive.deletion_requested")
    [deleted] = audited(app, "archive.deleted")
    assert (asked.actor, asked.target, deleted.actor, deleted.target) == ("tester", archive_id, "tester", archive_id)
    assert deleted.after == receipt(service, "gone")
    assert deleted.meeting_link == link


def test_archive_without_a_stored_copy_gets_a_receipt(service, api, link, app):
    assert api("DELETE", f"/archives/{finished(service, link)}").status == 200
    [deleted] = audited(app, "archive.deleted")
    assert deleted.after == receipt(service)


@ON_SQLITE
@pytest.mark.needs("archiving", "the fake", long=True)
def test_receipt_of_an_expired_archive_names_no_other_copy(service, api, link, app):
    """A provider whose storage is set elsewhere may have left one there; this one has no such storage."""
    archive_id = finished(service, link)
    service.fake.change_archive(archive_id, ArchiveStatus.EXPIRED)
    service.deliver()
    assert get(api, archive_id)["status"] == "expired"
    assert api("DELETE", f"/archives/{archive_id}").status == 200
    assert [entry.after for entry in audited(app, "archive.deleted")] == [receipt(service)]


def test_archive_gone_at_the_provider_is_deleted(service, api, link, stored):
    service.provider.script("delete_archive", ProviderResourceNotFound(), always=True)
    archive_id = stored.add(finished(service, link))
    assert api("DELETE", f"/archives/{archive_id}").status == 200
    assert stored.deleted == [archive_id]


@pytest.mark.needs("archiving")
def test_archive_being_recorded_is_not_deleted(service, api, link, app, stored):
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
def test_job_finishes_a_deletion_after_a_provider_outage(service, api, link, app, stored, error, problem):
    archive_id = stored.add(finished(service, link))
    service.provider.script("delete_archive", error, always=True)
    assert api("DELETE", f"/archives/{archive_id}").problem == problem
    assert get(api, archive_id)["status"] == "deleting"
    assert [one["status"] for one in items(api, "?status=deleting")] == ["deleting"]
    assert items(api, "?status=available") == []
    again = api("DELETE", f"/archives/{archive_id}")
    assert (again.status, again.json) == (200, None)
    sweep(app)
    assert get(api, archive_id)["status"] == "deleting"
    service.provider.script("delete_archive")
    told(service, archive_id, api.read(link)["sessionId"], "uploaded")
    assert get(api, archive_id)["status"] == "deleting", "a late webhook does not take it back"
    assert api("PATCH", f"/archives/{archive_id}", {"legalHold": True}).problem == (409, "archive_deleting")
    assert api("POST", f"/archives/{archive_id}/stop").problem == (409, "archive_deleting")
    assert stored.deleted == []
    sweep(app)
    assert api("GET", f"/archives/{archive_id}").problem == (404, "archive_not_found")
    assert stored.deleted == [archive_id]
    assert len(audited(app, "archive.deleted")) == 1


def test_repeated_deletion_is_refused_while_recording(service, api, link, app):
    """The node of the first request was killed, and the proxy sent the request to another."""
    archive_id = start(api, link)["id"]
    service.provider.script("delete_archive", ProviderTimeout())
    assert api("DELETE", f"/archives/{archive_id}").status == 504
    assert api("DELETE", f"/archives/{archive_id}").problem == (409, "archive_not_deletable")
    sweep(app)
    assert get(api, archive_id)["status"] == "started"


def test_archive_stays_deleting_while_its_target_is_down(service, api, link, app, stored):
    archive_id = stored.add(finished(service, link))
    stored.fail(StorageUnavailable())
    assert api("DELETE", f"/archives/{archive_id}").problem == (503, "storage_unavailable")
    service.deliver()  # the provider says that it has deleted its own copy
    assert get(api, archive_id)["status"] == "deleting"
    assert api("DELETE", f"/archives/{archive_id}").status == 200
    assert audited(app, "archive.deleted") == []
    stored.work()
    sweep(app)
    assert api("GET", f"/archives/{archive_id}").status == 404
    assert len(audited(app, "archive.deleted")) == 1


def test_deletion_with_a_dead_job_is_resumed(service, api, link, app, stored):
    archive_id = stored.add(finished(service, link))
    with app.app_context(), write() as session:
        session.execute(update(Archive).values(check_due_at=None))  # a settled archive is asked about no more
    stored.fail(StorageUnavailable())
    assert api("DELETE", f"/archives/{archive_id}").status == 503
    with app.app_context(), write() as session:
        session.execute(update(Job).where(Job.kind == "erase_archive").values(state=JobState.DEAD))
    stored.work()
    make_due(app)
    sweep(app)
    assert api("GET", f"/archives/{archive_id}").status == 404
    assert len(audited(app, "archive.deleted")) == 1


@ON_SQLITE
def test_sweep_leaves_a_deletion_to_the_lane_of_erasures(service, api, link, app, stored):
    """A storage target that answers late kept the ordinary lane, and with it the ends of all tenants' meetings."""
    archive_id = stored.add(finished(service, link))
    stored.fail(StorageUnavailable())
    assert api("DELETE", f"/archives/{archive_id}").status == 503
    with app.app_context(), write() as session:
        session.execute(update(Job).where(Job.kind == "erase_archive").values(state=JobState.DEAD))
    stored.work()
    make_due(app)
    with app.app_context():
        jobs = services(app).jobs
        jobs.run_now("reconcile_archives")
        assert stored.deleted == []
        assert jobs.claim(lane=Lane.ERASURES).payload["tenant"] == row_of(app, archive_id)["tenant"]


def test_concurrent_deletions_delete_once(service, api, link, app, stored):
    archive_id = stored.add(finished(service, link))
    calls, original = [], service.provider.delete_archive
    service.provider.script("delete_archive", lambda one: (calls.append(one), original(one)), always=True)
    answers = at_once([lambda: api("DELETE", f"/archives/{archive_id}")] * 6)
    assert {one.status for one in answers} <= {200, 404}
    assert 200 in {one.status for one in answers}
    assert calls == stored.deleted == [archive_id]
    assert len(audited(app, "archive.deleted")) == 1
    assert api("GET", f"/archives/{archive_id}").status == 404


def test_two_workers_finish_a_deletion_with_one_receipt(service, api, link, app, deletion, stored):
    """The lease of one ran out while it waited for the storage target."""
    archive_id = stored.add(finished(service, link))
    stored.fail(StorageUnavailable())
    assert api("DELETE", f"/archives/{archive_id}").status == 503
    both_are_here = threading.Barrier(2)
    stored.target.script("delete", lambda key: both_are_here.wait(10), always=True)

    def resume():
        with app.app_context():
            deletion.resume(row["id"])

    row = row_of(app, archive_id)
    at_once([resume, resume])
    assert len(audited(app, "archive.deleted")) == 1


def test_hold_and_deletion_at_once_do_not_both_succeed(service, api, link):
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


@pytest.mark.needs("archiving", "the fake", long=True)
def test_archive_deleted_at_the_provider_loses_its_stored_copy(service, api, link, app, stored):
    archive_id = stored.add(finished(service, link))
    service.fake.change_archive(archive_id, ArchiveStatus.DELETED)
    service.deliver()
    assert api("GET", f"/archives/{archive_id}").problem == (404, "archive_not_found")
    assert items(api) == []
    sweep(app)
    assert set(stored.deleted) == {archive_id}, "its job, and one that would have copied it"
    [deleted] = audited(app, "archive.deleted")
    assert deleted.actor == "provider:fake"


@pytest.mark.needs("archiving", "the fake", long=True)
def test_hidden_archive_stays_hidden_if_the_provider_refuses(service, api, link, app, stored):
    archive_id = stored.add(finished(service, link))
    service.provider.script("delete_archive", ProviderConflict(), always=True)
    told(service, archive_id, api.read(link)["sessionId"], "deleted")
    sweep(app)
    row = row_of(app, archive_id)
    assert row["deleted_on"] is not None
    assert row["deleting_since"] is None
    assert [entry.target for entry in audited(app, "archive.deleted")] == [archive_id]


@pytest.mark.needs("archiving", "the fake", long=True)
def test_held_archive_deleted_at_the_provider_stays_visible(service, api, link, app, stored):
    archive_id = stored.add(finished(service, link))
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


@ON_SQLITE
@pytest.mark.parametrize(("actor", "type"), [("retention", "system"), ("tester", "caller")])
def test_deletion_begun_by_earlier_release_keeps_its_actor(service, api, link, app, actor, type):
    """That release stored the name of the actor alone, and called its job of retention by this name."""
    archive_id = finished(service, link)
    service.provider.script("delete_archive", ProviderUnavailable(), always=True)
    assert api("DELETE", f"/archives/{archive_id}").problem == (503, "provider_unavailable")
    with app.app_context(), write() as session:
        session.execute(update(Archive).values(deleted_by=actor, deleted_by_type=None))
    service.provider.script("delete_archive")
    sweep(app)
    [receipt] = audited(app, "archive.deleted")
    assert (receipt.actor, receipt.actor_type, receipt.target) == (actor, type, archive_id)
