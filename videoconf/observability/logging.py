"""Logs: one JSON object a line on standard error, with the request's id and tenant wherever a library logs.

Nothing that is logged at INFO holds a secret or personal data: ids, codes, counts and durations do.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from threading import Lock
from typing import Any

import orjson
import structlog
from structlog.typing import Processor

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class _StandardError(logging.Handler):
    """Writes to what standard error is at the moment: tests and command runners replace and close it.

    Not to standard output, which is what a command answers: ``--json`` there is for scripts.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        # Without the handler's lock: whoever holds it waits for the interpreter after each write, and all the threads
        # that log wait with it, a quarter of their time under load. A line is one write, which only a pipe that is full
        # can take in parts.
        wanted = bool(self.filter(record))
        if wanted:
            self.emit(record)
        return wanted

    def emit(self, record: logging.LogRecord) -> None:
        try:
            _write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)


class _Lines:
    """Takes the lines of one structlog logger, by the level of the standard library's logger of its name."""

    disabled = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.getEffectiveLevel = logging.getLogger(name).getEffectiveLevel

    def info(self, line: str) -> None:
        with suppress(Exception):  # a request does not fail since nobody reads its line
            _write(line + "\n")

    debug = info


_long_lines = Lock()


def _write(line: str) -> None:
    stream = sys.stderr
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError):  # in memory, or a stand-in that can write and no more
        stream.write(line)
        return
    left = memoryview(line.encode(errors="backslashreplace"))
    with _long_lines if len(left) > select.PIPE_BUF else nullcontext():  # up to there, a pipe takes all or nothing
        while left:
            left = left[os.write(descriptor, left) :]


def _to_json(line: object, default: Callable[[Any], Any]) -> str:
    try:
        # A dataclass is written as its repr, which leaves out what is secret.
        return orjson.dumps(line, default=default, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()
    except TypeError:  # a name that is no text, half of a surrogate pair, an integer beyond 64 bits
        return json.dumps(line, default=default)


def _rendering(style: str) -> list[Processor]:
    if style == "text":
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(serializer=_to_json),
    ]


def line_logger(name: str, style: str) -> Any:
    """Return a structlog logger with the methods ``info`` and ``debug``, for the line of each request.

    It takes half the time of a record of the standard library's, whose handlers therefore do not see these lines. The
    level is that of the standard library's logger of this name.
    """
    through = [structlog.stdlib.filter_by_level, *_SHARED, *_rendering(style)]
    wrapper = structlog.make_filtering_bound_logger(logging.NOTSET)
    return structlog.wrap_logger(_Lines(name), through, wrapper).bind()


def configure_logging(level: str, style: str) -> None:
    """Send all that Python's logging is given in this process through one pipeline. May be called again.

    :param style: ``json``, or ``text`` for people.
    """
    handler = _StandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *_SHARED],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(style)],
        )
    )
    handler.set_name("videoconf")
    # No line has them; of gunicorn's, each has its process. Without the last, nobody looks for the line that logs.
    logging.logThreads = logging.logMultiprocessing = False
    logging._srcfile = None
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.get_name() == "videoconf"]:
        root.removeHandler(old)
    root.addHandler(handler)
    # DEBUG is for our own lines: those of libraries hold headers, bodies and signed URLs.
    root.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level]))
    logging.getLogger("videoconf").setLevel(level)
