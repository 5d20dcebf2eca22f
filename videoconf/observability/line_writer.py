"""Write log lines to a file descriptor in a separate thread, so that logging never waits for the reader.

A pipe that is not read blocks its writers once it is full. Here that is one thread; lines wait in memory up to a bound,
and what exceeds it is lost and counted.
"""

from __future__ import annotations

import atexit
import os
import select
import threading
from collections import deque
from collections.abc import Callable

QUEUED_BYTES = 1 << 20
"""Lines that wait, some seconds of a busy process."""
ATOMIC_BYTES = 4096
"""Processes share a pipe; what one write call of this size contains is not mixed with theirs (``PIPE_BUF``)."""
EXIT_SECONDS = 1.0
"""How long the end of the process waits for the reader."""


class LineWriter:
    """Writes lines in order. Thread-safe; survives a fork, after which the child writes its own lines alone.

    :param descriptor: where to.
    :param lost_line: makes the line that reports how many were lost, once lines are written again.
    """

    def __init__(self, descriptor: int, lost_line: Callable[[int], str]) -> None:
        self._descriptor = descriptor
        self._lost_line = lost_line
        self.count_lost: Callable[[int], object] = lambda count: None
        """Called with the number of lines that were lost, without waiting."""
        self._start_over()
        os.register_at_fork(after_in_child=self._start_over)
        atexit.register(self.flush, EXIT_SECONDS)

    def _start_over(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._lost = 0
        self._is_writing = False
        self._thread: threading.Thread | None = None

    def put(self, line: str) -> None:
        """Write a line soon, or lose it. Never waits for the reader and raises nothing."""
        encoded = line.encode("utf-8", "backslashreplace")
        with self._changed:
            if self._bytes + len(encoded) > QUEUED_BYTES:
                self._lost += 1
                is_lost = True
            else:
                self._lines.append(encoded)
                self._bytes += len(encoded)
                is_lost = False
                if not self._is_writing:
                    self._wake()
        if is_lost:
            self.count_lost(1)

    def flush(self, seconds: float) -> bool:
        """Wait until all lines are written, or some time has passed; return whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lines and not self._is_writing, seconds)

    def _wake(self) -> None:
        if self._thread is None:
            try:
                thread = threading.Thread(target=self._run, name="videoconf-log", daemon=True)
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter ends: the lines wait for the next one
                return
            self._thread = thread
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines)
                self._is_writing = True
                block, lost = self._take_block(), self._lost
                self._lost = 0
            if lost:
                block += self._lost_line(lost).encode()
            if not self._write(block):
                self.count_lost(block.count(b"\n"))

    def _take_block(self) -> bytes:
        block = self._lines.popleft()
        while self._lines and len(block) + len(self._lines[0]) <= ATOMIC_BYTES:
            block += self._lines.popleft()
        self._bytes -= len(block)
        return block

    def _write(self, block: bytes) -> bool:
        """Write all of a block, and wait for the reader; return whether it was written."""
        while block:
            try:
                block = block[os.write(self._descriptor, block) :]
            except BlockingIOError:  # another process has made the descriptor that we share non-blocking
                select.select((), (self._descriptor,), ())
            except OSError:  # it is closed
                return False
        return True
