"""A service whose provider's webhooks are scripted, and whose clock goes as the test wants."""

import sqlite3

import pytest
from sqlalchemy import event

from tests.integration.attendance.scripted import ScriptedProvider
from tests.support.service import SteppedClock, plugins_with, service_of
from videoconf.db.types import db


@pytest.fixture
def clock():
    return SteppedClock()


@pytest.fixture
def app(make_app, clock):
    app = make_app(clock=clock, plugins=plugins_with(ScriptedProvider))
    with app.app_context():
        event.listen(db.engine, "connect", _without_flushes)
    return app


def _without_flushes(connection, record):
    """Thousands of histories need no durability: a flush for each commit would be most of the time."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture
def service(app, headers):
    return service_of(app, headers)
