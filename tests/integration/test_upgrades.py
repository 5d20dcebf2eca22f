"""Old code beside new: a release's migrations leave what the release before needs, and its nodes go on meanwhile."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import upgrade
from videoconf_migrations import FOLDER

from tests.support.service import service_of
from videoconf.api.services import services
from videoconf.app import create_app
from videoconf.db.types import db
from videoconf.providers import ArchiveStatus
from videoconf.settings import Secret, Settings

REVISIONS = list(reversed(list(ScriptDirectory(FOLDER).walk_revisions())))


# --- the policy -----------------------------------------------------------------------------------------------------


def demands(before: sa.MetaData, after: sa.MetaData) -> list[str]:
    """Say what code that knows the schema before a revision cannot live with after it."""
    found = []
    for name, table in before.tables.items():
        if name not in after.tables:
            found.append(f"{name} is gone")
            continue
        later = after.tables[name]
        for column in table.columns:
            if column.name not in later.columns:
                found.append(f"{name}.{column.name} is gone")
                continue
            now = later.columns[column.name]
            if str(now.type) != str(column.type) and (str(column.type), str(now.type)) != ("INTEGER", "BIGINT"):
                found.append(f"{name}.{column.name} was {column.type} and is {now.type}")
            if column.nullable and not now.nullable:
                found.append(f"{name}.{column.name} must be filled now")
            if column.server_default is not None and now.server_default is None:
                found.append(f"{name}.{column.name} has no default any more")
        for column in later.columns:
            if column.name not in table.columns and not column.nullable and column.server_default is None:
                found.append(f"{name}.{column.name} is new and must be filled")
        old = {one.name for one in (*table.constraints, *table.indexes)}
        for one in sorted((*later.constraints, *later.indexes), key=lambda one: str(one.name)):
            # One about a new column lets through what old code writes: nothing.
            is_demand = not isinstance(one, sa.Index) or one.unique
            if (
                one.name not in old
                and is_demand
                and {column.name for column in one.columns} <= set(table.columns.keys())
            ):
                found.append(f"{name} has the new constraint {one.name}")
    return found


def reflected() -> sa.MetaData:
    metadata = sa.MetaData()
    metadata.reflect(db.engine)
    return metadata


@contextmanager
def application_on(url: str) -> Iterator[Flask]:
    app = create_app(Settings(database_url=Secret(url), providers=("none",)), serving=False)
    with app.app_context():
        yield app
        db.engine.dispose()


@pytest.fixture
def migrating(empty_database_url: str) -> Iterator[Flask]:
    with application_on(empty_database_url) as app:
        yield app


@pytest.fixture
def migrated(database_url: str) -> Iterator[Flask]:
    with application_on(database_url) as app:
        yield app


def test_each_revision_keeps_the_schema_of_older_code(migrating: Flask) -> None:
    """One that must not says so by ``contracts = "since when nothing needs it"`` in its file."""
    before = None
    for script in REVISIONS:
        upgrade(revision=script.revision)
        after = reflected()
        if before is not None and not getattr(script.module, "contracts", ""):
            assert demands(before, after) == [], script.path
        before = after


TABLE = 'op.create_table("thing", sa.Column("id", sa.Integer, primary_key=True), sa.Column("word", sa.String(9)))'


@pytest.mark.parametrize(
    ("change", "demand"),
    [
        ('batch.add_column(sa.Column("later", sa.Text))', []),
        ('batch.add_column(sa.Column("later", sa.Integer, nullable=False, server_default="0"))', []),
        ('batch.create_index("ix_thing_word", ["word"])', []),
        ('batch.drop_column("word")', ["thing.word is gone"]),
        ('batch.alter_column("word", new_column_name="term")', ["thing.word is gone"]),
        ('batch.alter_column("word", type_=sa.Text)', ["thing.word was VARCHAR(9) and is TEXT"]),
        ('batch.alter_column("word", nullable=False)', ["thing.word must be filled now"]),
        ('batch.add_column(sa.Column("later", sa.Text, nullable=False))', ["thing.later is new and must be filled"]),
        ('batch.create_unique_constraint("uq_thing_word", ["word"])', ["thing has the new constraint uq_thing_word"]),
        ('batch.create_index("ix_word", ["word"], unique=True)', ["thing has the new constraint ix_word"]),
        ('batch.create_check_constraint("word", "id > 0")', ["thing has the new constraint ck_thing_word"]),
    ],
)
def test_change_that_breaks_older_code_is_found(
    migrated: Flask, tmp_path: Path, change: str, demand: list[str]
) -> None:
    folder = with_revision(tmp_path, TABLE)
    upgrade(directory=folder)
    before = reflected()
    add_revision(folder, f'with op.batch_alter_table("thing") as batch:\n    {change}')
    upgrade(directory=folder)
    assert list(dict.fromkeys(demands(before, reflected()))) == demand  # PostgreSQL has an index for a constraint


def with_revision(tmp_path: Path, body: str) -> str:
    folder = str(shutil.copytree(FOLDER, tmp_path / "migrations"))
    add_revision(folder, body)
    return folder


def add_revision(folder: str, body: str) -> None:
    head = ScriptDirectory(folder).get_current_head()
    lines = textwrap.indent(body, "    ")
    Path(folder, "versions", f"after_{head}.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision = 'after_{head}', {head!r}\n\ndef upgrade():\n{lines}\n"
    )


# --- the run --------------------------------------------------------------------------------------------------------

NEXT_RELEASE = """
op.create_table("of_the_next_release", sa.Column("id", sa.Integer, primary_key=True))
for name in sa.inspect(op.get_bind()).get_table_names():
    if name not in ("videoconf_version", "alembic_version"):
        op.add_column(name, sa.Column("next_word", sa.Text))
        op.add_column(name, sa.Column("next_number", sa.Integer, nullable=False, server_default="7"))
        op.create_index(f"ix_{name}_next_number", name, ["next_number"])
