"""Requests and workers that get into each other's way: each gap between two steps is entered on purpose."""

import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import event, select, text, update

from tests.support.service import ON_POSTGRESQL, Caller, in_process, plugins_with, service_of
from videoconf.api.services import services
from videoconf.archives.models import Archive
from videoconf.audit import AuditEntry
from videoconf.db.functions import utc_in
from videoconf.db.transactions import lock, read, statements, write
from videoconf.db.types import db
from videoconf.errors import ProviderConflict, StorageConflict, StorageError
from videoconf.jobs.models import Job
from videoconf.jobs.queue import enqueue
from videoconf.meetings.models import Meeting
from videoconf.providers import ArchiveStatus, Secret, SessionCreation, SessionRef
from videoconf.storage_targets.models import StorageTargetRow
from videoconf_fake.memory import AREAS, MemoryTarget
from videoconf_fake.provider import FakeProvider

TARGET = "/archives/storage-target"
KEY = Secret(Fernet.generate_key().decode())


class JustInTime(FakeProvider):
    """Makes a room when the first person comes, and another one for each request."""

    rooms_made = 0

    @property
    def capabilities(self):
        return replace(super().capabilities, session_creation=SessionCreation.JUST_IN_TIME)

    def ensure_session(self, request):
        self.rooms_made += 1
        mine = f"room-{self.rooms_made}"
        self.meanwhile()
        return SessionRef(self.account, mine)

    def meanwhile(self):
        pass


def once(call):
    """Return a function that makes a call the first time only, so that what it causes does not cause it again."""
    left = [call]

    def first(*args, **kwargs):
        if left:
            left.pop()(*args, **kwargs)

    return first


@contextmanager
def in_thread(call, app):
    """Run a call beside the block, in a thread with an application's context; afterwards it must have ended well."""
    failures = []
    ended = threading.Event()

    def run():
        try:
            with app.app_context():
                call()
        except BaseException as error:
            failures.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield ended
    thread.join(20)
    assert not thread.is_alive()
    assert failures == []


# --- sessions -------------------------------------------------------------------------------------------------------


def test_loser_of_just_in_time_session_joins_winner(make_app, headers):
    service = service_of(make_app(plugins=plugins_with(JustInTime)), headers)
    link, bystander = service.api.create(), service.api.create()
    winner = []
    service.provider.meanwhile = once(lambda: winner.append(service.api.token(link)))
    loser = service.api.token(link)
    assert winner[0]["sessionId"] == loser["sessionId"] == service.api.read(link)["sessionId"] == "room-2"
    assert loser["connect"] == {"url": "fake://room-2"}
    assert service.api.read(bystander)["sessionId"] is None
    assert service.api.token(bystander)["sessionId"] == "room-3"


# --- idempotency keys -----------------------------------------------------------------------------------------------


@ON_POSTGRESQL
def test_key_released_between_two_statements_is_in_progress(app, headers):
    """The first statement finds the key taken; before the second one reads it, its owner has given it up."""
    service = service_of(app, headers)
    body, key = {"extId": "x"}, {"Idempotency_Key": "k"}
    assert service.api("POST", "/session", body, **key).status == 200

    @once
    def give_up(connection, cursor, statement, parameters, context, executemany):
        with db.engine.connect() as other, other.begin():
            other.execute(text("DELETE FROM idempotency_key"))

    def after(connection, cursor, statement, *others):
        if statement.startswith("INSERT INTO idempotency_key"):
            give_up(connection, cursor, statement, *others)

    with app.app_context():
        event.listen(db.engine, "after_cursor_execute", after)
        try:
            assert service.api("POST", "/session", body, **key).problem == (409, "idempotency_in_progress")
        finally:
            event.remove(db.engine, "after_cursor_execute", after)
    assert service.api("POST", "/session", body, **key).status == 200


# --- locked rows ----------------------------------------------------------------------------------------------------


@contextmanager
def locked(app, table, id):
    """Hold the lock of a row as a transaction of another node does."""
    with app.app_context(), statements(atomic=True) as other:
        other.execute(text(f"SELECT id FROM {table} WHERE id = {id} FOR UPDATE"))  # both are the test's
        yield


@ON_POSTGRESQL
def test_worker_takes_next_job_while_first_is_locked(app):
    jobs = services(app).jobs
    with app.app_context(), write() as session:
        first, second = (enqueue(session, "end_session", {"meeting_id": 0}) for _ in range(2))
        session.execute(update(Job).where(Job.id == first).values(due_at=utc_in(-10)))
    taken = []
    with locked(app, "job", first), in_thread(lambda: taken.append(jobs.claim()), app) as ended:
        assert ended.wait(10), "it waits for the locked row"
    assert [job.id for job in taken] == [second]


