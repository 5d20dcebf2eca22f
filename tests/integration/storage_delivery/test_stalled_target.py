"""A storage endpoint that accepts and never answers delays the deletions that need it, and nothing else."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import urllib3
from sqlalchemy import func, insert, select

from tests.integration.storage_delivery.world import KEY, PATH
from tests.support.service import ON_POSTGRESQL
from tests.support.stalling_proxy import StallingProxy
from videoconf.archives.delete import REQUEST_SECONDS
from videoconf.archives.models import Archive
from videoconf.db.transactions import read, write
from videoconf.jobs.kinds import RECONCILE_MEETING
from videoconf.jobs.models import Job, JobState
from videoconf.jobs.queue import enqueue
from videoconf.providers import ArchiveStatus

DELETIONS = 50
THREADS = 32


def copy_archive(world, archive_id, count):
    """Add archives like one that is stored; return their ids."""
    columns = [column for column in Archive.__table__.columns if column.name != "id"]
    with world.app.app_context(), write() as session:
        row = session.execute(select(*columns).where(Archive.archive_id == archive_id)).one()._asdict()
        ids = [f"copy-{number}" for number in range(count)]
        values = [{**row, "archive_id": one, "object_key": f"{row['object_key']}-{one}"} for one in ids]
        session.execute(insert(Archive), values)
    return ids


def archives_left(world):
    with world.app.app_context(), read() as session:
        found = select(func.count()).where(Archive.deleted_on.is_(None), Archive.deleting_since.is_not(None))
        return session.execute(found).scalar_one()


def job_is_done(world, job_id):
    with world.app.app_context(), read() as session:
        return session.execute(select(Job.state).where(Job.id == job_id)).scalar_one() == JobState.DONE


@ON_POSTGRESQL
@pytest.mark.needs("stores_archives")
def test_stalled_storage_delays_its_own_deletions_alone(make_world, s3_server, gunicorn_server, headers):
    with closing(StallingProxy(s3_server.port)) as proxy, urllib3.PoolManager(retries=False, timeout=60) as pool:
        world = make_world("archive")
        assert world.api("PUT", PATH, {**s3_server.target, "endpoint": proxy.url}).status == 200
        stored = world.record()
        world.become(stored, ArchiveStatus.UPLOADED)
        archives = copy_archive(world, stored, DELETIONS)
        server = gunicorn_server(
            threads=THREADS,
            VIDEOCONF_ENCRYPTION_KEYS=KEY.reveal(),
            VIDEOCONF_DEVELOPMENT="true",
            VIDEOCONF_FAKE_STORAGE_SCOPE="archive",
            VIDEOCONF_EMBEDDED_WORKERS="1",
        )
        tenant, other = headers(), headers(tenant="other")
        link = pool.request("POST", f"{server.url}/session", headers=other).json()

        def delete(archive_id):
            began = time.monotonic()
            # Connections of their own: a pool would hold them back.
            answer = urllib3.request(
                "DELETE", f"{server.url}/archives/{archive_id}", headers=tenant, timeout=60, retries=False
            )
            return answer.status, time.monotonic() - began

        proxy.stall()
        with ThreadPoolExecutor(DELETIONS) as clients:
            deletions = [clients.submit(delete, one) for one in archives]
            deadline = time.monotonic() + 10
            while not proxy.accepted_while_stalled:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            with world.app.app_context(), write() as session:
                meeting_id = session.execute(select(Archive.meeting_id).limit(1)).scalar_one()
                job_id = enqueue(session, RECONCILE_MEETING, {"meeting_id": meeting_id})
            asked, slowest = time.monotonic(), 0.0
            while not job_is_done(world, job_id) or time.monotonic() < asked + 3:
                assert time.monotonic() < asked + 10, "an ordinary job waits for the storage target"
                for method, path in (("GET", f"/session/{link}"), ("POST", "/session"), ("GET", "/healthz")):
                    began = time.monotonic()
                    assert pool.request(method, server.url + path, headers=other).status == 200
                    slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.05)
            found = [one.result() for one in deletions]
        assert {status for status, _ in found} <= {503, 504}
        assert max(seconds for _, seconds in found) < REQUEST_SECONDS + 8
        assert slowest < 2.0
        assert archives_left(world) == DELETIONS, "each deletion is begun, and none is lost"

        proxy.resume()
        deadline = time.monotonic() + 40
        while archives_left(world):
            assert time.monotonic() < deadline
            world.run_jobs()
            time.sleep(0.2)
        assert threading.active_count() < 400
