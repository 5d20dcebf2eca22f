"""Jobs that come round again: one row for all nodes, run when due, never done and never dead."""

import threading
import time
from inspect import signature
from itertools import count

import pytest
from sqlalchemy import delete, event, insert, select, update

from videoconf.api.services import services
from videoconf.db import batches
from videoconf.db.functions import utc_in
from videoconf.db.transactions import write
from videoconf.db.types import db
from videoconf.errors import ProviderAuthFailed
from videoconf.jobs.models import Job, JobState
from videoconf.jobs.queue import MAX_ATTEMPTS, UNENDED_AGAIN, Jobs, enqueue
from videoconf.jobs.work import LEASE_SECONDS, Work, recurring
from videoconf.jobs.worker import Worker

KIND = "sweep"


@pytest.fixture(autouse=True)
def context(app):
    with app.app_context():
        yield


def rows():
    with write() as session:
        return list(session.execute(select(Job).where(Job.kind == KIND)).scalars())


def make_due():
    with write() as session:
        session.execute(update(Job).where(Job.kind == KIND).values(due_at=utc_in(-1)))


def seconds_until_due():
    with write() as session:
        due_at, now = session.execute(select(Job.due_at, utc_in(0)).where(Job.kind == KIND)).one()
    return (due_at - now).total_seconds()


def test_recurring_job_runs_once_a_period():
    runs = []
    jobs = Jobs()
    jobs.declare(recurring(KIND, 600, lambda: runs.append(1)))
    assert jobs.run_due() == 0, "the first run is a period away"
    assert 595 < seconds_until_due() <= 600
    make_due()
    assert jobs.run_due() == 1
    assert runs == [1]
    assert 595 < seconds_until_due() <= 600
    [row] = rows()
    assert (row.state, row.attempts, row.lease_owner) == (JobState.PENDING, 0, None)
    assert jobs.run_due() == 0


def test_nodes_that_start_together_share_one_row(app):
    start, failures = threading.Barrier(4), []

    def node():
        jobs = Jobs()
        jobs.declare(recurring(KIND, 600, lambda: None))
        with app.app_context():
            start.wait()
            try:
                jobs.run_due()
            except Exception as error:  # told by the assertion below
                failures.append(error)

    threads = [threading.Thread(target=node) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    assert len(rows()) == 1


def test_a_node_that_starts_later_does_not_put_the_next_run_off():
    jobs = Jobs()
    jobs.declare(recurring(KIND, 600, lambda: None))
    jobs.run_due()
    with write() as session:
        session.execute(update(Job).values(due_at=utc_in(60)))
    later = Jobs()
    later.declare(recurring(KIND, 600, lambda: None))
    later.run_due()
    assert seconds_until_due() <= 60


@pytest.mark.parametrize("error", [ProviderAuthFailed(), RuntimeError("a bug")])
def test_failing_recurring_job_never_dies(error):
    def fail():
        raise error

    jobs = Jobs()
    jobs.declare(recurring(KIND, 600, fail))
    jobs.run_due()
    with write() as session:
        session.execute(update(Job).values(attempts=2000, due_at=utc_in(-1)))
    jobs.run_due()
    [row] = rows()
    assert row.state == JobState.PENDING
    assert row.last_error
    assert 0 < seconds_until_due() <= 900


def test_recurring_job_that_kills_its_worker_goes_on():
    runs = []
    jobs = Jobs()
    jobs.declare(recurring(KIND, 600, lambda: runs.append(1)))
    jobs.run_due()
    with write() as session:
        died = {"lease_owner": "killed", "lease_until": utc_in(-1), "last_error": UNENDED_AGAIN}
        session.execute(update(Job).values(attempts=2000, due_at=utc_in(-1), **died))
    jobs.run_due()
    assert runs == [1]
    assert [(row.state, row.last_error) for row in rows()] == [(JobState.PENDING, None)]


def test_service_has_its_recurring_jobs(app):
    services(app).jobs.run_due()
    with write() as session:
        assert set(session.execute(select(Job.key).where(Job.key.is_not(None))).scalars()) == {
            "complete_creations",
            "expire_archives",
            "notice_silence",
            "place_connections",
            "place_events",
            "prune_deliveries",
            "prune_door",
            "prune_events",
            "prune_inbox",
            "record_meetings",
            "prune_jobs",
            "reap_idempotency_keys",
            "reconcile_archives",
            "reconcile_rosters",
            "resume_pulls",
            "sweep_bans",
        }


def test_node_leaves_a_job_of_an_unknown_kind_to_others():
    """An old node during a rolling upgrade."""
    jobs = Jobs()
    jobs.declare(recurring(KIND, 600, lambda: None))
    jobs.run_due()
    with write() as session:
        session.execute(update(Job).values(attempts=MAX_ATTEMPTS, due_at=utc_in(-1)))
    Jobs().run_due()
    assert [row.state for row in rows()] == [JobState.PENDING]


def test_an_ordinary_job_is_done_once():
    jobs = Jobs()
    jobs.declare(Work("once", lambda payload: None))
    with write() as session:
        enqueue(session, "once", {})
        enqueue(session, "once", {})
    assert jobs.run_due() == 2
    with write() as session:
        assert session.execute(select(Job.state, Job.key)).all() == [(JobState.DONE, None)] * 2
    db.session.remove()


# --- in batches -----------------------------------------------------------------------------------------------------


@pytest.fixture
def jobs_of_two_batches(monkeypatch):
    """Make more jobs than two batches; give a statement that deletes a batch of them."""
    monkeypatch.setattr(batches, "ROWS_PER_BATCH", 3)
    with write() as session:
        session.execute(insert(Job), [{"kind": KIND, "payload": {}} for _ in range(8)])
    return delete(Job).where(Job.id.in_(select(Job.id).where(Job.kind == KIND).limit(3)))


def test_each_batch_is_a_transaction_of_its_own(jobs_of_two_batches):
    ended = []
    event.listen(db.engine, "commit", lambda connection: ended.append(connection))
    batches.in_batches(jobs_of_two_batches, Job.id, batches.run_until())
    assert len(ended) == 3
    assert rows() == []


def test_batches_stop_when_the_time_is_up(jobs_of_two_batches):
    until = time.monotonic() + 1
    batch = count(1)

    def take_long(connection):
        if next(batch) == 2:
            time.sleep(max(0, until - time.monotonic()))

    event.listen(db.engine, "commit", take_long)
    batches.in_batches(jobs_of_two_batches, Job.id, until)
    assert len(rows()) == 2


def test_a_run_ends_before_its_lease_and_before_a_stop():
    assert min(LEASE_SECONDS, signature(Worker.stop).parameters["timeout_seconds"].default) > batches.RUN_SECONDS
