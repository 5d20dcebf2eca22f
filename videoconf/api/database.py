"""The database of an application: how it is opened, and what changes its schema."""

from __future__ import annotations

import logging
import os

from flask import Flask
from sqlalchemy import make_url

from videoconf.db.engine import driver_url, engine_options, make_folder, prepare, url_faults
from videoconf.db.types import db
from videoconf.errors import ConfigurationError
from videoconf.observability.logging import configure_logging
from videoconf.settings import Settings


def init_database(app: Flask, settings: Settings) -> None:
    """Open the database of an application; nothing connects to it yet."""
    url = driver_url(settings.database_url.reveal())
    app.config["SQLALCHEMY_DATABASE_URI"] = make_url(url)  # unlike a text, it does not print its password
    make_folder(make_url(url), app.instance_path)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(url, settings.database_pool_size)
    db.init_app(app)
    with app.app_context():
        prepare(db.engine)


def init_migrations(app: Flask) -> None:
    """Let Flask-Migrate's commands work on the application's database."""
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # a line for each at its import
    from flask_migrate import Migrate  # with Alembic 10 MB, which a server has no use for
    from videoconf_migrations import FOLDER

    Migrate(app, db, directory=FOLDER)


def database_only(settings: Settings) -> Flask:
    """Make an application that has the database and nothing else, for a command that needs no more.

    :raises ConfigurationError: the database's URL cannot be used.
    """
    if faults := url_faults(settings.database_url.reveal()):
        raise ConfigurationError(faults)
    configure_logging(settings.log_level, settings.log_format, at_once=False)
    app = Flask("videoconf", static_folder=None, instance_path=os.path.abspath("instance"))
    init_database(app, settings)
    return app
