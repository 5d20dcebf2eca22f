"""Archives whose webhooks were lost are asked for at the provider."""

import threading

import pytest
from sqlalchemy import select, update

from tests.integration.archives.steps import finished, get, items, make_due, row_of, start, sweep
from tests.support.service import ON_SQLITE, service_of
from videoconf.api.services import services
from videoconf.archives.models import Archive
from videoconf.archives.reconcile import BATCH
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.errors import (
    ProviderUnavailable,
)
from videoconf.jobs.kinds import RECONCILE_MEETING
from videoconf.jobs.queue import enqueue
from videoconf.providers import ArchiveStatus
from videoconf.providers.deadline import seconds_left

pytestmark = pytest.mark.needs("archiving", long=True)


@pytest.mark.needs("archiving")
def test_archive_with_lost_webhooks_is_asked_for(service, api, link, app):
    archive_id = start(api, link)["id"]
    service.fake.change_archive(archive_id, ArchiveStatus.STOPPED)
    service.fake.change_archive(archive_id, ArchiveStatus.AVAILABLE, "done")
    service.lose()
    sweep(app)
    assert get(api, archive_id)["status"] == "started", "it is not due yet"
    make_due(app)
    sweep(app)
    archive = get(api, archive_id)
    reason = "done" if service.provider.key == "fake" else "StopEgress API"
    assert (archive["status"], archive["reason"]) == ("available", reason)


def test_settled_archive_is_not_asked_for_again(service, api, link, app):
    finished(service, link)
    calls, original = [], service.provider.list_archives
    service.provider.script("list_archives", lambda ref: (calls.append(ref), original(ref))[1], always=True)
    sweep(app)
    assert calls == []
    with app.app_context(), read() as session:
        assert session.execute(select(Archive.check_due_at)).scalar_one() is None


@pytest.mark.needs("archiving")
def test_archive_unknown_to_the_provider_has_expired(service, api, link, app):
    archive_id = start(api, link)["id"]
    service.fake.change_archive(archive_id, ArchiveStatus.STOPPED)
    service.fake.change_archive(archive_id, ArchiveStatus.DELETED)
    service.lose()
    make_due(app)
    sweep(app)
    assert get(api, archive_id)["status"] == "expired"


@pytest.mark.needs("archiving", "automatic_archiving", "the fake")
def test_next_automatic_archive_is_found_without_webhooks(service, api, app):
    link = api.create(enableArchiving=True)
    first = service.join(link)
    service.deliver()
    [archive] = items(api)
    service.fake.change_archive(archive["id"], ArchiveStatus.STOPPED)
    service.fake.change_archive(archive["id"], ArchiveStatus.AVAILABLE)
    service.deliver()
    service.fake.leave(first)
    service.join(link)
    service.lose()
    with app.app_context(), read() as session:
        assert session.execute(select(Archive.check_due_at)).scalar_one() is not None
    make_due(app)
    sweep(app)
    newest, oldest = items(api, f"?meetingLink={link}")
    assert (newest["status"], oldest["id"]) == ("started", archive["id"])
    assert row_of(app, oldest["id"])["check_due_at"] is None, "that was all there was to ask"


@pytest.mark.needs("archiving", "automatic_archiving", "the fake")
def test_next_automatic_archive_is_found_after_a_lost_end(service, api, link, app):
    """The check that learns of an archive's end comes before the next archive starts."""
    bystander = row_of(app, finished(service, link))
    link = api.create(enableArchiving=True)
    first = service.join(link)
    service.deliver()
    [ended] = items(api, f"?meetingLink={link}")
    for status in (ArchiveStatus.STOPPED, ArchiveStatus.AVAILABLE):
        service.fake.change_archive(ended["id"], status)
    service.lose()
    make_due(app)
    sweep(app)
    assert get(api, ended["id"])["status"] == "available"
    service.fake.leave(first)
    service.join(link)
    service.lose()
    make_due(app)
    sweep(app)
    assert [one["status"] for one in items(api, f"?meetingLink={link}")] == ["started", "available"]
    assert row_of(app, ended["id"])["check_due_at"] is None, "that was all there was to ask"
    assert row_of(app, bystander["archive_id"]) == bystander


@ON_SQLITE
@pytest.mark.needs("archiving")
def test_one_failure_does_not_end_the_sweep(service, api, link, app):
    other = api.create()
    service.join(other)
    for meeting in (link, other):
        start(api, meeting)
    make_due(app)
    asked = []

    def list_archives(ref):
        asked.append(ref)
        raise ProviderUnavailable

    service.provider.script("list_archives", list_archives, always=True)
    with app.app_context():
        services(app).jobs.run_now("reconcile_archives")
    assert len(set(asked)) == 2


@ON_SQLITE
@pytest.mark.needs("archiving")
def test_unsettled_archive_stays_due(service, api, link, app):
    archive_id = start(api, link)["id"]
    make_due(app)
    sweep(app)
    assert get(api, archive_id)["status"] == "started"
    assert row_of(app, archive_id)["check_due_at"] is not None


@ON_SQLITE
@pytest.mark.needs("archiving")
def test_deletion_under_way_stays_due_after_a_sweep(service, api, link, app):
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
def test_sweep_has_one_deadline_for_all_its_calls(service, api, link, app, monkeypatch, seconds):
    monkeypatch.setattr("videoconf.archives.reconcile.RUN_SECONDS", seconds)
    start(api, link)
    make_due(app)
    left = []
    service.provider.script("list_archives", lambda ref: left.append(seconds_left()) or [], always=True)
    service.provider.script("get_archive", ProviderUnavailable(), always=True)
    with app.app_context():
        services(app).jobs.run_now("reconcile_archives")
    assert [one <= seconds for one in left] == ([True] if seconds else [])


@pytest.mark.needs("archiving")
def test_provider_that_is_down_is_asked_again_later(service, api, link, app):
    archive_id = start(api, link)["id"]
    service.fake.change_archive(archive_id, ArchiveStatus.STOPPED)
    service.lose()
    make_due(app)
    service.provider.script("list_archives", ProviderUnavailable(), always=True)
    sweep(app)
    service.provider.script("list_archives")
    assert get(api, archive_id)["status"] == "started"
    make_due(app)
    sweep(app)
    assert get(api, archive_id)["status"] == "stopped"


def test_one_of_many_workers_asks_the_provider(make_app, headers):
    app = make_app()
    service = service_of(app, headers)
    links = [service.api.create() for _ in range(4)]
    for link in links:
        service.join(link)
        start(service.api, link)
    make_due(app)
    calls, original = [], service.provider.list_archives
    service.provider.script("list_archives", lambda ref: (calls.append(ref.session_id), original(ref))[1], always=True)
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
