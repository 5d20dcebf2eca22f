"""A long job renews its lease while it runs."""

import threading
import time
from queue import Empty, SimpleQueue

import pytest
from sqlalchemy import event, text, update
from sqlalchemy.exc import OperationalError

from videoconf.api.services import services
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.db.types import db
from videoconf.jobs import queue
from videoconf.jobs.models import Job
from videoconf.jobs.worker import Worker


@pytest.mark.parametrize("stumbles", [False, True])
def test_long_job_keeps_its_lease_while_it_runs(app, monkeypatch, stumbles):
    jobs, renewed, taken, waits = services(app).jobs, threading.Event(), [], []
    failures = [OperationalError("", {}, Exception("away"))] if stumbles else []

    def stumble(*statement):
        if failures and threading.current_thread() is not threading.main_thread():
            raise failures.pop()

    def note_wait(event, timeout=None):
        if threading.current_thread().name == "videoconf-lease":
            waits.append(timeout)
        return wait(event, timeout)

    wait = threading.Event.wait
    monkeypatch.setattr(threading.Event, "wait", note_wait)
    monkeypatch.setattr(queue, "LEASE_SECONDS", 1.5 if stumbles else 0.6)

    def handler(payload):
        with app.app_context():
            before = lease(app)
            for _ in range(100):
                if lease(app) != before:
                    renewed.set()
                    break
                renewed.wait(0.02)
            taken.append(jobs.claim())

    jobs.declare(queue.Work("long", handler, takes_long=True))
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", stumble)
        with write() as session:
            queue.enqueue(session, "long", {})
        job = jobs.claim()
        assert jobs.run(job)
    assert renewed.is_set()
    assert taken == [None]
    assert 2 * max(waits) < queue.LEASE_SECONDS, "the second renewal is in time, should the first one fail"


def test_lease_that_another_worker_took_is_not_renewed(app, monkeypatch):
    jobs, renewals, kept = services(app).jobs, threading.Semaphore(0), []

    def note(*statement):
        if threading.current_thread() is not threading.main_thread():
            renewals.release()
            time.sleep(0.05)

    monkeypatch.setattr(queue, "LEASE_SECONDS", 0.3)

    def handler(payload):
        with app.app_context():
            with write() as session:
                theirs = {"lease_owner": "another", "lease_until": utc_in(3600)}
                session.execute(update(Job).where(Job.kind == "long").values(theirs))
            before = lease(app)
            while renewals.acquire(blocking=False):
                pass
            for _ in range(2):  # when the second begins, the first has ended
                assert renewals.acquire(timeout=10)
            kept.append(lease(app) == before)

    jobs.declare(queue.Work("long", handler, takes_long=True))
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", note)
        with write() as session:
            queue.enqueue(session, "long", {})
        jobs.run(jobs.claim())
    assert kept == [True]
    assert "videoconf-lease" not in [thread.name for thread in threading.enumerate()], "it ends with the job"


@pytest.mark.parametrize("lane", ["takes_long", "erases"])
def test_tenant_has_one_job_of_a_lane_beside_another_tenant(app, lane):
    """A tenant whose storage target is slow keeps the copies and deletions of no other tenant waiting."""
    jobs, began, over = services(app).jobs, SimpleQueue(), threading.Event()

    def copy(payload):
        began.put(payload["tenant"])
        assert payload["tenant"] == "other" or over.wait(20)

    jobs.declare(queue.Work("long", copy, **{lane: True}))
    with app.app_context(), write() as session:
        for tenant in ("acme", "acme", "acme", "other"):
            queue.enqueue(session, "long", {"id": 1, "tenant": tenant})
    worker = Worker(jobs, app.app_context)
    worker.start()
    try:
        assert {began.get(timeout=15), began.get(timeout=15)} == {"acme", "other"}
        with pytest.raises(Empty):
            began.get(timeout=1)
        over.set()
        assert [began.get(timeout=15) for _ in range(2)] == ["acme", "acme"]
    finally:
        over.set()
        worker.stop(20)


def lease(app):
    with read() as session:
        return session.execute(text("SELECT lease_until FROM job WHERE kind = 'long'")).scalar_one()
