"""``videoconf jobs``: what waits to be done, what gave up, and retrying it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from videoconf.cli.application import application, by_operator, in_application, operator
from videoconf.cli.printing import as_json, print_json, print_table

if TYPE_CHECKING:
    from videoconf.jobs.models import Job

STATES = ("pending", "done", "dead")


@click.group()
def jobs() -> None:
    """List jobs, and retry those that gave up."""


@jobs.command(name="list")
@click.option("--state", type=click.Choice(STATES), help="Only these; else all.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="The newest so many.")
@as_json
@in_application
def list_(state: str | None, limit: int, as_json: bool) -> None:
    """List jobs, newest first."""
    from videoconf.db.keyset import Part
    from videoconf.jobs.queries import list_jobs

    jobs = list_jobs(state, Part(limit)).items
    found = [_described(job) for job in jobs]
    if as_json:
        print_json(found)
        return
    columns = ("job", "kind", "state", "attempts", "due", "last error")
    print_table(columns, map(_row, found))


@jobs.command()
@click.argument("ids", nargs=-1, type=int, metavar="[ID]...")
@click.option("--all-dead", is_flag=True, help="Every job that gave up.")
@by_operator
@in_application
def retry(ids: tuple[int, ...], all_dead: bool, actor: str) -> None:
    """Make dead jobs due now, with all their attempts. A worker does them."""
    from videoconf.api.services import configured
    from videoconf.errors import JobNotDead, JobNotFound
    from videoconf.jobs.queries import list_dead, retry_job

    if bool(ids) == all_dead:
        raise click.UsageError("Give ids, or --all-dead.")
    caller, queue, others = operator(actor), configured(application()).jobs, []
    wanted = list_dead() if all_dead else sorted(set(ids))
    for job_id in wanted:
        try:
            retry_job(caller, queue, job_id)
        except (JobNotDead, JobNotFound):
            others.append(job_id)
    click.echo(f"{len(wanted) - len(others)} jobs are due again.")
    if others and not all_dead:
        raise click.ClickException(f"No dead job has the id {', '.join(map(str, others))}.")


@jobs.command()
@click.argument("kind")
@in_application
def run(kind: str) -> None:
    """Run the waiting jobs of a kind now, due or not: `videoconf jobs run reconcile_rosters`."""
    from videoconf.api.services import configured

    queue = configured(application()).jobs
    if kind not in queue.works:
        raise click.BadParameter(f"is not a kind of job. Kinds: {', '.join(sorted(queue.works))}.", param_hint="KIND")
    click.echo(f"{queue.run_now(kind)} jobs ran.")


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
