"""Real server processes for the tests."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.databases import DATABASES
from tests.support.servers import GunicornServer, start_gunicorn
from tests.support.service import Service, service_at
from tests.support.settings import FAKE_SETTINGS, JWT_SECRET

ROOT = Path(__file__).parents[2]


@contextmanager
def nodes(database_url: str, folder: Path, fake_settings: dict[str, str]) -> Iterator[Callable[..., GunicornServer]]:
    """Give a function that starts gunicorn as :func:`gunicorn_server` does."""
    started: list[GunicornServer] = []

    def start(
        workers: int = 1, threads: int = 16, *, ready: bool = True, output: int | None = None, **environment: str | None
    ) -> GunicornServer:
        gunicorn = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"]
        variables: dict[str, str | None] = {
            **fake_settings,
            "VIDEOCONF_PROVIDERS": "fake",
            "VIDEOCONF_DATABASE_URL": database_url,
            "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
            "VIDEOCONF_EMBEDDED_WORKERS": "0",
            "VIDEOCONF_RATE_LIMIT_ADDRESS": "",  # tests are refused often, and all by one address
            "VIDEOCONF_PUBLIC_URL": "{url}",
            "VIDEOCONF_FAKE_WEBHOOK_URL": "{url}",
            "VIDEOCONF_FAKE_STATE": str(folder / "fake.sqlite"),
            **environment,
        }
        server = start_gunicorn(
            [*gunicorn, f"--workers={workers}", f"--threads={threads}"],
            folder / f"gunicorn-{len(started)}.log",
            ROOT,
            variables,
            output,
        )
        started.append(server)
        if ready:
            server.wait_until_up()
        return server

    try:
        yield start
    finally:
        for server in started:
            server.close()


@pytest.fixture
def gunicorn_server(
    database_url: str, fake_settings: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., GunicornServer]]:
    """Give a function that starts gunicorn on this test's database with the fake provider, and returns it serving.

    Called twice it starts two nodes. ``workers`` and ``threads`` are gunicorn's; further keywords are environment
    variables, and None removes one. With ``ready=False`` it is not waited for. ``output`` is a
    descriptor for its log. Its log is shown when the test fails.
    """
    with nodes(database_url, tmp_path, fake_settings) as start:
        yield start


@pytest.fixture(scope="module")
def start_for_module(
    tmp_path_factory: pytest.TempPathFactory, create_database: Callable[[str], str]
) -> Iterator[Callable[..., GunicornServer]]:
    """Give what :func:`gunicorn_server` gives, on one SQLite database for all tests of a module."""
    with nodes(create_database("sqlite"), tmp_path_factory.mktemp("servers"), FAKE_SETTINGS) as start:
        yield start


@pytest.fixture(scope="module", params=DATABASES)
def module_server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    create_database: Callable[[str], str],
    headers: Callable[..., dict[str, str]],
) -> Iterator[tuple[Service, GunicornServer]]:
    folder = tmp_path_factory.mktemp("two-workers")
    with nodes(create_database(request.param), folder, FAKE_SETTINGS) as start:
        server = start(workers=2)
        with service_at(server.url, folder / "fake.sqlite", headers) as service:
            yield service, server


@pytest.fixture
def two_workers(module_server: tuple[Service, GunicornServer]) -> Iterator[Service]:
    """Give a server of two processes on each database, for tests of meetings of their own; a module has one.

    What holds in one process by a lock does not hold there. No webhook waits.
    """
    service, server = module_server
    service.deliver()
    yield service
    print(server.log)
