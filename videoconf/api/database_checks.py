"""Whether the database answers, has this release's schema, and holds nothing whose key is missing."""

from __future__ import annotations

import logging
from functools import cache

from sqlalchemy import text
from videoconf_migrations import revisions

from videoconf.api.services import services
from videoconf.db.failures import MIGRATE
from videoconf.db.transactions import read
from videoconf.errors import DatabaseUnavailable, SchemaNotReady

logger = logging.getLogger(__name__)

NEWER = "newer"
"""A later release has migrated the schema. During an upgrade it does so before the nodes are replaced: they go on."""


@cache
def code_revisions() -> tuple[str, ...]:
    """Return the schema revisions that this release knows; the first is the one that it needs."""
    found: tuple[str, ...] = revisions()
    return found


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


def warn_of_schema() -> None:
    """Say in the log, once, that the schema has to be migrated; whoever calls meanwhile is answered 503."""
    schema = ask_database()["schema"]
    if schema not in ("ok", NEWER, "unknown"):
        logger.error("the schema of the database: %s. %s", schema, MIGRATE)


def _ask_for_keys() -> str:
    missing = services().credentials.unknown_key_ids()
    return f"stored credentials need keys that are not configured: {', '.join(missing)}" if missing else "ok"
