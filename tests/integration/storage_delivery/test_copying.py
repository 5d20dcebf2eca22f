"""Jobs copy archives to the tenant's storage target."""

import hashlib
import io
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from tests.integration.storage_delivery.world import pulled_world
from tests.support.service import ON_SQLITE, Caller, in_process
from videoconf.api.services import services
from videoconf.archives.models import Archive
from videoconf.audit import AuditEntry
from videoconf.db.functions import utc_in, utc_now
from videoconf.db.transactions import read, write
from videoconf.errors import ProviderTimeout, StorageTimeout
from videoconf.jobs.kinds import DELETE_PULLED, PULL_ARCHIVE
from videoconf.jobs.models import Job
from videoconf.jobs.work import Lane
from videoconf.providers import ArchiveStatus
from videoconf_fake.memory import AREAS, MemoryTarget


@pytest.mark.needs("archiving", "archive_downloads")
def test_copied_archive_is_audited_once_with_its_digest(make_world):
    world, archive_id = pulled_world(make_world)
    for _ in range(3):
        world.run_jobs()
    ((key, stored),) = AREAS.objects["bucket"].items()
    assert (stored.content, stored.content_type) == (world.content(archive_id), "video/mp4")
    assert key == f"{world.api('GET', f'/archives/{archive_id}').json['meetingLink']}/{archive_id}.mp4"
    with world.app.app_context(), read() as session:
        entries = (
            session.execute(select(AuditEntry.after).where(AuditEntry.action == "archive.delivered")).scalars().all()
        )
    digest = hashlib.sha256(stored.content).hexdigest()
    assert entries == [{"sizeBytes": len(stored.content), "sha256": digest}]
    assert len(world.service.fake.list_archives(world.api("GET", "/archives").json["items"][0]["sessionId"])) == 1


@pytest.mark.needs("archiving", "archive_downloads")
def test_setting_deletes_the_providers_copy_and_keeps_ours(make_world):
    world, archive_id = pulled_world(make_world, delete_pulled_archives=True)
    world.run_jobs()
    world.run_jobs()
    session_id = world.api("GET", f"/archives/{archive_id}").json["sessionId"]
    assert world.service.fake.list_archives(session_id) == []
    world.service.deliver()  # that it was deleted
    world.run_jobs()
    assert world.api("GET", f"/archives/{archive_id}").json["status"] == "uploaded"
    assert world.url(archive_id).startswith("memory://bucket/")
    assert world.api("DELETE", f"/archives/{archive_id}").status == 200
    assert AREAS.objects["bucket"] == {}