@pytest.fixture
def two_archives(app, headers):
    """Return a service and the ids of the rows of two finished archives, the older one first."""
    service = service_of(app, headers)
    ids = []
    for _ in range(2):
        link = service.api.create()
        service.join(link)
        service.deliver()
        archive = service.api("POST", f"/session/{link}/archives", {}).json["id"]
        for status in (ArchiveStatus.STOPPED, ArchiveStatus.AVAILABLE):
            service.fake.change_archive(archive, status)
        service.deliver()
        with app.app_context(), read() as session:
            ids.append(session.execute(select(Archive.id).where(Archive.archive_id == archive)).scalar_one())
    return service, ids


def archive_of(app, id):
    with app.app_context(), read() as session:
        return session.execute(select(Archive.__table__).where(Archive.id == id)).one()


@ON_POSTGRESQL
def test_reconciler_takes_next_archive_while_first_is_locked(app, two_archives):
    _, (first, second) = two_archives
    with app.app_context(), write() as session:
        for id, seconds in ((first, -20), (second, -10)):
            session.execute(update(Archive).where(Archive.id == id).values(check_due_at=utc_in(seconds)))
    before = archive_of(app, first).check_due_at
    run = services(app).jobs.works["reconcile_archives"].handler
    with locked(app, "archive", first), in_thread(lambda: run({}), app) as ended:
        assert ended.wait(10), "it waits for the locked row"
    assert archive_of(app, first).check_due_at == before
    assert archive_of(app, second).check_due_at != before


@ON_POSTGRESQL
def test_retention_marks_next_archive_while_first_is_locked(make_app, headers):
    app = make_app(archive_retention_days=1)
    service = service_of(app, headers)
    ids = []
    for _ in range(2):
        link = service.api.create()
        service.join(link)
        service.deliver()
        archive = service.api("POST", f"/session/{link}/archives", {}).json["id"]
        assert service.api("POST", f"/archives/{archive}/stop").status == 200
        service.fake.change_archive(archive, ArchiveStatus.AVAILABLE)
        service.deliver()
        with app.app_context(), write() as session:
            row = Archive.archive_id == archive
            session.execute(
                update(Archive).where(row).values(created_on=utc_in(-2 * 86400), known_on=utc_in(-2 * 86400))
            )
            ids.append(session.execute(select(Archive.id).where(row)).scalar_one())
    run = services(app).jobs.works["expire_archives"].handler
    with locked(app, "archive", ids[0]), in_thread(lambda: run({}), app) as ended:
        assert ended.wait(10), "it waits for the locked row"
    assert [archive_of(app, id).deleting_since is None for id in ids] == [True, False]


@ON_POSTGRESQL
def test_abandoned_creation_is_removed_while_another_is_locked(app, headers):
    service = service_of(app, headers)
    links = [service.api.create() for _ in range(3)]
    with app.app_context(), write() as session:
        old = {"is_ready": False, "created_on": utc_in(-3600)}
        session.execute(update(Meeting).where(Meeting.meeting_link.in_(links[:2])).values(old))
        ids = list(session.execute(select(Meeting.id).order_by(Meeting.id)).scalars())
    run = services(app).jobs.works["complete_creations"].handler
    with locked(app, "meeting", ids[0]), in_thread(lambda: run({}), app) as ended:
        assert ended.wait(10), "it waits for the locked row"
    with app.app_context(), read() as session:
        assert list(session.execute(select(Meeting.id).order_by(Meeting.id)).scalars()) == [ids[0], ids[2]]


# --- deletions ------------------------------------------------------------------------------------------------------


def test_two_refusals_of_one_deletion_are_noted_once(app, two_archives):
    """The provider refuses two workers that go on with one deletion at the same time."""
    service, (id, other) = two_archives
    before = archive_of(app, other)
    archive = archive_of(app, id).archive_id
    erase = services(app).jobs.works["erase_archive"].handler

    @once
    def second_worker():
        with app.app_context():
            erase({"id": id})

    def refuse(archive_id):
        second_worker()
        raise ProviderConflict("It is being written.")

    service.provider.delete_archive = refuse
    assert service.api("DELETE", f"/archives/{archive}").problem == (409, "archive_not_deletable")
    with app.app_context(), read() as session:
        refused = AuditEntry.action == "archive.deletion_refused"
        assert len(session.execute(select(AuditEntry).where(refused)).all()) == 1
    row = archive_of(app, id)
    assert (row.deleting_since, row.deleted_by, row.deleted_on) == (None, None, None)
    assert archive_of(app, other) == before


# --- the storage target ---------------------------------------------------------------------------------------------


