"""Real server processes for the tests."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import JWT_SECRET
from tests.servers import GunicornServer, start_gunicorn

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gunicorn_server(
    database_url: str, fake_settings: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., GunicornServer]]:
    """Give a function that starts gunicorn on this test's database with the fake provider, and returns it serving.

    Called twice it starts two nodes. ``workers`` and ``threads`` are gunicorn's; further keywords are environment
    variables, and None removes one. With ``ready=False`` it is not waited for. Its log is shown when the test fails.
    """
    started: list[GunicornServer] = []

    def start(workers: int = 1, threads: int = 16, *, ready: bool = True, **environment: str | None) -> GunicornServer:
        gunicorn = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"]
        variables: dict[str, str | None] = {
            **fake_settings,
            "VIDEOCONF_PROVIDERS": "fake",
            "VIDEOCONF_DATABASE_URL": database_url,
            "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
            "VIDEOCONF_EMBEDDED_WORKERS": "0",
            "VIDEOCONF_PUBLIC_URL": "{url}",
            "VIDEOCONF_FAKE_WEBHOOK_URL": "{url}",
            "VIDEOCONF_FAKE_STATE": str(tmp_path / "fake.sqlite"),
            **environment,
        }
        server = start_gunicorn(
            [*gunicorn, f"--workers={workers}", f"--threads={threads}"],
            tmp_path / f"gunicorn-{len(started)}.log",
            ROOT,
            variables,
        )
        started.append(server)
        if ready:
            server.wait_until_up()
        return server

    yield start
    for server in started:
        server.close()
