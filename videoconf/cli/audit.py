"""``videoconf audit``: keep the trail as long as it must be kept, and out of reach of who writes it."""

from __future__ import annotations

import re

import click

from videoconf.cli.application import by_operator, in_application, operator

_STILL_CHANGES = "SELECT has_table_privilege(:role, 'audit_entry', 'UPDATE, DELETE, TRUNCATE')"
_AS_OWNER = (
    "Name an existing role without superuser rights, and set VIDEOCONF_DATABASE_DIRECT_URL to the schema owner's URL."
)
_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@click.group()
def audit() -> None:
    """Prune the audit trail, and protect it from the role that the service runs with."""


@audit.command()
@click.option("--older-than-days", "days", type=click.IntRange(min=1), required=True, help="Age from which on.")
@by_operator
@in_application
def prune(days: int, actor: str) -> None:
    """Delete entries older than so many days, of all tenants. Needs the schema's owner as the database user."""
    from datetime import UTC, datetime, timedelta

    from videoconf.audit import prune, record
    from videoconf.db.transactions import write

    caller = operator(actor)
    before = datetime.now(UTC) - timedelta(days=days)
    pruned = prune(before)
    with write() as session:
        record(session, caller, "audit.pruned", after={"before": before.isoformat(), "entries": pruned})
    click.echo(f"{pruned} entries are deleted")


@audit.command()
@click.argument("role")
@in_application
def protect(role: str) -> None:
    """Let a database role add and read entries and do nothing else to them. PostgreSQL alone.

    Connects as the schema's owner: by VIDEOCONF_DATABASE_DIRECT_URL, or by VIDEOCONF_DATABASE_URL without it.
    """
    from sqlalchemy import text
    from sqlalchemy.exc import ProgrammingError

    from videoconf.db.engine import DIRECT_BIND
    from videoconf.db.transactions import ATOMIC
    from videoconf.db.types import db

    if not _ROLE.fullmatch(role):
        raise click.ClickException("Name a role like videoconf: small letters, digits and _.")
    if db.engine.dialect.name != "postgresql":
        raise click.ClickException("Only PostgreSQL has roles.")
    try:
        engine = db.engines.get(DIRECT_BIND, db.engine).execution_options(**ATOMIC["postgresql"])
        with engine.begin() as connection:
            connection.execute(text(f"REVOKE ALL ON audit_entry FROM {role}"))
            connection.execute(text(f"GRANT SELECT, INSERT ON audit_entry TO {role}"))
            # Where another role than the owner revokes, PostgreSQL warns and does nothing.
            if connection.execute(text(_STILL_CHANGES), {"role": role}).scalar_one():
                raise click.ClickException(f"{role} can still change entries. {_AS_OWNER}")
    except ProgrammingError as error:
        raise click.ClickException(f"{str(error.orig).splitlines()[0]}. {_AS_OWNER}") from None
    click.echo(f"{role} can only add and read entries of the audit trail")
