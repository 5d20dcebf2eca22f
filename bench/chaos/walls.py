"""What happens around the nodes: a log pipe that is not read, a metrics folder that goes, clients that mean harm."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

from tests.support.hostile_clients import KINDS, Siege

HOSTILE_OF_EACH_KIND = 12


class LogPipe:
    """A pipe that takes a node's log to a file, and can stop reading for a while."""

    def __init__(self, path: Path) -> None:
        self._read, self.write = os.pipe()
        self._path = path
        self._reads = threading.Event()
        self._reads.set()
        threading.Thread(target=self._run, daemon=True).start()

    def stall(self, seconds: float) -> None:
        """Read nothing for some seconds."""
        self._reads.clear()
        time.sleep(seconds)
        self._reads.set()

    def _run(self) -> None:
        with self._path.open("ab") as log:
            while block := os.read(self._read, 1 << 16):
                log.write(block)
                self._reads.wait()


def remove(folder: Path) -> None:
    """Delete a folder, as a clean-up of temporary files does."""
    shutil.rmtree(folder, ignore_errors=True)


def besiege(port: int, seconds: float) -> None:
    """Let hostile clients of every kind be at a node for some seconds, without the proxy."""
    with Siege(port, dict.fromkeys(KINDS, HOSTILE_OF_EACH_KIND)):
        time.sleep(seconds)
