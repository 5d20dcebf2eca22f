"""Liveness and readiness. Both need no token, and neither calls a provider."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

from flask.blueprints import BlueprintSetupState
from marshmallow import fields
from sqlalchemy import Engine

from videoconf import __version__
from videoconf.api.authentication import public
from videoconf.api.database_checks import NEWER, ask_database, ask_to_write, code_revisions
from videoconf.api.fields import Schema
from videoconf.api.openapi import Tag
from videoconf.api.services import services
from videoconf.api.smorest import Blueprint
from videoconf.db.types import db

CACHE_SECONDS = 2
KNOWN_SECONDS = 30.0
"""For how long the previous result is answered while another request asks the database, which may hang."""

blueprint = Blueprint("health", __name__, tag=Tag.OPERATIONS)


class HealthSchema(Schema):
    """The process answers."""

    status = fields.Constant("ok")


class ReadinessSchema(Schema):
    """What serving needs, and what else is known. Only ``checks`` decide the status."""

    SOMETIMES_ABSENT = ("jobs",)

    status = fields.String(required=True, metadata={"enum": ["ok", "unavailable"]})
    release = fields.Constant(__version__, metadata={"description": "The release that answers."})
    checks = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={
            "description": "For each check `ok`, or what is wrong. A `newer` `schema` is not a fault: a later"
            " release migrates it before it replaces this one.",
            "example": {"database": "ok"},
        },
    )
    providers = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "For each provider `ok`, or what is wrong.", "example": {"fake": "ok"}},
    )
    jobs = fields.String(
        metadata={"description": "How many job threads of this process run, where one ended and was started again."}
    )


@dataclass
class _Checked:
    """What the database last said, kept a moment so that a flood of probes asks it once."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    checks: dict[str, str] = field(default_factory=dict)
    until: float = 0.0


_checked: WeakKeyDictionary[Engine, _Checked] = WeakKeyDictionary()


@blueprint.record
def _read_revisions_at_start(state: BlueprintSetupState) -> None:
    code_revisions()


@blueprint.route("/healthz")
@public("asked by supervisors; says nothing")
@blueprint.response(200, HealthSchema)
@blueprint.doc(operationId="OperationsController.getHealth")
def health() -> dict[str, Any]:
    """Report that the process answers. Checks no dependency, so an outage elsewhere does not cause restarts."""
    return {"status": "ok"}


@blueprint.route("/readyz")
@public("asked by load balancers; says nothing that names a host or a person")
@blueprint.response(200, ReadinessSchema)
@blueprint.alt_response(503, schema=ReadinessSchema, description="Not ready")
@blueprint.doc(operationId="OperationsController.getReadiness")
def readiness() -> tuple[dict[str, Any], int]:
    """Return whether requests can be served: the database stores, and its schema and encryption are this service's.

    Providers are reported and never decide: most operations work without them.
    """
    checks = _database_checks()
    ready = all(result in ("ok", NEWER) for result in checks.values())
    parts = services()
    providers = {key: "ok" if parts.providers.find(key) else "unavailable" for key in parts.settings.providers}
    body: dict[str, Any] = {
        "status": "ok" if ready else "unavailable",
        "release": __version__,
        "checks": checks,
        "providers": providers,
    }
    if (threads := parts.jobs.threads_state()) != "ok":
        body["jobs"] = threads
    return body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE


def _database_checks() -> dict[str, str]:
    checked = _checked.setdefault(db.engine, _Checked())
    is_known = bool(checked.checks) and time.monotonic() < checked.until + KNOWN_SECONDS
    if not checked.lock.acquire(blocking=not is_known):
        return checked.checks  # a flood of probes would hold all threads while the database hangs
    try:
        if time.monotonic() >= checked.until:
            checks = ask_database()
            if checks["schema"] in ("ok", NEWER):
                checks["writes"] = ask_to_write()
            checked.checks, checked.until = checks, time.monotonic() + CACHE_SECONDS
        return checked.checks
    finally:
        checked.lock.release()
