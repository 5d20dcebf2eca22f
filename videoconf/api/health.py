"""Whether the process lives, and whether it can serve. Both answer without a token, and neither asks a provider."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

from flask.blueprints import BlueprintSetupState
from marshmallow import fields
from sqlalchemy import Engine, delete, insert, text
from sqlalchemy.exc import SQLAlchemyError
from videoconf_migrations import revisions

from videoconf import __version__
from videoconf.api.authentication import public
from videoconf.api.fields import Schema
from videoconf.api.openapi import Tag
from videoconf.api.services import services
from videoconf.api.smorest import Blueprint
from videoconf.db.failures import MIGRATE
from videoconf.db.transactions import read, statements
from videoconf.db.types import db
from videoconf.errors import DatabaseBusy, DatabaseUnavailable, SchemaNotReady
from videoconf.idempotency import IdempotencyKey

logger = logging.getLogger(__name__)

CACHE_SECONDS = 2
WRITTEN_BYTES = 12 * 1024
"""More than the room that is left in a page of a table."""
NEWER = "newer"
"""A later release has migrated the schema. During an upgrade it does so before the nodes are replaced: they go on."""

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


@cache
def code_revisions() -> tuple[str, ...]:
    """Return the schema revisions that this release knows; the first is the one that it needs."""
    found: tuple[str, ...] = revisions()
    return found


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
    """Tell whether requests can be served: the database stores, and its schema and encryption are this service's.

    Providers are reported and never decide: most operations go on without them.
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
    with checked.lock:
        if time.monotonic() >= checked.until:
            checked.checks = ask_database()
            if checked.checks["schema"] in ("ok", NEWER):
                checked.checks["writes"] = ask_to_write()
            checked.until = time.monotonic() + CACHE_SECONDS
        return checked.checks


def ask_database() -> dict[str, str]:
    """Say whether the database answers, within the engine's bounds, and has this release's schema or a newer one."""
    try:
        with read() as session:
            revision = session.scalar(text("SELECT version_num FROM alembic_version"))
    except DatabaseUnavailable as error:
        return {"database": error.code, "schema": "unknown"}
    except SchemaNotReady:  # no such table
        revision = None
    needed, *older = code_revisions()
    if revision is None or revision in older:
        found = f"revision {revision}" if revision else "none"
        return {"database": "ok", "schema": f"{found}; this release needs revision {needed}"}
    return {"database": "ok", "schema": "ok" if revision == needed else NEWER, "encryption": _ask_for_keys()}


def ask_to_write() -> str:
    """Say whether the database stores what it is sent: not on a full disk, nor on a standby or one that is read-only.

    Writes a row and deletes it in one transaction, so that nothing stays. A lock that another holds is not a refusal.
    """
    key = {"tenant": "", "key": f"readiness-{secrets.token_hex(16)}"}
    filler = {"filler": secrets.token_urlsafe(WRITTEN_BYTES)}
    stored = insert(IdempotencyKey).values(**key, fingerprint="", answer=filler)
    try:
        with statements(atomic=True) as transaction:
            transaction.execute(stored)
            transaction.execute(delete(IdempotencyKey).filter_by(**key))
    except DatabaseBusy:
        return "ok"
    except (DatabaseUnavailable, SchemaNotReady) as error:
        return error.code
    except SQLAlchemyError as error:  # the role may not
        logger.error("readiness cannot write: %s", type(error).__name__)  # noqa: TRY400  # its text has the statement
        return "refused"
    return "ok"


def warn_of_schema() -> None:
    """Say in the log, once, that the schema has to be migrated; whoever calls meanwhile is answered 503."""
    schema = ask_database()["schema"]
    if schema not in ("ok", NEWER, "unknown"):
        logger.error("the schema of the database: %s. %s", schema, MIGRATE)


def _ask_for_keys() -> str:
    missing = services().credentials.unknown_key_ids()
    return f"stored credentials need keys that are not configured: {', '.join(missing)}" if missing else "ok"
