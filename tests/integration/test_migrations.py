"""The schema's history leads to what the models say, both ways, on both databases, whoever else migrates meanwhile."""

import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import check, downgrade, upgrade
from videoconf_migrations import FOLDER

from tests.support.service import ON_SQLITE
from videoconf.app import create_app
from videoconf.cli.migrations import MODELS
from videoconf.db.types import db
from videoconf.settings import Secret, Settings

ROOT = Path(__file__).parents[2]
SCRIPTS = ScriptDirectory(FOLDER)
REVISIONS = len(list(SCRIPTS.walk_revisions()))


@pytest.fixture
def migrating(empty_database_url: str) -> Iterator[Flask]:
    """Enter the context of an app on an empty database. No provider of it works: a migration needs none."""
    app = create_app(Settings(database_url=Secret(empty_database_url), providers=("none",)), serving=False)
    with app.app_context():
        yield app
        db.engine.dispose()


def tables() -> set[str]:
    return set(sa.inspect(db.engine).get_table_names())


def start_upgrade(url: str, folder: str = FOLDER) -> "subprocess.Popen[str]":
    """Start ``flask db upgrade`` as an operator does: with the database's URL and nothing else."""
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "videoconf.app", "db", "upgrade", "--directory", folder],
        cwd=ROOT,
        env={**os.environ, "VIDEOCONF_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def history(tmp_path: Path) -> "History":
    return History(tmp_path / "migrations")


class History:
    """A copy of the migrations folder that goes on with revisions of a test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(shutil.copytree(FOLDER, folder))

    def add(self, upgrade: str) -> None:
        head = ScriptDirectory(self.folder).get_current_head()
        header = (
            f"import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = 'after_{head}', {head!r}\n"
        )
        body = textwrap.indent(textwrap.dedent(upgrade), "    ")
        Path(self.folder, "versions", f"after_{head}.py").write_text(f"{header}\ndef upgrade():\n{body}\n")


def test_migrations_have_one_head() -> None:
    assert len(SCRIPTS.get_heads()) == 1


def test_newest_revision_matches_the_models(migrating: Flask) -> None:
    upgrade()
    check()  # exits when they differ
    assert tables() == {*db.metadata.tables, "videoconf_version", "alembic_version"}


def test_a_column_that_no_revision_made_is_noticed(migrating: Flask) -> None:
    upgrade()
    with db.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE meeting ADD COLUMN surplus INTEGER"))
    with pytest.raises(SystemExit):
        check()


def test_schema_can_be_downgraded_and_upgraded(migrating: Flask) -> None:
    upgrade()
    downgrade(revision="base")
    assert tables() == {"videoconf_version"}
    upgrade()
    check()


def test_migration_that_fails_leaves_nothing_of_itself(migrating: Flask, history: History) -> None:
    """On PostgreSQL the revisions before it stay, each a transaction of its own; SQLite has one for all."""
    history.add("""
        op.create_table("half_done", sa.Column("id", sa.Integer, primary_key=True))
        op.execute("no such statement")
    """)
    with pytest.raises(sa.exc.DatabaseError):
        upgrade(directory=history.folder)
    before = (
        {*db.metadata.tables, "videoconf_version", "alembic_version"}
        if db.engine.dialect.name == "postgresql"
        else set()
    )
    assert tables() == before


def test_rows_survive_the_replacement_of_the_table_they_refer_to(migrating: Flask, history: History) -> None:
    """On SQLite a batch operation drops the old table; with foreign keys on, that deletes the rows below it."""
    history.add("""
        op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True))
        op.create_table("child", sa.Column("id", sa.Integer, sa.ForeignKey("parent.id", ondelete="CASCADE")))
        op.execute("INSERT INTO parent VALUES (1)")
        op.execute("INSERT INTO child VALUES (1)")
    """)
    upgrade(directory=history.folder)
    history.add("""
        with op.batch_alter_table("parent", recreate="auto") as batch:
            batch.alter_column("id", type_=sa.BigInteger)
    """)
    upgrade(directory=history.folder)
    with db.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM child")) == 1


def test_nodes_migrate_at_once(empty_database_url: str, history: History) -> None:
    """All succeed, and each revision is applied once."""
    history.add("import time; time.sleep(1)  # long enough for the others to arrive meanwhile")
    nodes = [start_upgrade(empty_database_url, history.folder) for _ in range(3)]
    outputs = [node.communicate(timeout=60)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0, 0], outputs
    assert "".join(outputs).count("Running upgrade") == REVISIONS + 1, outputs


def test_node_waits_for_another_without_a_transaction(create_postgresql: Callable[..., str]) -> None:
    """An index that is built beside the writers waits for every transaction: for one that waits for it, for ever."""
    url = create_postgresql()
    waiting = (
        "SELECT state, backend_xmin, wait_event_type FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(x'766964656F636F6E'::bigint)")  # as in env.py
        with start_upgrade(url) as node:
            while not other.execute(waiting).fetchall():
                assert node.poll() is None, node.communicate()[0]
                time.sleep(0.05)
            begin, seen = time.monotonic(), []
            while time.monotonic() - begin < 3.5:  # longer than the timeouts of an ordinary connection
                seen += other.execute(waiting).fetchall()
                time.sleep(0.1)
            assert ("idle", None, "Client") in seen
            assert not [one for one in seen if one[2] == "Lock"]
            other.execute("CREATE TABLE big (id integer)")
            other.execute("SET statement_timeout = '10s'")
            other.execute("CREATE INDEX CONCURRENTLY ON big (id)")
            other.execute("SELECT pg_advisory_unlock_all()")
            assert node.communicate(timeout=60)[0].count("Running upgrade") == REVISIONS
            assert node.returncode == 0


@contextmanager
def reading(url: str, seconds: float) -> Iterator[None]:
    """Hold a lock on the meetings that every reader has, for a time or until the end of the block."""
    with psycopg.connect(url) as reader:
        reader.execute("SELECT count(*) FROM meeting")
        timer = threading.Timer(seconds, reader.rollback)
        timer.start()
        yield
        timer.cancel()
        timer.join()


ADD_COLUMN = "op.add_column('meeting', sa.Column('surplus', sa.Integer))"


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_change_gives_up_on_a_table_in_use(migrating: Flask, history: History, empty_database_url: str) -> None:
    """All queries that come after a change that waits for a table's lock wait behind it."""
    upgrade()
    history.add(ADD_COLUMN)
    with reading(empty_database_url, 60), pytest.raises(sa.exc.OperationalError, match="lock timeout"):
        upgrade(directory=history.folder)
    check()


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_change_is_tried_again_until_it_has_its_lock(
    migrating: Flask, history: History, empty_database_url: str
) -> None:
    upgrade()
    history.add(ADD_COLUMN)
    longest = 0.0
    with reading(empty_database_url, 2.5), psycopg.connect(empty_database_url, autocommit=True) as other:
        done = threading.Event()

        def query() -> None:
            nonlocal longest
            while not done.is_set():
                begin = time.monotonic()
                other.execute("SELECT count(*) FROM meeting")
                longest = max(longest, time.monotonic() - begin)
                time.sleep(0.01)

        thread = threading.Thread(target=query)
        thread.start()
        try:
            upgrade(directory=history.folder)
        finally:
            done.set()
            thread.join()
    assert "surplus" in {column["name"] for column in sa.inspect(db.engine).get_columns("meeting")}
    assert 0.3 < longest < 1.0, "a query waited behind it, and not for long"


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("table", ["audit_entry", "job", "webhook_event"])
def test_ids_go_on_beyond_32_bits(migrating: Flask, table: str) -> None:
    upgrade()
    with db.engine.begin() as connection:
        connection.execute(sa.text(f"SELECT setval('{table}_id_seq', 2147483647)"))  # a name of ours
        assert connection.scalar(sa.text(f"SELECT nextval('{table}_id_seq')")) == 2**31
    [column] = [column for column in sa.inspect(db.engine).get_columns(table) if column["name"] == "id"]
    assert isinstance(column["type"], sa.BIGINT)


@ON_SQLITE
def test_comparisons_load_every_model(app):
    """A model that is not loaded would be a table to drop."""
    declared = {mapper.class_.__module__ for mapper in db.Model.registry.mappers}
    assert {name for name in declared if name.startswith("videoconf.")} == set(MODELS)
