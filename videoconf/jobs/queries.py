"""Look up jobs, and retry a dead job: for the command line, and for ``/jobs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from videoconf.audit import record
from videoconf.db.keyset import Listed, Part
from videoconf.db.pages import by_id, list_objects
from videoconf.db.transactions import read, write
from videoconf.errors import JobNotDead, JobNotFound
from videoconf.jobs.models import Job, JobState
from videoconf.tenancy import Caller

if TYPE_CHECKING:
    from videoconf.jobs.queue import Jobs

BY_ID = by_id(Job.id)


def list_jobs(state: str | None, part: Part) -> Listed[Job]:
    """Return a part of the jobs of every tenant, newest first."""
    statement = select(Job)
    if state is not None:
        statement = statement.where(Job.state == state)
    return list_objects(statement, BY_ID, part)


def list_dead() -> list[int]:
    """Return the ids of all jobs that gave up, oldest first."""
    with read() as session:
        return list(session.execute(select(Job.id).where(Job.state == JobState.DEAD).order_by(Job.id)).scalars())


def retry_job(caller: Caller, jobs: Jobs, job_id: int) -> None:
    """Make a dead job due again with all its attempts. The audit trail notes it.

    :raises JobNotFound: no job has this id.
    :raises JobNotDead: it did not give up.
    """
    with write() as session:
        if jobs.retry(job_id):
            record(session, caller, "job.retried", target=str(job_id))
            return
        if session.execute(select(Job.id).where(Job.id == job_id)).one_or_none() is None:
            raise JobNotFound
        raise JobNotDead
