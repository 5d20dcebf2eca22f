"""A long job renews its lease while it runs."""

import threading

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError

from videoconf.api.services import services
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.jobs.models import Job
from videoconf.jobs.queue import Work, enqueue


@pytest.mark.parametrize("stumbles", [False, True])
def test_a_lease_is_kept_as_long_as_a_long_job_runs(app, monkeypatch, stumbles):
    from videoconf.jobs import queue as module

    jobs, renewed, taken = services(app).jobs, threading.Event(), []
    failures = [OperationalError("", {}, Exception("away"))] if stumbles else []

    def renew_in(seconds):
        if failures and threading.current_thread().name == "videoconf-lease":
            raise failures.pop()
        return utc_in(seconds)

    monkeypatch.setattr(module, "utc_in", renew_in)
    monkeypatch.setattr(module, "LEASE_SECONDS", 1.5 if stumbles else 0.6)

    def handler(payload):
        with app.app_context():
            before = lease(app)
            for _ in range(100):
                if lease(app) != before:
                    renewed.set()
                    break
                renewed.wait(0.02)
            taken.append(jobs.claim())

    jobs.declare(Work("long", handler, takes_long=True))
    with app.app_context():
        with write() as session:
            enqueue(session, "long", {})
        job = jobs.claim()
        assert jobs.run(job)
    assert renewed.is_set()
    assert taken == [None]


def test_a_lease_that_another_has_taken_is_not_renewed(app, monkeypatch):
    from videoconf.jobs import queue as module

    jobs, renewals, kept = services(app).jobs, threading.Semaphore(0), []

    def renew_in(seconds):
        if threading.current_thread().name == "videoconf-lease":
            renewals.release()
        return utc_in(seconds)

    monkeypatch.setattr(module, "utc_in", renew_in)
    monkeypatch.setattr(module, "LEASE_SECONDS", 0.3)

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

    jobs.declare(Work("long", handler, takes_long=True))
    with app.app_context():
        with write() as session:
            enqueue(session, "long", {})
        jobs.run(jobs.claim())
    assert kept == [True]


def lease(app):
    with read() as session:
        return session.execute(text("SELECT lease_until FROM job WHERE kind = 'long'")).scalar_one()
