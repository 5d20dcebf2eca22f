"""Server processes for the tests."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


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

    def terminate(self, timeout_seconds: float = 40.0) -> int:
        """Ask it to stop as an operator does; return its exit code."""
        self.process.terminate()
        return self.process.wait(timeout_seconds)

    def kill(self) -> None:
        """End it without warning, workers included: they are in its process group."""
        os.killpg(self.process.pid, 9)
        self.process.wait(10)

    def close(self) -> None:
        """Stop it if it still runs, and show its log, which pytest prints when the test failed."""
        try:
            if self.process.poll() is None:
                self.terminate()
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            print(f"--- {self.log_path.name}\n{self.log}")


def start_gunicorn(
    command: Sequence[str],
    log_path: Path,
    cwd: Path,
    environment: Mapping[str, str | None],
    output: int | None = None,
) -> GunicornServer:
    """Start gunicorn on a free port and do not wait for it.

    :param command: gunicorn and its arguments, without an address.
    :param environment: on top of this process's, without its settings. None removes a variable; ``{url}`` in a value
        becomes the server's own URL.
    :param output: a descriptor that gets what the server writes, instead of the log's file.
    """
    # Bound here and inherited, so that the port is known before the start and no other process can take it.
    with socket.socket() as listener, log_path.open("wb") as log:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        variables: dict[str, str | None] = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VIDEOCONF_")},
            "VIDEOCONF_METRICS_BIND": "",  # servers of tests at once would all listen there
            **environment,
        }
        process = subprocess.Popen(
            [*command, f"--bind=fd://{listener.fileno()}"],
            cwd=cwd,
            env={name: value.replace("{url}", url) for name, value in variables.items() if value is not None},
            stdout=log if output is None else output,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    return GunicornServer(url, process, log_path)
