"""The database of an application: how it is opened, and what changes its schema."""

from __future__ import annotations

import logging
import os

from flask import Flask
from sqlalchemy import make_url

from videoconf.db.engine import DIRECT_BIND, engine_options, folder_faults, prepare
from videoconf.db.types import db
from videoconf.db.urls import DIRECT, driver_url, url_faults
from videoconf.settings import Settings

INSTANCE = os.path.abspath("instance")
"""The folder of a SQLite file that is named without a folder."""
POOLER = "VIDEOCONF_DATABASE_POOLER"
"""The setting of that name, in the application's configuration."""


def database_faults(settings: Settings) -> list[str]:
    """Return the faults that prevent opening the database of the settings."""
    url, direct = settings.database_url.reveal(), settings.database_direct_url.reveal()
    faults = url_faults(url, pooler=settings.database_pooler)
    if direct:
        faults += url_faults(direct, DIRECT)
    return faults or folder_faults(driver_url(url), INSTANCE)


def init_database(app: Flask, settings: Settings) -> None:
    """Open the database of an application; nothing connects to it yet."""
    url = driver_url(settings.database_url.reveal())
    app.config[POOLER] = settings.database_pooler
    app.config["SQLALCHEMY_DATABASE_URI"] = make_url(url)  # unlike a text, it does not print its password
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(url, settings.database_pool_size, settings.database_pooler)
    if settings.database_direct_url:
        direct = driver_url(settings.database_direct_url.reveal())
        app.config["SQLALCHEMY_BINDS"] = {DIRECT_BIND: {"url": make_url(direct), **engine_options(direct, 1)}}
    db.init_app(app)
    with app.app_context():
        for bind, engine in db.engines.items():
            prepare(engine, "session" if bind == DIRECT_BIND else settings.database_pooler)


def init_migrations(app: Flask) -> None:
    """Let Flask-Migrate's commands work on the application's database."""
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # a line for each at its import
    from flask_migrate import Migrate  # with Alembic 10 MB, which a server has no use for
    from videoconf_migrations import FOLDER

    Migrate(app, db, directory=FOLDER)
