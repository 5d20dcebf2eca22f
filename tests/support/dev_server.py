"""``videoconf dev`` in an empty folder, as a newcomer has it: the service, and the fake provider's people over HTTP."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.servers import GunicornServer


@dataclass(frozen=True)
class DevServer:
    """One server, and who may call it."""

    url: str
    people: str
    """Base URL of the fake provider's own server."""
    folder: Path

    @property
    def token(self) -> str:
        return (self.folder / "instance/dev-token").read_text()

    @property
    def environment(self) -> dict[str, str]:
        """What the clients of the tests read."""
        return {**os.environ, "VIDEOCONF_URL": self.url, "FAKE_URL": self.people, "TOKEN": self.token}

    def act(self, name: str, **body: str) -> dict[str, Any]:
        """Let people do something at the fake provider."""
        request = urllib.request.Request(f"{self.people}/fake/{name}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(json.load(answer))


def free_port_with_the_next() -> int:
    """Return a free port where the next one is free too: the fake provider's people listen there."""
    while True:
        with socket.socket() as one, socket.socket() as next_one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            with suppress(OSError):
                next_one.bind(("127.0.0.1", port + 1))
                return port


@contextmanager
def dev_server_in(folder: Path, **environment: str) -> Iterator[DevServer]:
    port = free_port_with_the_next()
    log_path = folder / "log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("videoconf"), "dev", "--port", str(port)],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = GunicornServer(f"http://127.0.0.1:{port}", process, log_path)
    try:
        server.wait_until_up(60)
        yield DevServer(server.url, f"http://127.0.0.1:{port + 1}", folder)
    finally:
        server.close()
