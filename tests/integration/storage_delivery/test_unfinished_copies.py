"""Copies that an outage, a killed process or a changed target interrupted."""

import signal

import pytest
from sqlalchemy import event, select, text, update

from tests.integration.storage_delivery.world import MEMORY, PATH, World, pulled_world
from tests.support.service import ON_SQLITE, Caller, in_process
from videoconf.api.services import services
from videoconf.archives import copy as pulling
from videoconf.archives.models import Archive
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.db.types import db
from videoconf.jobs.kinds import PULL_ARCHIVE
from videoconf.jobs.models import Job, JobState
from videoconf.providers import ArchiveStatus
from videoconf.storage_targets.models import StorageTargetRow
from videoconf_fake.memory import AREAS


@pytest.mark.needs("archiving", "archive_downloads")
def test_copy_with_a_dead_job_is_made_after_the_outage(make_world):
    world, archive_id = pulled_world(make_world)
    with world.app.app_context():
        with write() as session:
            session.execute(update(Job).where(Job.kind == PULL_ARCHIVE).values(state=JobState.DEAD))
        for _ in range(2):
            services(world.app).jobs.run_now("resume_pulls")
        with read() as session:
            queued = select(Job.id).where(Job.kind == PULL_ARCHIVE, Job.state == JobState.PENDING)
            assert len(session.execute(queued).all()) == 1, "one that is queued is not queued again"
    world.run_jobs()
    assert world.api("GET", f"/archives/{archive_id}").json["status"] == "uploaded"
    assert len(AREAS.objects["bucket"]) == 1
    with world.app.app_context():
        services(world.app).jobs.run_now("resume_pulls")
        with read() as session:
            assert session.execute(queued).all() == []


@ON_SQLITE
@pytest.mark.parametrize("why", ["no target", "pushed", "another tenant's"])
@pytest.mark.needs("archiving", "archive_downloads")
def test_archive_that_needs_no_copy_is_not_retried(make_world, why):
    world = make_world("archive" if why == "pushed" else "none")
    if why != "no target":
        api = world.api if why == "pushed" else world.service.caller_with(tenant="other")
        assert api("PUT", PATH, MEMORY).status == 200
    world.become(world.record(), ArchiveStatus.AVAILABLE)
    world.run_jobs()
    with world.app.app_context():
        services(world.app).jobs.run_now("resume_pulls")
        with read() as session:
            queued = select(Job.id).where(Job.kind == PULL_ARCHIVE, Job.state == JobState.PENDING)
            assert session.execute(queued).all() == []
    if why != "pushed" or services(world.app).providers.get("fake").pushes_to("memory"):
        assert not AREAS.objects.get("bucket")


def resumed(world: World) -> list[int]:
    """Look for what should be copied; return the ids of archives that are queued then."""
    with world.app.app_context():
        services(world.app).jobs.run_now("resume_pulls")
        with read() as session:
            queued = select(Job.payload).where(Job.kind == PULL_ARCHIVE, Job.state == JobState.PENDING)
            return [payload["id"] for payload in session.execute(queued.order_by(Job.id)).scalars()]


@ON_SQLITE
@pytest.mark.parametrize(
    ("table", "values"),
    [
        (Archive, {"account": "another"}),
        (Archive, {"provider": "another"}),
        (Archive, {"status": "expired"}),
        (StorageTargetRow, {"state": "replaced"}),
        (StorageTargetRow, {"kind": "another"}),
        (Job, {"kind": "another"}),
    ],
)
@pytest.mark.needs("archiving", "archive_downloads")
def test_only_archives_that_can_be_copied_are_queued(make_world, table, values):
    world, archive_id = pulled_world(make_world)
    with world.app.app_context(), write() as session:
        dead = JobState.PENDING if table is Job else JobState.DEAD
        session.execute(update(Job).where(Job.kind == PULL_ARCHIVE).values(state=dead))
        of_copy = Job.kind == PULL_ARCHIVE if table is Job else True
        session.execute(update(table).where(of_copy).values(values))
    assert resumed(world) == ([world.row(archive_id).id] if table is Job else [])


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_oldest_archives_are_queued_first_in_batches(make_world, monkeypatch):
    monkeypatch.setattr(pulling, "RESUMED_AT_ONCE", 2)
    world, first = pulled_world(make_world)
    later = [world.record() for _ in range(2)]
    for archive_id in later:
        world.become(archive_id, ArchiveStatus.AVAILABLE)
    ids = [world.row(archive_id).id for archive_id in (first, *later)]
    with world.app.app_context(), write() as session:
        session.execute(update(Job).where(Job.kind == PULL_ARCHIVE).values(state=JobState.DEAD))
        for id, hours in zip(ids, (1, 3, 2), strict=True):
            session.execute(update(Archive).where(Archive.id == id).values(created_on=utc_in(-3600.0 * hours)))
    assert resumed(world) == [ids[1], ids[2]]
    assert resumed(world) == [ids[1], ids[2], ids[0]]


