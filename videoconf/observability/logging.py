"""Logs: one line per record on standard error, JSON by default, with the id and tenant of the request.

Records of libraries take the same way as our own. Nothing that is logged at INFO holds a secret or personal data: ids,
codes, counts and durations do.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import structlog
from structlog.contextvars import bind_contextvars as bind_log_context
from structlog.contextvars import bound_contextvars as log_context
from structlog.contextvars import merge_contextvars
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

from videoconf.observability.line_writer import LineWriter

__all__ = ["bind_log_context", "configure_logging", "log_context"]

_EVERY_RECORD: list[Processor] = [
    structlog.stdlib.ExtraAdder(),
    merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging(level: str, style: str, *, count_lost: Callable[[int], object] | None = None) -> None:
    """Send all that Python's logging receives in this process to standard error. May be called again.

    :param style: ``json``, or ``text`` for people.
    :param count_lost: called with the number of lines that are lost because standard error is not read.
    """
    if count_lost is not None:
        _WRITER.count_lost = count_lost
    handler = _StandardError()
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=_EVERY_RECORD,
            processors=[ProcessorFormatter.remove_processors_meta, *_rendering(style)],
        )
    )
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


def _rendering(style: str) -> list[Processor]:
    if style == "text":
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(serializer=_to_json),
    ]


def _to_json(line: object, default: Callable[[Any], Any]) -> str:
    try:
        # A dataclass is written as its repr, which leaves out what is secret.
        return orjson.dumps(line, default=default, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()
    except TypeError:  # a key that is not a string, half of a surrogate pair, an integer beyond 64 bits
        return json.dumps(line, default=default)
