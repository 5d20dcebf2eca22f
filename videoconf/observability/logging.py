"""Logs: one line per record on standard error, JSON by default, with the id and tenant of the request.

Records of libraries take the same way as our own. Nothing that is logged at INFO holds a secret or personal data: ids,
codes, counts and durations do.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

_context: ContextVar[dict[str, Any]] = ContextVar("videoconf.log_context", default={})  # noqa: B039  # never changed
_RECORD_ATTRIBUTES = frozenset({*vars(logging.makeLogRecord({})), "asctime", "message", "taskName"})
"""What every record has. Any other attribute was passed as ``extra``."""
_COLOURS = {"warning": "33", "error": "31", "critical": "31"}


@contextmanager
def log_context(**values: Any) -> Iterator[None]:
    """Add these members to each line that is logged within the block."""
    token = _context.set({**_context.get(), **values})
    try:
        yield
    finally:
        _context.reset(token)


def set_log_context(**values: Any) -> None:
    """Add these members, and only these, to each line that this thread logs from now on."""
    _context.set(values)


def configure_logging(level: str, style: str) -> None:
    """Send all that Python's logging receives in this process to standard error. May be called again.

    :param style: ``json``, or ``text`` for people.
    """
    handler = _StandardError()
    handler.setFormatter(_TextLine() if style == "text" else _JsonLine())
    handler.set_name("videoconf")
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.get_name() == "videoconf"]:
        root.removeHandler(old)
    root.addHandler(handler)
    # DEBUG is for our own lines: those of libraries hold headers, bodies and signed URLs.
    root.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level]))
    logging.getLogger("videoconf").setLevel(level)


class _JsonLine(logging.Formatter):
    """One JSON object: timestamp, level, logger and message, the context, what is passed as ``extra``, the trace."""

    def format(self, record: logging.LogRecord) -> str:
        return _to_json(self.members(record))

    def members(self, record: logging.LogRecord) -> dict[str, Any]:
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extra = {name: value for name, value in vars(record).items() if name not in _RECORD_ATTRIBUTES}
        line = {**line, **_context.get(), **extra, **line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return line


class _TextLine(_JsonLine):
    """The same for people: ``name=value`` after the message, a trace on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        members = self.members(record)
        timestamp, level, logger, message = (members.pop(name) for name in ("timestamp", "level", "logger", "message"))
        traces = [members.pop(name) for name in ("exception", "stack") if name in members]
        if sys.stderr.isatty() and level in _COLOURS:
            level = f"\033[{_COLOURS[level]}m{level}\033[0m"
        pairs = [f"{name}={_on_one_line(value)}" for name, value in members.items()]
        return "\n".join([" ".join([f"{timestamp} [{level}] {message} [{logger}]", *pairs]), *traces])


def _on_one_line(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)


def _to_json(line: object) -> str:
    try:
        # A dataclass is written as its repr, which leaves out what is secret.
        return orjson.dumps(line, default=repr, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()
    except TypeError:  # a key that is not a string, half of a surrogate pair, an integer beyond 64 bits
        return json.dumps(line, default=repr)


class _StandardError(logging.Handler):
    """Write to what standard error is at the moment: tests and command runners replace and close it.

    Not to standard output, which holds a command's answer: ``--json`` there is for scripts.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
        except Exception:
            self.handleError(record)
        else:
            with suppress(Exception):  # a closed or broken stream loses the line; it does not fail a request
                sys.stderr.write(line)
