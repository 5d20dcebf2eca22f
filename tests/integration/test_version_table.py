"""The database's revision stands in a table of our own; another program's ``alembic_version`` is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from flask_migrate import check, downgrade, upgrade
from videoconf_migrations import FOLDER

from tests.support.commands import run
from videoconf.app import create_app
from videoconf.db.types import db
from videoconf.settings import Secret, Settings

ROOT = Path(__file__).parents[2]
HEAD = ScriptDirectory(FOLDER).get_current_head()
BEFORE = [script.revision for script in ScriptDirectory(FOLDER).walk_revisions()][1]


@pytest.fixture
def app(empty_database_url):
    made = create_app(Settings(database_url=Secret(empty_database_url), providers=("none",)), serving=False)
    with made.app_context():
        yield made
        db.engine.dispose()


def execute(*statements):
    with db.engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def revisions():
    """Return what each of the two tables holds; None where it does not exist."""
    found = {}
    with db.engine.connect() as connection:
        for name in ("videoconf_version", "alembic_version"):
            exists = sa.inspect(connection).has_table(name)
            found[name] = connection.scalars(sa.text(f"SELECT version_num FROM {name}")).all() if exists else None
    return found["videoconf_version"], found["alembic_version"]


def as_an_older_release_left_it():
    """Put the database back to what a release without our table made of it."""
    upgrade(revision=BEFORE)
    execute("DROP TABLE videoconf_version")


def test_new_database_has_both(app):
    """A rollback to a release without the table reads on."""
    upgrade()
    assert revisions() == ([HEAD], [HEAD])
    check()


@pytest.mark.parametrize("theirs", ["1f2e3d4c5b6a", "0001"])
def test_upgrade_leaves_another_programs_revision_alone(app, theirs):
    execute(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
        f"INSERT INTO alembic_version VALUES ('{theirs}')",
        "CREATE TABLE meeting_of_theirs (id INTEGER)",
    )
    assert "this release needs revision" in run(app, "doctor").output
    upgrade()
    assert revisions() == ([HEAD], [theirs])
    upgrade()
    assert revisions() == ([HEAD], [theirs])
    assert "that of this release" in run(app, "doctor").output


def test_their_table_of_meetings_is_not_ours(app):
    execute(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('0001')",
        "CREATE TABLE meeting (id INTEGER)",
    )
    assert "schema: none; this release needs revision" in run(app, "doctor").output
    upgraded = run(app, "db", "upgrade")
    assert upgraded.exit_code == 1
    assert "of its own" in upgraded.output or "another program" in upgraded.output
    assert revisions()[1] == ["0001"]


def test_upgrade_from_an_older_release_copies_its_revision(app):
    as_an_older_release_left_it()
    assert revisions() == (None, [BEFORE])
    assert f"revision {BEFORE}; this release needs revision {HEAD}" in run(app, "doctor").output
    upgrade()
    assert revisions() == ([HEAD], [HEAD])
    check()


def test_schema_of_this_release_is_ready_before_it_is_copied(app):
    """What a node of the release before migrated is read as it is."""
    upgrade()
    execute("DROP TABLE videoconf_version")
    assert "that of this release" in run(app, "doctor").output


def test_downgrade_is_written_to_both(app):
    upgrade()
    downgrade(revision=BEFORE)
    assert revisions() == ([BEFORE], [BEFORE])
    downgrade(revision="base")
    assert revisions() == ([], None)
    upgrade()
    assert revisions() == ([HEAD], [HEAD])


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("begin", ["base", BEFORE])
def test_sql_that_is_written_first_has_the_same_effect(app, empty_database_url, begin):
    if begin == BEFORE:
        as_an_older_release_left_it()
    environment = {**os.environ, "VIDEOCONF_DATABASE_URL": empty_database_url}
    command = [sys.executable, "-m", "flask", "--app", "videoconf.app", "db", "upgrade", f"{begin}:head", "--sql"]
    sql = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    with db.engine.connect() as connection:
        driver = connection.connection.driver_connection
        driver.autocommit = True
        for statement in sql.split(";\n"):
            if statement.strip():
                driver.execute(statement)
        driver.autocommit = False
    assert revisions() == ([HEAD], [HEAD])