class Killed(BaseException):
    """As ``kill -9``: nothing of ours catches it, because a signal's handler raises it."""


def copied_by_a_killed_process(world: World, before=lambda: None) -> None:
    """Copy an archive; the process is killed when all of it is in the target, and its lease runs out."""
    target, written = world.target(), []

    def put(key, stream, **kw):
        before()
        written.append(target.real.put(key, stream, **kw))
        return written[-1]

    def kill(*statement):
        if written:
            written.clear()
            signal.raise_signal(signal.SIGUSR1)

    def die(*_):
        raise Killed

    target.script("put", put)
    before_that = signal.signal(signal.SIGUSR1, die)
    try:
        with world.app.app_context():
            event.listen(db.engine, "before_cursor_execute", kill)
            with pytest.raises(Killed):
                world.run_jobs()
            event.remove(db.engine, "before_cursor_execute", kill)
    finally:
        signal.signal(signal.SIGUSR1, before_that)
    with world.app.app_context(), write() as session:
        session.execute(text("UPDATE job SET lease_until = created_on WHERE lease_until IS NOT NULL"))


@pytest.mark.needs("archiving", "archive_downloads")
def test_deletion_removes_the_copy_of_a_killed_process(make_world):
    world, archive_id = pulled_world(make_world)
    copied_by_a_killed_process(world)
    assert len(AREAS.objects["bucket"]) == 1
    assert world.api("DELETE", f"/archives/{archive_id}").status == 200
    assert AREAS.objects["bucket"] == {}
    (receipt,) = [entry for entry in world.api("GET", "/audit").json if entry["action"] == "archive.deleted"]
    assert receipt["after"]["storageTarget"] == "gone"


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_copy_of_a_process_killed_after_the_deletion_is_removed(make_world):
    world, archive_id = pulled_world(make_world)

    def delete():
        assert Caller(in_process(world.app), world.api.headers)("DELETE", f"/archives/{archive_id}").status == 200

    copied_by_a_killed_process(world, before=delete)
    AREAS.passwords["bucket"] = "changed"
    world.run_jobs()
    assert len(AREAS.objects["bucket"]) == 1, "the target was away"
    AREAS.passwords.clear()
    world.run_jobs()
    assert AREAS.objects["bucket"] == {}


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_begun_copy_stays_while_no_target_is_in_force(make_world):
    world, archive_id = pulled_world(make_world)
    copied_by_a_killed_process(world)
    assert world.api("DELETE", PATH).status == 204
    world.run_jobs()
    assert len(AREAS.objects["bucket"]) == 1
    assert world.api("DELETE", f"/archives/{archive_id}").status == 200
    assert AREAS.objects["bucket"] == {}


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_target_changed_between_attempts_keeps_no_copy(make_world):
    world, archive_id = pulled_world(make_world)
    copied_by_a_killed_process(world)
    assert world.api("PUT", PATH, {**MEMORY, "area": "second"}).status == 200
    world.run_jobs()
    assert (len(AREAS.objects["bucket"]), len(AREAS.objects["second"])) == (0, 1)
    assert world.url(archive_id).startswith("memory://second/")


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_unreachable_former_target_keeps_its_copy_until_deletion(make_world):
    world, archive_id = pulled_world(make_world)
    copied_by_a_killed_process(world)
    assert world.api("PUT", PATH, {**MEMORY, "area": "second"}).status == 200
    AREAS.passwords["bucket"] = "changed"
    world.run_jobs()
    assert world.url(archive_id).startswith("memory://second/")
    with world.app.app_context(), read() as session:
        states = session.execute(select(Job.state).where(Job.kind == PULL_ARCHIVE)).scalars().all()
    assert set(states) == {JobState.DONE}, "the copy exists anyway"
    assert world.api("DELETE", f"/archives/{archive_id}").problem == (502, "storage_error"), "one copy is left"
    AREAS.passwords.clear()
    world.run_jobs()
    assert (AREAS.objects["bucket"], AREAS.objects["second"]) == ({}, {})
