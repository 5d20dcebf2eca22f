"""Real server processes for the tests."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import JWT_SECRET

ROOT = Path(__file__).parents[2]


@dataclass
class GunicornServer:
    """One gunicorn, its master and its workers."""

    url: str
    process: "subprocess.Popen[bytes]"
    log_path: Path

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def wait_until_up(self, timeout_seconds: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not self.is_up():
            if self.process.poll() is not None:
                raise AssertionError(f"gunicorn ended with {self.process.returncode}:\n{self.log}")
            if time.monotonic() > deadline:
                raise AssertionError(f"gunicorn does not answer:\n{self.log}")
            time.sleep(0.05)

    def terminate(self, timeout_seconds: float = 30.0) -> int:
        """Ask it to stop as an operator does; return its exit code."""
        self.process.terminate()
        return self.process.wait(timeout_seconds)

    def kill(self) -> None:
        """End it without warning, workers included: they are in its process group."""
        os.killpg(self.process.pid, 9)
        self.process.wait(10)


@pytest.fixture
def gunicorn_server(
    database_url: str, fake_settings: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., GunicornServer]]:
    """Give a function that starts gunicorn on this test's database with the fake provider, and returns it serving.

    Called twice it starts two nodes. ``workers`` and ``threads`` are gunicorn's; further keywords are environment
    variables, and None removes one. Its log is shown when the test fails.
    """
    started: list[GunicornServer] = []

    def start(workers: int = 1, threads: int = 16, *, ready: bool = True, **environment: str | None) -> GunicornServer:
        # Bound here and inherited, so that the port is known before the start and nobody else can take it.
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        variables: dict[str, str | None] = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VIDEOCONF_")},
            **fake_settings,
            "VIDEOCONF_PROVIDERS": "fake",
            "VIDEOCONF_DATABASE_URL": database_url,
            "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
            "VIDEOCONF_EMBEDDED_WORKERS": "0",
            "VIDEOCONF_PUBLIC_URL": url,
            "VIDEOCONF_FAKE_WEBHOOK_URL": url,
            "VIDEOCONF_FAKE_STATE": str(tmp_path / "fake.sqlite"),
            **environment,
        }
        gunicorn = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "gunicorn.conf.py"), "wsgi:app"]
        options = [f"--bind=fd://{listener.fileno()}", f"--workers={workers}", f"--threads={threads}"]
        log_path = tmp_path / f"gunicorn-{len(started)}.log"
        with listener, log_path.open("wb") as log:
            process = subprocess.Popen(
                [*gunicorn, *options],
                cwd=ROOT,
                env={name: value for name, value in variables.items() if value is not None},
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        server = GunicornServer(url, process, log_path)
        started.append(server)
        if ready:
            server.wait_until_up()
        return server

    yield start
    for server in started:
        try:
            if server.process.poll() is None:
                server.terminate()
        except subprocess.TimeoutExpired:
            server.kill()
            raise
        finally:
            print(f"--- {server.log_path.name}\n{server.log}")
