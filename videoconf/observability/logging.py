"""Logs: one line per record on standard error, JSON by default, with the id and tenant of the request.

Records of libraries take the same way as our own. Nothing that is logged at INFO holds a secret or personal data: ids,
codes, counts and durations do.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import suppress

from videoconf.observability.line_writer import LineWriter


def configure_logging(
    level: str, style: str, *, count_lost: Callable[[int], object] | None = None, at_once: bool = True
) -> None:
    """Send all that Python's logging receives in this process to standard error. May be called again.

    :param style: ``json``, or ``text`` for people.
    :param count_lost: called with the number of lines that are lost because standard error is not read.
    :param at_once: import now what formats lines, so that no request waits for it. A command, which may log nothing,
        imports it with its first line.
    """
    if count_lost is not None:
        _WRITER.count_lost = count_lost
    handler = _StandardError(style)
    if at_once:
        handler.make_formatter()
    handler.set_name("videoconf")
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.get_name() == "videoconf"]:
        root.removeHandler(old)
    root.addHandler(handler)
    # DEBUG is for our own lines: those of libraries hold headers, bodies and signed URLs.
    root.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level]))
    logging.getLogger("videoconf").setLevel(level)


class _StandardError(logging.Handler):
    """Write to standard error: a reader of it that stalls delays no request.

    Not to standard output, which holds a command's answer: ``--json`` there is for scripts.
    """

    def __init__(self, style: str) -> None:
        super().__init__()
        self._style = style

    def make_formatter(self) -> None:
        """Import what formats lines, and use it from now on."""
        from videoconf.observability.log_lines import line_formatter

        self.setFormatter(line_formatter(self._style))

    def format(self, record: logging.LogRecord) -> str:
        if self.formatter is None:
            self.make_formatter()
        return super().format(record)

    def createLock(self) -> None:
        """Do without the handler's lock: lines are formatted at once by several threads, and queued under another."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
        except Exception:
            self.handleError(record)
            return
        if sys.stderr is sys.__stderr__:
            _WRITER.put(line)
        else:  # tests and command runners replace it
            with suppress(Exception):  # a closed or broken stream loses the line; it does not fail a request
                sys.stderr.write(line)


def _lost_line(count: int) -> str:
    """Report lost lines in the stream itself, in the format of its lines."""
    text = "%d log lines were lost, because standard error was not read"
    record = logging.LogRecord(__name__, logging.WARNING, "", 0, text, (count,), None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _StandardError):
            return handler.format(record) + "\n"
    return ""


_WRITER = LineWriter(2, _lost_line)