@ON_SQLITE
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("provider", "provider_timeout"),
        ("short", "provider_bad_response"),
        ("storage", "storage_timeout"),
        ("kept in part", "storage_error"),
    ],
)
@pytest.mark.needs("archiving", "archive_downloads")
def test_failed_copy_is_retried(make_world, fault, code):
    world, archive_id = pulled_world(make_world)
    target, provider = world.target(), world.service.provider

    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise ProviderTimeout

    if fault == "storage":
        target.script("put", StorageTimeout())
    elif fault == "kept in part":
        target.script("put", lambda *args, **kw: replace(target.real.put(*args, **kw), size_bytes=1))
    else:
        provider.script("open_archive", Broken() if fault == "provider" else io.BytesIO(b"too short"))
    world.run_jobs()
    assert AREAS.objects["bucket"] == {}
    assert world.api("GET", f"/archives/{archive_id}").json["status"] == "available"
    with world.app.app_context(), read() as session:
        failed = session.execute(select(Job.last_error).where(Job.kind == PULL_ARCHIVE)).scalar_one()
    assert failed.startswith(f"{code}: ")
    world.run_jobs()
    assert world.api("GET", f"/archives/{archive_id}").json["status"] == "uploaded"
    assert len(AREAS.objects["bucket"]) == 1


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_body_without_end_is_read_to_its_declared_size(make_world):
    world, archive_id = pulled_world(make_world)
    read = []

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            read.append(size)
            assert sum(read) < 100 << 20, "it reads on and on"
            return bytes(size)

    world.service.provider.script("open_archive", lambda archive_id: Endless(), always=True)
    world.run_jobs()
    assert sum(read) <= (world.row(archive_id).size_bytes or 0) + (2 << 20)
    assert world.api("GET", f"/archives/{archive_id}").json["status"] == "available"
    assert AREAS.objects["bucket"] == {}


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_archive_deleted_during_its_copy_leaves_nothing(make_world):
    world, archive_id = pulled_world(make_world)
    target = world.target()

    def put(key, stream, **kw):
        stored = target.real.put(key, stream, **kw)
        assert Caller(in_process(world.app), world.api.headers)("DELETE", f"/archives/{archive_id}").status == 200
        return stored

    target.script("put", put)
    world.run_jobs()
    assert AREAS.objects["bucket"] == {}
    assert world.api("GET", f"/archives/{archive_id}").problem == (404, "archive_not_found")
    assert "archive.delivered" not in {entry["action"] for entry in world.api("GET", "/audit").json}
    assert world.row(archive_id).object_key is None


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_copy_that_ends_during_a_deletion_is_removed(make_world):
    """The deletion has looked at the target and has not ended: it sees no copy any more."""
    world, other = pulled_world(make_world)
    world.run_jobs()
    kept = dict(AREAS.objects["bucket"])
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.AVAILABLE)
    target = world.target()

    def put(key, stream, **kw):
        stored = target.real.put(key, stream, **kw)
        with write() as session:
            begun = update(Archive).where(Archive.archive_id == archive_id).values(deleting_since=utc_now())
            session.execute(begun)
        return stored

    target.script("put", put)
    with world.app.app_context():
        assert services(world.app).jobs.run_now(PULL_ARCHIVE) == 1
    assert AREAS.objects["bucket"] == kept
    assert world.row(archive_id).object_key is None
    assert world.row(other).object_key in kept


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_only_copy_at_the_provider_is_not_deleted(make_world):
    world, archive_id = pulled_world(make_world)
    deleted = []
    world.service.provider.script("delete_archive", deleted.append, always=True)
    with world.app.app_context():
        services(world.app).jobs.works[DELETE_PULLED].handler({"id": world.row(archive_id).id})
    assert deleted == []


@ON_SQLITE
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.needs("archiving", "archive_downloads")
def test_stream_of_a_copy_is_closed(make_world, fails):
    world, _ = pulled_world(make_world)
    original, opened = world.service.provider.open_archive, []

    def open_archive(archive_id):
        opened.append(original(archive_id))
        return opened[-1]

    world.service.provider.script("open_archive", open_archive, always=True)
    if fails:
        world.target().script("put", lambda key, stream, **kw: stream.read(1) and 1 / 0)
    world.run_jobs()
    assert [stream.closed for stream in opened] == [True]


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_archive_deleted_before_its_copy_is_not_read(make_world):
    world, archive_id = pulled_world(make_world)
    read_ids = []

    class Late(MemoryTarget):
        def __init__(self, *args):
            super().__init__(*args)
            with write() as session:
                session.execute(update(Archive).values(deleting_since=utc_in(0)))

    services(world.app).targets.kinds["memory"] = Late
    world.service.provider.script("open_archive", read_ids.append, always=True)
    world.run_jobs()
    assert read_ids == []
    assert world.row(archive_id).begun_copies is None


@ON_SQLITE
@pytest.mark.parametrize("values", [{"account": "another"}, {"object_key": "there/already.mp4"}, {"status": "expired"}])
@pytest.mark.needs("archiving", "archive_downloads")
def test_archive_without_need_for_a_copy_is_not_opened(make_world, values):
    world, _ = pulled_world(make_world)
    read_ids = []
    with world.app.app_context(), write() as session:
        session.execute(update(Archive).values(values))
    world.service.provider.script("open_archive", read_ids.append, always=True)
    world.run_jobs()
    assert read_ids == []


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_copies_run_in_the_threads_for_long_jobs(make_world):
    world, _ = pulled_world(make_world)
    with world.app.app_context():
        jobs = services(world.app).jobs
        assert jobs.claim(lane=Lane.ORDINARY) is None
        assert jobs.claim(lane=Lane.LONG).kind == PULL_ARCHIVE


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_archive_without_a_target_is_not_copied(make_world):
    world = make_world("none")
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.AVAILABLE)
    world.run_jobs()
    assert world.api("GET", f"/archives/{archive_id}").json["status"] == "available"
