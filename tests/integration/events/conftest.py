"""A service whose provider's webhooks are scripted, and whose changes are projected when a test says so."""

import sqlite3

import pytest
from sqlalchemy import event

from tests.integration.attendance.scripted import ScriptedProvider
from tests.support.service import plugins_with
from videoconf.db.types import db


@pytest.fixture
def app_options(clock):
    return {"clock": clock, "plugins": plugins_with(ScriptedProvider)}


@pytest.fixture
def app(app):
    with app.app_context():
        event.listen(db.engine, "connect", without_flushes)
    return app


def without_flushes(connection, record):
    """Thousands of histories need no durability: a flush for each commit would be most of the time."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")