@pytest.fixture
def target_app(make_app, monkeypatch):
    """An application whose fake provider has one storage for the whole account."""
    AREAS.objects.clear()
    monkeypatch.setenv("VIDEOCONF_FAKE_STORAGE_SCOPE", "account")
    yield make_app(encryption_keys=(KEY,))
    AREAS.objects.clear()


def target(area):
    return {"name": "MEMORY", "area": area, "password": "secret"}


def states(app):
    with app.app_context(), read() as session:
        return list(session.execute(select(StorageTargetRow.state).order_by(StorageTargetRow.id)).scalars())


def test_target_changed_while_it_is_applied_is_applied_again(target_app, headers, monkeypatch):
    """A job brings the provider to what is in force; meanwhile another target comes into force."""
    service, jobs = service_of(target_app, headers), services(target_app).jobs
    assert service.api("PUT", TARGET, target("old")).status == 200
    apply = service.provider.apply_storage

    @once
    def change():
        assert service.api("PUT", TARGET, target("new")).status == 200

    def apply_late(kind, configuration):
        change()
        apply(kind, configuration)

    service.provider.apply_storage = apply_late
    payload = {"tenant": "default", "provider": "fake"}
    with target_app.app_context():
        with pytest.raises(StorageConflict):
            jobs.works["sync_storage"].handler(payload)
        assert service.provider.recorder.find_storage("any").configuration["area"] == "old", "it was overtaken"
        jobs.works["sync_storage"].handler(payload)
    assert service.provider.recorder.find_storage("any").configuration["area"] == "new"
    assert states(target_app) == ["replaced", "active"]


def test_target_removed_while_it_is_applied_is_cleared_again(target_app, headers):
    service, jobs = service_of(target_app, headers), services(target_app).jobs
    assert service.api("PUT", TARGET, target("old")).status == 200
    apply = service.provider.apply_storage
    remove = once(lambda: service.api("DELETE", TARGET))

    def apply_late(kind, configuration):
        remove()
        apply(kind, configuration)

    service.provider.apply_storage = apply_late
    payload = {"tenant": "default", "provider": "fake"}
    with target_app.app_context():
        with pytest.raises(StorageConflict):
            jobs.works["sync_storage"].handler(payload)
        jobs.works["sync_storage"].handler(payload)
    assert service.provider.recorder.find_storage("any") is None


@contextmanager
def held_lock(app, tenant):
    """Hold the lock of a tenant's target, as a change on another node does."""
    with app.app_context(), statements(atomic=True) as other:
        lock(other, f"storage_target:{tenant}")
        yield


@ON_POSTGRESQL
def test_change_waits_for_lock_of_its_own_tenants_target(app, make_app, headers):
    app = make_app(encryption_keys=(KEY,))
    apis = [Caller(in_process(app), headers(tenant=tenant)) for tenant in ("default", "other")]
    answers = []
    with held_lock(app, "default"):
        with in_thread(lambda: answers.append(apis[1]("PUT", TARGET, target("theirs"))), app) as ended:
            assert ended.wait(10), "another tenant's change does not wait"
        waiting = threading.Thread(target=lambda: answers.append(apis[0]("PUT", TARGET, target("ours"))))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        assert states(app) == ["active"]
    waiting.join(10)
    assert [answer.status for answer in answers] == [200, 200]


@ON_POSTGRESQL
def test_activation_waits_for_lock_of_target(make_app, headers, monkeypatch):
    """The lock is taken while the target is probed: after the change began, and before it comes into force."""
    app = make_app(encryption_keys=(KEY,))
    api = Caller(in_process(app), headers())
    probed, release, answers = threading.Event(), threading.Event(), []
    probe = MemoryTarget.probe

    def slow_probe(self):
        probed.set()
        assert release.wait(10)
        probe(self)

    monkeypatch.setattr(MemoryTarget, "probe", slow_probe)
    change = threading.Thread(target=lambda: answers.append(api("PUT", TARGET, target("ours"))))
    change.start()
    assert probed.wait(10)
    with held_lock(app, "default"):
        release.set()
        change.join(0.7)
        assert change.is_alive()
        assert states(app) == ["pending"]
    change.join(10)
    assert [answer.status for answer in answers] == [200]
    assert states(app) == ["active"]


def test_target_of_kind_that_is_not_installed_is_storage_error(target_app, headers):
    """The plugin of a target that is stored was taken away: what is in the target cannot be reached."""
    service = service_of(target_app, headers)
    assert service.api("PUT", TARGET, target("old")).status == 200
    with target_app.app_context():
        with write() as session:
            session.execute(update(StorageTargetRow).values(kind="tape"))
            [id] = session.execute(select(StorageTargetRow.id)).scalars()
        with pytest.raises(StorageError, match="tape"):
            services(target_app).targets.open(id)
