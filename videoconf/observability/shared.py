"""Metrics of all processes of one server: each publishes its numbers from time to time, and any of them can add all up.

They are in a file without a name, which the server's processes inherit. So nothing can delete it; and each process
counts in its own memory, so a disk that is full, or a publication that fails, never reaches a request.

A process's numbers are a snapshot: families by name, each with its samples by name and labels.
"""

from __future__ import annotations

import fcntl
import os
import struct
import tempfile
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import orjson

SLOTS = 64
"""Processes of one server that can publish at once."""
SLOT_BYTES = 4 << 20
HEADER = struct.Struct(">QQd")
"""Length and checksum of a snapshot, and when it was taken."""
FRESH_SECONDS = 0.5
"""How long the process that serves the sums waits for the others to publish."""
READ_ATTEMPTS = 5
"""A snapshot that is being written while it is read is read again."""

_ASKED_AT = (SLOTS + 1) * SLOT_BYTES

Snapshot = dict[str, Any]
"""``{"at": seconds, "families": {name: {"type", "help", "samples": [[name, labels, value], …]}}}``"""


class SharedMetrics:
    """The file, made by the process that forks the others."""

    def __init__(self) -> None:
        self._descriptor = _file_without_name()
        self._free = list(range(1, SLOTS + 1))  # the first place is for processes that have ended

    def reserve(self) -> int | None:
        """Return a slot for a process that is about to be forked; None when all are taken."""
        return self._free.pop(0) if self._free else None

    def release(self, slot: int) -> None:
        """Keep what a process that has ended counted, and free its slot. Only its gauges go."""
        with suppress(OSError):
            last = self._read(slot)
            if last is not None:
                counted = {name: one for name, one in last["families"].items() if one["type"] != "gauge"}
                ended = self._read(0)
                snapshots = [{"at": 0.0, "families": counted}, *([] if ended is None else [ended])]
                self.publish(0, {"at": 0.0, "families": merge(snapshots, {})})
            os.pwrite(self._descriptor, bytes(HEADER.size), slot * SLOT_BYTES)
        self._free.append(slot)

    def publish(self, slot: int, snapshot: Snapshot) -> None:
        """Put a process's numbers in place of its previous ones.

        :raises OSError: they cannot be written; the previous ones stay, or none.
        """
        body = orjson.dumps(snapshot)
        if len(body) > SLOT_BYTES - HEADER.size:
            raise OSError(f"{len(body)} bytes of metrics are more than a slot holds")
        header = HEADER.pack(len(body), zlib.crc32(body), snapshot["at"])
        os.pwrite(self._descriptor, header + body, slot * SLOT_BYTES)

    def read(self) -> list[Snapshot]:
        """Return what was published, of processes that have ended too."""
        return [found for slot in range(SLOTS + 1) if (found := self._read(slot)) is not None]

    def read_fresh(self) -> list[Snapshot]:
        """Return what is published as :meth:`read` does, after all processes that can have published again."""
        asked, until = time.time(), time.monotonic() + FRESH_SECONDS
        os.pwrite(self._descriptor, struct.pack(">d", asked), _ASKED_AT)
        while time.monotonic() < until:
            headers = [self._header(slot) for slot in range(1, SLOTS + 1)]
            if all(at >= asked for length, _, at in headers if length):
                break
            time.sleep(0.01)
        return self.read()

    def asked_at(self) -> float:
        """Return when a process last asked the others to publish."""
        written = os.pread(self._descriptor, 8, _ASKED_AT)
        return float(struct.unpack(">d", written)[0]) if len(written) == 8 else 0.0

    def is_our_turn(self) -> bool:
        """Return whether this process, of all that share the file, serves the metrics; it does until it ends."""
        try:
            # A lock of the process, not of the descriptor: it is inherited by none and ends with the process.
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _ASKED_AT + 8)
        except OSError:
            return False
        return True

    def _header(self, slot: int) -> tuple[int, int, float]:
        written = os.pread(self._descriptor, HEADER.size, slot * SLOT_BYTES)
        return HEADER.unpack(written) if len(written) == HEADER.size else (0, 0, 0.0)

    def _read(self, slot: int) -> Snapshot | None:
        for _ in range(READ_ATTEMPTS):
            start = slot * SLOT_BYTES
            length, checksum, _ = self._header(slot)
            if length == 0:
                return None
            body = os.pread(self._descriptor, length, start + HEADER.size)
            if zlib.crc32(body) == checksum:
                return dict(orjson.loads(body))
            time.sleep(0.001)
        return None


def _file_without_name() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("videoconf-metrics")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def merge(snapshots: Iterable[Snapshot], gauges: dict[str, str]) -> dict[str, Any]:
    """Return the families of all snapshots as one: counts add up.

    :param gauges: for each gauge ``sum`` or ``max`` of the processes, else the most recent snapshot's value counts.
    """
    families: dict[str, Any] = {}
    values: dict[tuple[str, str, tuple[tuple[str, str], ...]], float] = {}
    for snapshot in sorted(snapshots, key=lambda one: float(one["at"])):
        for family, found in snapshot["families"].items():
            families.setdefault(family, {"type": found["type"], "help": found["help"], "samples": []})
            how = "sum" if found["type"] != "gauge" else gauges.get(family, "recent")
            for name, labels, value in found["samples"]:
                key = family, name, tuple(labels.items())
                if key not in values or how == "recent":
                    values[key] = value
                else:
                    values[key] = values[key] + value if how == "sum" else max(values[key], value)
    for (family, name, labels), value in values.items():
        families[family]["samples"].append([name, dict(labels), value])
    return families
