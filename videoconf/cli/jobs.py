"""``flask videoconf jobs``: what waits to be done, what gave up, and having it tried again."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from videoconf.api.services import configured
from videoconf.cli.printing import as_json, print_json, print_table
from videoconf.db.transactions import read
from videoconf.jobs.models import Job, JobState


@click.group()
def jobs() -> None:
    """Look at jobs, and have those tried again that gave up."""


@jobs.command(name="list")
@click.option("--state", type=click.Choice([state.value for state in JobState]), help="Only these; else all.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="The newest so many.")
@as_json
@with_appcontext
def list_(state: str | None, limit: int, as_json: bool) -> None:
    """List jobs, newest first."""
    statement = select(Job).order_by(Job.id.desc()).limit(limit)
    if state is not None:
        statement = statement.where(Job.state == state)
    with read() as session:
        found = [_described(job) for job in session.execute(statement).scalars()]
    if as_json:
        print_json(found)
        return
    columns = ("job", "kind", "state", "attempts", "due", "last error")
    print_table(columns, map(_row, found))


@jobs.command()
@click.argument("ids", nargs=-1, type=int, metavar="[ID]...")
@click.option("--all-dead", is_flag=True, help="Every job that gave up.")
@with_appcontext
def retry(ids: tuple[int, ...], all_dead: bool) -> None:
    """Make dead jobs due now, with all their attempts. A worker does them."""
    if bool(ids) == all_dead:
        raise click.UsageError("Give ids, or --all-dead.")
    parts = configured()
    if all_dead:
        with read() as session:
            ids = tuple(session.execute(select(Job.id).where(Job.state == JobState.DEAD).order_by(Job.id)).scalars())
    revived = [job_id for job_id in ids if parts.jobs.retry(job_id)]
    click.echo(f"{len(revived)} jobs are due again.")
    if not all_dead and (others := sorted(set(ids) - set(revived))):
        raise click.ClickException(f"No dead job has the id {', '.join(map(str, others))}.")


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    due = f"{job['due']:%Y-%m-%d %H:%M:%SZ}"
    return str(job["id"]), job["kind"], job["state"], str(job["attempts"]), due, job["lastError"] or ""


def _described(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "state": str(job.state),
        "attempts": job.attempts,
        "due": job.due_at,
        "lastError": job.last_error,
        "payload": job.payload,
        "created": job.created_on,
        "finished": job.finished_on,
    }
