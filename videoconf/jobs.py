"""Work that may outlive a request: rows of the database, claimed with a lease, repeated until done.

A job is written in the transaction of the change that needs it. Any number of workers on any number of nodes claim due
jobs; a worker that dies loses its lease and another takes over, so a handler runs at least once and must be idempotent.
A job that keeps failing for days is kept as ``dead`` where an operator sees it and can retry it; one that is done is
forgotten after a while.

Work that comes round again is declared once, where the parts are wired, and needs no clock of its own::

    jobs.every("prune_inbox", 3600, inbox.prune)
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Index, Text, case, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from videoconf.batches import ROWS_PER_BATCH, in_batches, run_until
from videoconf.database import BigId, Model, Transaction, db, dialect_of, read, utc_in, utc_now, write
from videoconf.errors import ProviderError, VideoconfError
from videoconf.metrics import JOBS_RUN

logger = logging.getLogger(__name__)

LEASE_SECONDS = 60.0
GIVE_UP_SECONDS = 3 * 86_400.0
"""How long a job is repeated at least: over a weekend on which a provider is away."""
MAX_ATTEMPTS = 20
"""After so many a job is given up that is older than that, as one is that an operator revived; or one of which attempts
do not end, since it may take its worker along."""
DONE_KEPT_SECONDS = 7 * 86_400.0
FIRST_DELAY_SECONDS = 5.0
LONGEST_DELAY_SECONDS = 900.0
IDLE_SECONDS = 2.0
THREADS_PER_LONG_ONE = 4


class JobState(StrEnum):
    """``pending`` until done; ``dead`` after too many failures, or one that no repetition can mend."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"


UNENDED = "an attempt did not end"
UNENDED_AGAIN = "attempts in a row did not end"


