"""``/jobs``: work that waits, that is done, and that gave up."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import fields
from marshmallow.validate import OneOf

from videoconf.api.authentication import caller, requires
from videoconf.api.failures import fails_with
from videoconf.api.fields import Schema, UtcTime, documented
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import LIST_HEADERS, Blueprint, ListArgs, ListRequest
from videoconf.errors import JobNotDead, JobNotFound
from videoconf.jobs.models import Job, JobState
from videoconf.jobs.queries import BY_ID, list_jobs, retry_job

blueprint = Blueprint("jobs", __name__, tag=Tag.OPERATIONS)

_ID = re.compile(r"[0-9]{1,19}", re.ASCII)
MAX_ID = 2**63 - 1
"""What an id's column holds."""
_STATES = [str(state) for state in JobState]


class JobArgs(ListArgs):
    """Which jobs, and which part of them."""

    state = fields.String(load_default=None, validate=OneOf(_STATES), metadata=documented("Only these."))


class JobSchema(Schema):
    """One piece of work that outlives a request."""

    id = fields.Integer()
    kind = fields.String(metadata=documented("What the job does.", "end_session"))
    state = fields.String(metadata=documented("`dead`: it gave up.", "pending", enum=_STATES))
    attempts = fields.Integer()
    due_on = UtcTime(metadata=documented("When the next attempt is due."))
    last_error = fields.String(allow_none=True, metadata=documented("Code and detail of the last failure."))
    payload = fields.Dict(metadata=documented("What it is about: ids, never a secret."))
    created_on = UtcTime()
    finished_on = UtcTime(allow_none=True, metadata=documented("When it was done or gave up."))


@blueprint.route("/jobs", methods=["GET"])
@requires(Permission.MANAGE_OPERATIONS)
@blueprint.arguments(JobArgs, location="query")
@blueprint.response(200, JobSchema(many=True), headers=LIST_HEADERS)
@blueprint.doc(operationId=f"{Tag.OPERATIONS}.getJobs")
def get_jobs(args: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """List the jobs of the whole service, newest first. Totals are counted up to 10,000."""
    asked = ListRequest(args, BY_ID)
    found = list_jobs(args["state"], asked.part)
    return [job_values(one) for one in found.items], asked.headers(found)


def job_values(job: Job) -> dict[str, Any]:
    """Return a job as it is written on the wire."""
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "attempts": job.attempts,
        "dueOn": job.due_at,
        "lastError": job.last_error,
        "payload": job.payload,
        "createdOn": job.created_on,
        "finishedOn": job.finished_on,
    }


@blueprint.route("/jobs/<string:job_id>/retry", methods=["POST"])
@requires(Permission.MANAGE_OPERATIONS)
@blueprint.response(204)
@fails_with(JobNotDead)
@blueprint.doc(operationId=f"{Tag.OPERATIONS}.retryJob")
def retry(job_id: str) -> None:
    """Make a job that gave up due again, with all its attempts. A worker runs it."""
    # Not a converter of the route: another id than a number would be answered before it is known who calls.
    if not _ID.fullmatch(job_id) or int(job_id) > MAX_ID:
        raise JobNotFound
    retry_job(caller(), services().jobs, int(job_id))
