"""``videoconf db``: Flask-Migrate's commands, on an application that uses the database and nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

from videoconf.cli.application import create_app, script

if TYPE_CHECKING:
    from flask import Flask

COMPARE_MODELS = ("check", "migrate", "revision")
"""These compare the tables with the models, which other commands do without."""
MODELS = (
    "videoconf.archives.models",
    "videoconf.attendance.models",
    "videoconf.audit",
    "videoconf.door.models",
    "videoconf.events.models",
    "videoconf.events.subscription_models",
    "videoconf.idempotency",
    "videoconf.jobs.models",
    "videoconf.meetings.models",
    "videoconf.storage_targets.models",
    "videoconf.webhooks.models",
)
"""The modules that declare them."""


def db_commands(ctx: click.Context) -> click.Command:
    """Return the command group, which looks for its application in the context."""
    from flask_migrate.cli import db

    script(ctx, _create_app)
    group: click.Command = db
    return group


def _create_app() -> Flask:
    from videoconf.api.database import init_migrations

    app = create_app(edge=False)
    if click.get_current_context().invoked_subcommand in COMPARE_MODELS:
        for name in MODELS:
            import_module(name)
    init_migrations(app)
    return app