class Job(Model):
    """One piece of work."""

    __tablename__ = "job"
    __table_args__ = (Index(None, "state", "due_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str]
    key: Mapped[str | None] = mapped_column(unique=True)
    """The kind, where the job recurs: it has one row, which is never done and never dead."""
    payload: Mapped[dict[str, Any]]
    """What the handler needs: ids, never a secret."""
    state: Mapped[str] = mapped_column(default=JobState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(default=utc_now())
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(Text)
    """Error code and detail of the last failure."""
    created_on: Mapped[datetime] = mapped_column(default=utc_now())
    finished_on: Mapped[datetime | None]


Handler = Callable[[Mapping[str, Any]], None]
Around = Callable[[str, int, int, Callable[[], Exception | None]], Exception | None]
"""Calls its last argument and returns what that returns: the error that a job ended with. Told before: its kind, its id
and which attempt it is."""


@dataclass(frozen=True)
class ClaimedJob:
    """A job under a lease; only its owner may finish it."""

    id: int
    kind: str
    payload: Mapping[str, Any]
    attempts: int
    owner: str
    recurs: bool = False
    is_old: bool = False
    """It has been there for :data:`GIVE_UP_SECONDS`."""
    last_error: str | None = None


@dataclass(frozen=True)
class Measured:
    """The queue at one moment."""

    by_state: Mapping[str, int]
    lag_seconds: float


class Jobs:
    """The queue, and the handlers by kind.

    :param around: encloses each run of a job, for traces.
    """

    def __init__(self, around: Around = lambda kind, job_id, attempt, run: run()) -> None:
        self._around = around
        self._handlers: dict[str, Handler] = {}
        self._long: set[str] = set()
        self._periods_seconds: dict[str, float] = {}
        self._planted = False

    def register(self, kind: str, handler: Handler, *, takes_long: bool = False) -> None:
        """Name the handler of a kind. It is called outside any transaction and must be idempotent.

        :param takes_long: it may run for longer than a lease, which is renewed as long as the process lives. Each wait
            of the handler itself must be bounded, since nobody else takes over from one that hangs.
        """
        self._handlers[kind] = handler
        if takes_long:
            self._long.add(kind)

    def every(self, kind: str, seconds: float, handler: Callable[[], None]) -> None:
        """Run a handler about every so many seconds, by one worker of all nodes, from the first period's end on.

        The next run is due so many seconds after one has succeeded; one that failed is repeated with back-off for
        ever, and stays visible as ``last_error``. A run should end within :data:`LEASE_SECONDS`, since another worker
        may begin the next one then: a handler takes a bounded batch and leaves the rest to the next run.
        """
        self.register(kind, lambda payload: handler())
        self._periods_seconds[kind] = seconds

    @staticmethod
    def enqueue(transaction: Transaction, kind: str, payload: dict[str, Any], *, delay_seconds: float = 0.0) -> int:
        """Add a job to the running transaction; return its id."""
        return _insert(transaction, kind, payload, due_at=utc_in(delay_seconds))

    @staticmethod
    def enqueue_claimed(transaction: Transaction, kind: str, payload: dict[str, Any]) -> ClaimedJob:
        """Add a job that the caller itself tries first, by :meth:`run`, after its commit.

        Should the process die in between, the lease runs out and a worker takes the job.
        """
        owner = _new_owner()
        job_id = _insert(
            transaction,
            kind,
            payload,
            due_at=utc_in(0),
            attempts=1,
            lease_owner=owner,
            lease_until=utc_in(LEASE_SECONDS),
        )
        return ClaimedJob(job_id, kind, payload, attempts=1, owner=owner)

    def claim(self, *, takes_long: bool | None = None) -> ClaimedJob | None:
        """Take the lease of one due job, the longest due first; None when nothing is due.

        :param takes_long: of the kinds that do, or of the others; None: of any.
        """
        owner = _new_owner()
        free = or_(Job.lease_until.is_(None), Job.lease_until < utc_now())
        due = (
            select(Job.id)
            .where(Job.state == JobState.PENDING, Job.due_at <= utc_now(), free, *self._of_lane(takes_long))
            .order_by(Job.due_at)
            .limit(1)
            .with_for_update(skip_locked=True)  # SQLite has no such clause and needs none: there is one writer
        )
        unended = case((Job.last_error.in_((UNENDED, UNENDED_AGAIN)), UNENDED_AGAIN), else_=UNENDED)
        taken = (
            update(Job)
            .where(Job.id == due.scalar_subquery())
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
            .execution_options(synchronize_session=False)
        )
        with write() as session:
            row = session.execute(taken).one_or_none()
        if row is None:
            return None
        return ClaimedJob(
            row.id, row.kind, row.payload, row.attempts, owner, row.key is not None, row.is_old, row.last_error
        )

    def run(self, job: ClaimedJob) -> bool:
        """Run a claimed job now and store how it ended; return whether it is done. Raises nothing of the handler's."""
        return self._run(job) is None

    def attempt(self, job: ClaimedJob) -> None:
        """Run a claimed job now and store how it ended, as :meth:`run` does; then raise what the handler raised.

        For a caller that is told how the first attempt went, while the job stays for the next.
        """
        if (error := self._run(job)) is not None:
            raise error

    def _run(self, job: ClaimedJob) -> Exception | None:
        return self._around(job.kind, job.id, job.attempts, lambda: self._try(job))

    def _try(self, job: ClaimedJob) -> Exception | None:
        if job.attempts > MAX_ATTEMPTS and job.last_error == UNENDED_AGAIN and not job.recurs:
            error = RuntimeError(UNENDED_AGAIN)  # it takes its worker along, and would for ever
            self._failed(job, str(error), retryable=False)
            return error
        try:
            handler = self._handlers[job.kind]
        except KeyError as error:
            logger.error("no handler for job %s of kind %s", job.id, job.kind)  # noqa: TRY400  # the trace says nothing
            self._failed(job, f"no handler for the kind {job.kind!r}", retryable=True)
            return error
        try:
            with self._lease_kept(job) if job.kind in self._long else nullcontext():
                handler(job.payload)
        except VideoconfError as error:
            logger.warning("job %s (%s) failed at attempt %s: %s", job.id, job.kind, job.attempts, error.code)
            retryable = not isinstance(error, ProviderError) or error.retryable or error.status == 502
            self._failed(job, f"{error.code}: {error.detail}", retryable=retryable)
            return error
        except Exception as error:
            logger.exception("job %s (%s) raised at attempt %s", job.id, job.kind, job.attempts)
            self._failed(job, type(error).__name__, retryable=True)
            return error
        if job.recurs:
            self._finish(job, attempts=0, due_at=utc_in(self._periods_seconds[job.kind]), last_error=None)
        else:
            self._finish(job, state=JobState.DONE, finished_on=utc_now(), last_error=None)
        JOBS_RUN.labels(job.kind, "done").inc()
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
                    logger.warning("the lease of job %s is not renewed now: %s", job.id, type(error).__name__)

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
        """Give the lease back. Whoever lost it meanwhile changes nothing."""
        with write() as session:
            session.execute(
                update(Job)
                .where(Job.id == job.id, Job.lease_owner == job.owner)
                .values(lease_owner=None, lease_until=None, **values)
                .execution_options(synchronize_session=False)
            )

    def _of_lane(self, takes_long: bool | None) -> tuple[ColumnElement[bool], ...]:
        if takes_long is None:
            return ()
        return (Job.kind.in_(self._long) if takes_long else Job.kind.not_in(self._long),)

    def run_due(self, stopping: Callable[[], bool] = lambda: False, *, takes_long: bool | None = None) -> int:
        """Run all that is due, or until ``stopping()`` between two jobs; return how many jobs were tried.

        :param takes_long: as for :meth:`claim`.
        """
        self._plant()
        tried = 0
        while not stopping() and (job := self.claim(takes_long=takes_long)) is not None:
            self.run(job)
            tried += 1
        return tried

    def _plant(self) -> None:
        """Add the rows of recurring jobs, once for each process; other nodes may have added them before."""
        if self._planted:
            return
        with write() as session:
            insert_once = postgresql.insert if dialect_of(session) == "postgresql" else sqlite.insert
            for kind, seconds in sorted(self._periods_seconds.items()):
                row = insert_once(Job).values(kind=kind, key=kind, payload={}, due_at=utc_in(seconds))
                session.execute(row.on_conflict_do_nothing(index_elements=[Job.key]))
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
            revived = session.execute(
                update(Job)
                .where(Job.id == job_id, Job.state == JobState.DEAD)
                .values(state=JobState.PENDING, attempts=0, due_at=utc_now(), finished_on=None)
                .returning(Job.id)
                .execution_options(synchronize_session=False)
            ).one_or_none()
        return revived is not None


class Worker:
    """Threads that run due jobs until they are stopped. Any number may run, in any number of processes.

    Kinds that take long have threads of their own, so that an hour of copying keeps no end of a meeting waiting.

    :param threads: for what does not take long. One more for each four of them, and at least one, is for what does.
    """

    def __init__(self, jobs: Jobs, context: Callable[[], AbstractContextManager[Any]], *, threads: int = 1) -> None:
        self._jobs = jobs
        self._context = context
        self._stopping = threading.Event()
        lanes = [False] * threads + [True] * max(1, threads // THREADS_PER_LONG_ONE)
        self._threads = [
            threading.Thread(target=self._run, args=(takes_long,), name="videoconf-worker", daemon=True)
            for takes_long in lanes
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_seconds: float = 30.0) -> None:
        """Let the jobs under way finish, then stop."""
        self._stopping.set()
        give_up_at = time.monotonic() + timeout_seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, give_up_at - time.monotonic()))

    def _run(self, takes_long: bool) -> None:
        """Run until :meth:`stop`. A database that is away is waited for, and told of once."""
        told = ""
        while not self._stopping.is_set():
            try:
                with self._context():
                    self._jobs.run_due(self._stopping.is_set, takes_long=takes_long)
                told = ""
            except VideoconfError as error:
                if error.code != told:
                    logger.warning("the worker waits: %s: %s", error.code, error.detail)
                told = error.code
            except Exception:
                logger.exception("the worker goes on after an error")
            self._stopping.wait(IDLE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311  # spreads workers, hides nothing


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


def _new_owner() -> str:
    return secrets.token_hex(8)


def _delay_seconds(attempts: int) -> float:
    """Return how long to wait after so many attempts: doubling, with a jitter that keeps jobs of one outage apart."""
    # A recurring job has no last attempt, and 2.0 ** 1024 is an error.
    delay = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(attempts - 1, MAX_ATTEMPTS))
    return delay * random.uniform(0.5, 1.0)  # noqa: S311  # hides nothing
