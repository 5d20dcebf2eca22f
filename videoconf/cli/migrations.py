"""``videoconf db``: Flask-Migrate's commands, on an application that has the database and nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

from videoconf.cli.application import script

if TYPE_CHECKING:
    from flask import Flask

COMPARE_MODELS = ("check", "migrate", "revision")
"""These compare the tables with the models, which the modules of the application declare."""


def db_commands(ctx: click.Context) -> click.Command:
    """Return the command group, which looks for its application in the context."""
    from flask_migrate.cli import db

    script(ctx, _create_app)
    group: click.Command = db
    return group


def _create_app() -> Flask:
    from videoconf.api.database import database_only, init_migrations
    from videoconf.configuration import load
    from videoconf.settings import Settings

    if click.get_current_context().invoked_subcommand in COMPARE_MODELS:
        import_module("videoconf.app")
    app = database_only(load(Settings))
    init_migrations(app)
    return app
