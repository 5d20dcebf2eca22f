"""Check that the database answers and stores, has this release's schema, and that all its encryption keys exist."""

from __future__ import annotations

import logging
import secrets
from functools import cache

from sqlalchemy import delete, insert, text
from sqlalchemy.exc import SQLAlchemyError
from videoconf_migrations import READ, READ_BEFORE, is_ours, revisions

from videoconf.api.services import services
from videoconf.db.failures import MIGRATE
from videoconf.db.faults import look
from videoconf.db.transactions import read, statements
from videoconf.db.types import db
from videoconf.errors import DatabaseBusy, DatabaseUnavailable, SchemaNotReady
from videoconf.idempotency import IdempotencyKey

logger = logging.getLogger(__name__)

WRITTEN_BYTES = 12 * 1024
"""More than the room that is left in a page of a table."""
NEWER = "newer"
"""A later release has migrated the schema. During an upgrade it does so before the nodes are replaced: they go on."""


@cache
def code_revisions() -> tuple[str, ...]:
    """Return the schema revisions that this release knows; the first is the one that it needs."""
    found: tuple[str, ...] = revisions()
    return found


def ask_database() -> dict[str, str]:
    """Check whether the database answers, within the engine's bounds, and has this release's schema or a newer one."""
    try:
        revision = _find_revision()
        needed, *older = code_revisions()
        if revision is None or revision in older:
            found = f"revision {revision}" if revision else "none"
            return {"database": "ok", "schema": f"{found}; this release needs revision {needed}"}
        return {"database": "ok", "schema": "ok" if revision == needed else NEWER, "encryption": _ask_for_keys()}
    except DatabaseUnavailable as error:
        return {"database": error.code, "schema": "unknown"}


def ask_to_write() -> str:
    """Check whether the database stores what it is sent: not on a full disk, nor on a standby or one that is read-only.

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


def _find_revision() -> str | None:
    """Read the database's revision: in a table of our own, or as releases before that table wrote it."""
    for statement in (READ, READ_BEFORE):
        try:
            with read() as session:
                revision: str | None = session.scalar(text(statement))
        except SchemaNotReady:  # no such table
            continue
        if revision is not None and (statement is READ or is_ours(revision)):
            return revision
    return None


def faults_at_start() -> list[str]:
    """Look at the database; return what forbids serving, and log once what else is wrong with it."""
    parts = services()
    found = look(db.engine, parts.settings.database_pooler)
    for fault in found.faults:
        if not fault.forbids:
            logger.log(logging.WARNING if fault.is_warning else logging.ERROR, "%s", fault)
    if found.mode is not None:  # it answers
        warn_of_schema()
    return [str(fault) for fault in found.faults if fault.forbids] or parts.credentials.faults()


def warn_of_schema() -> None:
    """Log once that the schema must be migrated. Requests answer 503 until then."""
    schema = ask_database()["schema"]
    if schema not in ("ok", NEWER, "unknown"):
        logger.error("the schema of the database: %s. %s", schema, MIGRATE)


def _ask_for_keys() -> str:
    missing = services().credentials.unknown_key_ids()
    return f"stored credentials need keys that are not configured: {', '.join(missing)}" if missing else "ok"
