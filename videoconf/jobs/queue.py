"""Work that may outlive a request: rows of the database, claimed with a lease, repeated until done.

A job is written in the transaction of the change that needs it. Any number of workers on any number of nodes claim due
jobs; a worker that dies loses its lease and another takes over, so a handler runs at least once and must be idempotent.
A job that keeps failing for days is kept as ``dead`` where an operator sees it and can retry it; one that is done is
forgotten after a while.

``videoconf/app.py`` declares every kind of work, recurring work included, which needs no clock of its own.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from videoconf.containment import raised_by_signal
from videoconf.db.batches import ROWS_PER_BATCH, in_batches, run_until
from videoconf.db.conditional import changes_row, update_rows
from videoconf.db.failures import cause_of
from videoconf.db.functions import utc_in, utc_now
from videoconf.db.transactions import Transaction, dialect_of, read, write
from videoconf.db.types import db
from videoconf.db.upsert import upserts
from videoconf.errors import ProviderError, VideoconfError
from videoconf.jobs.models import Job, JobState
from videoconf.jobs.work import GIVE_UP_SECONDS, LEASE_SECONDS, Around, ClaimedJob, Lane, Measured, Work
from videoconf.observability.log_context import log_context
from videoconf.observability.metrics import JOBS_RUN

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 20
"""After so many a job is given up that is older than that, as one is that an operator revived; or one of which attempts
do not end, since it may take its worker along."""
DONE_KEPT_SECONDS = 7 * 86_400.0
FIRST_DELAY_SECONDS = 5.0
LONGEST_DELAY_SECONDS = 900.0

UNENDED = "an attempt did not end"
UNENDED_AGAIN = "attempts in a row did not end"


class Jobs:
    """The queue, and the handlers by kind.

    :param around: encloses each run of a job, for traces.
    """

    def __init__(self, around: Around = lambda kind, job_id, attempt, run: run()) -> None:
        self._around = around
        self.works: dict[str, Work] = {}
        """What is declared, by kind."""
        self._planted = False
        self._choosing = threading.Lock()
        self._served: dict[Lane, set[str]] = {lane: set() for lane in Lane if lane is not Lane.ORDINARY}
        """Tenants that a job of a lane runs for in this process."""
        self.threads_state: Callable[[], str] = lambda: "ok"
        """Says how the job threads of this process are: :attr:`videoconf.jobs.worker.Worker.state`."""

    def declare(self, *works: Work) -> None:
        """Name the work that this queue can do. Called once, where the parts are wired."""
        for work in works:
            if work.kind in self.works:
                raise AssertionError(f"the job {work.kind!r} is declared twice")
            self.works[work.kind] = work

    def claim(self, *, lane: Lane | None = None) -> ClaimedJob | None:
        """Take the lease of one due job, the longest due first; None when no job is due.

        :param lane: only kinds of this lane; None: any kind.
        """
        return self._claim(Job.due_at <= utc_now(), *self._of_lane(lane))

    @contextmanager
    def _turn(self, lane: Lane | None) -> Iterator[ClaimedJob | None]:
        """Claim a job for the time of a block.

        A process runs one long job of a tenant at a time, and one erasure. Otherwise a tenant whose storage target is
        slow, or that has very many archives, would keep those of other tenants waiting for hours.
        """
        if lane is None or lane is Lane.ORDINARY:
            yield self.claim(lane=lane)
            return
        running = self._served[lane]
        with self._choosing:
            tenant = Job.payload["tenant"].as_string()  # absent in jobs of earlier releases
            of_others = [or_(tenant.is_(None), tenant.not_in(sorted(running)))] if running else []
            job = self._claim(Job.due_at <= utc_now(), *self._of_lane(lane), *of_others)
            served = None if job is None else job.payload.get("tenant")
            if served is not None:
                running.add(served)
        try:
            yield job
        finally:
            running.discard(served)

    def _claim(self, *wanted: ColumnElement[bool]) -> ClaimedJob | None:
        owner = _new_owner()
        free = or_(Job.lease_until.is_(None), Job.lease_until < utc_now())
        first = (
            select(Job.id)
            .where(Job.state == JobState.PENDING, free, *wanted)
            .order_by(Job.due_at)
            .limit(1)
            .with_for_update(skip_locked=True)  # SQLite has no such clause and needs none: there is one writer
        )
        unended = case((Job.last_error.in_((UNENDED, UNENDED_AGAIN)), UNENDED_AGAIN), else_=UNENDED)
        taken = (
            update_rows(Job)
            .where(Job.id == first.scalar_subquery())
            .values(
                lease_owner=owner,
                lease_until=utc_in(LEASE_SECONDS),
                attempts=Job.attempts + 1,
                last_error=case((Job.lease_owner.is_not(None), unended), else_=Job.last_error),
            )
            .returning(
                Job.id,
                Job.kind,
                Job.payload,
                Job.attempts,
                Job.key,
                Job.last_error,
                (Job.created_on < utc_in(-GIVE_UP_SECONDS)).label("is_old"),
            )
        )
        with write() as session:
            row = session.execute(taken).one_or_none()
        if row is None:
            return None
        return ClaimedJob(
            row.id, row.kind, row.payload, row.attempts, owner, row.key is not None, row.is_old, row.last_error
        )

    def run_now(self, kind: str) -> int:
        """Run the waiting jobs of a kind now, due or not; return how many ran. A job that a worker holds is left alone.

        For tests and the command line. The first failure is stored like any other, and then raised.
        """
        if kind not in self.works:
            raise KeyError(kind)
        self._plant()
        ran: list[int] = []
        while (job := self._claim(Job.kind == kind, Job.id.not_in(ran))) is not None:
            ran.append(job.id)
            self.attempt(job)
        return len(ran)

    def run(self, job: ClaimedJob) -> bool:
        """Run a claimed job now and store how it ended; return whether it is done. Raises nothing of the handler's."""
        return self._run(job) is None

    def attempt(self, job: ClaimedJob) -> None:
        """Run a claimed job now and store how it ended, as :meth:`run` does; then raise what the handler raised.

        For a caller that wants the result of the first attempt, while the job stays for the next.
        """
        if (error := self._run(job)) is not None:
            raise error

    def _run(self, job: ClaimedJob) -> Exception | None:
        # In a context of its own: what the job adds to its log lines ends with it.
        return copy_context().run(self._run_here, job)

    def _run_here(self, job: ClaimedJob) -> Exception | None:
        with log_context(job_id=job.id, job_kind=job.kind):
            return self._around(job.kind, job.id, job.attempts, lambda: self._try(job))

    def _try(self, job: ClaimedJob) -> Exception | None:
        if job.attempts > MAX_ATTEMPTS and job.last_error == UNENDED_AGAIN and not job.recurs:
            error = RuntimeError(UNENDED_AGAIN)  # it takes its worker along, and would for ever
            self._failed(job, str(error), retryable=False)
            return error
        try:
            work = self.works[job.kind]
        except KeyError as error:
            logger.error("no handler for job %s of kind %s", job.id, job.kind)  # noqa: TRY400  # the trace says nothing
            self._failed(job, f"no handler for the kind {job.kind!r}", retryable=True)
            return error
        began = time.monotonic()
        try:
            with self._lease_kept(job) if work.takes_long else nullcontext():
                work.handler(job.payload)
        except VideoconfError as error:
            logger.warning(
                "job %s (%s) failed at attempt %s: %s%s",
                job.id,
                job.kind,
                job.attempts,
                error.code,
                cause_of(error),
                extra=_ids(job.payload),
            )
            retryable = not isinstance(error, ProviderError) or error.retryable or error.status == 502
            self._failed(job, f"{error.code}: {error.detail}", retryable=retryable)
            return error
        except BaseException as error:
            if raised_by_signal(error):
                raise
            logger.exception("job %s (%s) raised at attempt %s", job.id, job.kind, job.attempts)
            self._failed(job, type(error).__name__, retryable=True)
            return error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
        if work.every_seconds is not None:
            self._finish(job, attempts=0, due_at=utc_in(work.every_seconds), last_error=None)
        else:
            self._finish(job, state=JobState.DONE, finished_on=utc_now(), last_error=None)
        JOBS_RUN.labels(job.kind, "done").inc()
        # Recurring work runs every minute and mostly finds nothing to do.
        logger.log(
            logging.DEBUG if job.recurs else logging.INFO,
            "job %s (%s) done at attempt %s",
            job.id,
            job.kind,
            job.attempts,
            extra={"milliseconds": round((time.monotonic() - began) * 1000), **_ids(job.payload)},
        )
        return None

    @contextmanager
    def _lease_kept(self, job: ClaimedJob) -> Iterator[None]:
        """Renew a lease for as long as the block runs; a process that is killed renews it no more."""
        engine, done = db.engine, threading.Event()

        def renew() -> None:
            mine = (Job.id == job.id, Job.lease_owner == job.owner)
            while not done.wait(LEASE_SECONDS / 3):
                try:
                    # A connection of its own: the session is the handler's thread's.
                    with engine.begin() as connection:
                        connection.execute(update(Job).where(*mine).values(lease_until=utc_in(LEASE_SECONDS)))
                except SQLAlchemyError as error:
                    logger.warning("the lease of job %s could not be renewed: %s", job.id, type(error).__name__)

        thread = threading.Thread(target=renew, name="videoconf-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _failed(self, job: ClaimedJob, reason: str, *, retryable: bool) -> None:
        again = job.recurs or (retryable and (job.attempts < MAX_ATTEMPTS or not job.is_old))
        JOBS_RUN.labels(job.kind, "failed" if again else "dead").inc()
        if again:
            self._finish(job, due_at=utc_in(_delay_seconds(job.attempts)), last_error=reason)
        else:
            self._finish(job, state=JobState.DEAD, finished_on=utc_now(), last_error=reason)

    def _finish(self, job: ClaimedJob, **values: Any) -> None:
        """Release the lease. No effect if the worker has lost it meanwhile."""
        with write() as session:
            session.execute(
                update_rows(Job)
                .where(Job.id == job.id, Job.lease_owner == job.owner)
                .values(lease_owner=None, lease_until=None, **values)
            )

    def _of_lane(self, lane: Lane | None) -> tuple[ColumnElement[bool], ...]:
        if lane is None:
            return ()
        # Kinds that this release does not know are ordinary, so that they are seen to.
        others = [work.kind for work in self.works.values() if work.lane is not Lane.ORDINARY]
        of_lane = [work.kind for work in self.works.values() if work.lane is lane]
        return (Job.kind.not_in(others) if lane is Lane.ORDINARY else Job.kind.in_(of_lane),)

    def run_due(self, stopping: Callable[[], bool] = lambda: False, *, lane: Lane | None = None) -> int:
        """Run all that is due, or until ``stopping()`` between two jobs; return how many jobs were tried.

        :param lane: as for :meth:`claim`.
        """
        self._plant()
        tried = 0
        while not stopping():
            with self._turn(lane) as job:
                if job is None:
                    break
                self.run(job)
                tried += 1
        return tried

    def _plant(self) -> None:
        """Add the rows of recurring jobs, once for each process; other nodes may have added them before."""
        if self._planted:
            return
        with write() as session:
            for kind, work in sorted(self.works.items()):
                if work.every_seconds is not None:
                    row = {"kind": kind, "key": kind, "payload": {}, "due_at": utc_in(work.every_seconds)}
                    session.execute(_PLANT[dialect_of(session)].values(row))
        self._planted = True

    def measure(self) -> Measured:
        """Count jobs by state, and tell how long the longest due one has been due."""
        due = case((Job.state != JobState.PENDING, Job.state), (Job.due_at <= utc_now(), "due"), else_="waiting")
        open_or_dead = Job.state != JobState.DONE
        with read() as session:
            counted = session.execute(select(due, func.count()).where(open_or_dead).group_by(due)).all()
            oldest = select(func.min(Job.due_at), utc_now()).where(Job.state == JobState.PENDING)
            due_at, now = session.execute(oldest).one()
        by_state = {"due": 0, "waiting": 0, "dead": 0} | dict(counted)
        return Measured(by_state, max(0.0, (now - due_at).total_seconds()) if due_at is not None else 0.0)

    def retry(self, job_id: int) -> bool:
        """Make a dead job due again with all its attempts; return whether there was one."""
        with write() as session:
            dead = update_rows(Job).where(Job.id == job_id, Job.state == JobState.DEAD)
            revived = dead.values(state=JobState.PENDING, attempts=0, due_at=utc_now(), finished_on=None)
            return changes_row(session, revived)


def enqueue(transaction: Transaction, kind: str, payload: dict[str, Any], *, delay_seconds: float = 0.0) -> int:
    """Add a job to the running transaction; return its id."""
    return _insert(transaction, kind, payload, due_at=utc_in(delay_seconds))


def enqueue_once(
    transaction: Transaction, kind: str, name: str, number: int, *, delay_seconds: float, **others: Any
) -> None:
    """Add a job about one number, unless one waits that no worker has begun: that one does this one's work.

    Transactions that run at the same moment may add one each.

    :param others: what the payload also has, which follows from the number.
    """
    waits = (
        select(Job.id)
        .where(
            Job.state == JobState.PENDING,
            Job.kind == kind,
            Job.lease_owner.is_(None),
            Job.payload[name].as_integer() == number,
        )
        .limit(1)
    )
    if transaction.execute(waits).one_or_none() is None:
        enqueue(transaction, kind, {name: number, **others}, delay_seconds=delay_seconds)


def enqueue_claimed(transaction: Transaction, kind: str, payload: dict[str, Any]) -> ClaimedJob:
    """Add a job that the caller itself tries first, by :meth:`Jobs.run`, after its commit.

    If the process dies in between, the lease runs out and a worker takes the job.
    """
    owner = _new_owner()
    lease = {"attempts": 1, "lease_owner": owner, "lease_until": utc_in(LEASE_SECONDS)}
    job_id = _insert(transaction, kind, payload, due_at=utc_in(0), **lease)
    return ClaimedJob(job_id, kind, payload, attempts=1, owner=owner)


def prune_jobs() -> None:
    """Delete jobs that were done long ago; dead ones stay until an operator has seen to them."""
    old = (
        select(Job.id)
        .where(Job.state == JobState.DONE, Job.due_at < utc_in(-DONE_KEPT_SECONDS))
        .order_by(Job.due_at)
        .limit(ROWS_PER_BATCH)
    )
    in_batches(delete(Job).where(Job.id.in_(old)), Job.id, run_until())


def _insert(transaction: Transaction, kind: str, payload: dict[str, Any], **values: Any) -> int:
    statement = insert(Job).values(kind=kind, payload=payload, **values).returning(Job.id)
    return transaction.execute(statement).scalar_one()


def _ids(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ids of a payload, for the log."""
    return {name: value for name, value in payload.items() if name.endswith("_id")}


def _new_owner() -> str:
    return secrets.token_hex(8)


def _delay_seconds(attempts: int) -> float:
    """Return how long to wait after so many attempts: doubling, with a jitter that keeps jobs of one outage apart."""
    # A recurring job has no last attempt, and 2.0 ** 1024 is an error.
    delay = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(attempts - 1, MAX_ATTEMPTS))
    return delay * random.uniform(0.5, 1.0)  # noqa: S311  # hides nothing


_PLANT = upserts(Job, lambda statement: statement.on_conflict_do_nothing(index_elements=[Job.key]))