"""


def test_this_release_serves_on_the_schema_of_the_next(
    make_app: Callable[..., Flask], headers: Any, tmp_path: Path
) -> None:
    """The schema is migrated first; then nodes are replaced one by one, and those that wait for it serve on."""
    node = make_app()
    service = service_of(node, headers)
    before = service.api.create(extId="before")
    folder = with_revision(tmp_path, NEXT_RELEASE)
    with make_app(serving=False).app_context():
        upgrade(directory=folder)
    for app in (node, make_app()):  # a node that was there, and one that starts meanwhile
        service = service_of(app, headers)
        ready = app.test_client().get("/readyz")
        assert (ready.status_code, ready.json["checks"]["schema"]) in ((200, "newer"), (200, "ok"))  # "ok" is cached
        api = service.api
        assert api.read(before)["extId"] == "before"
        link = api.create(extId="during")
        assert api("PATCH", f"/session/{link}", {"extId": "edited"}).status == 204
        connection = service.join(link, attendee="ann")
        service.deliver()
        archive = api("POST", f"/session/{link}/archives").json["id"]
        assert api("POST", f"/archives/{archive}/stop").status == 200
        service.fake.change_archive(archive, ArchiveStatus.AVAILABLE)
        service.fake.drop(connection)
        service.deliver()
        assert [one["attendee"] for one in api.attendees(link)] == ["ann"]
        assert api("DELETE", f"/archives/{archive}").status == 200
        assert api("POST", "/session", {}, Idempotency_Key="k").status == 200
        assert api("PATCH", f"/session/{link}/end").status == 204
        assert api("DELETE", f"/session/{link}").status == 204
        assert api("GET", f"/audit?meetingLink={link}").json[0]["action"] == "meeting.deleted"
        with app.app_context():
            services(app).jobs.run_due()
            assert services(app).jobs.measure().by_state["dead"] == 0
