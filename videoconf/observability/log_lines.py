"""How a log record becomes a line: JSON, or text for people."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from videoconf.formats import utc_text
from videoconf.observability.log_context import current_ids

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"asctime", "message"}
"""What every record has, and what another formatter adds. The line has the other attributes beside its message."""


class LineFormatter(logging.Formatter):
    """Format every record, our own and those of libraries.

    :param render: writes the members of a line.
    """

    def __init__(self, render: Callable[[dict[str, Any]], str]) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: what the record says itself, the ids of the request or job, and what every line has."""
        line = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        for name, value in current_ids().items():
            line.setdefault(name, value)
        line["level"] = record.levelname.lower()
        line["logger"] = record.name
        line["timestamp"] = utc_text(datetime.fromtimestamp(record.created, UTC))
        if record.stack_info:
            line["stack_info"] = record.stack_info
        if record.exc_info and record.exc_info[0]:
            line["exception"] = self.formatException(record.exc_info)
        line["message"] = record.getMessage()
        return self._render(line)


def line_formatter(style: str) -> LineFormatter:
    """Return the formatter of a style.

    :param style: ``json`` or ``text``.
    """
    return LineFormatter(_text_renderer() if style == "text" else _to_json)


def _text_renderer() -> Callable[[dict[str, Any]], str]:
    import structlog  # with rich where that is installed, which lines of JSON do without

    # Tracebacks are those of JSON: rich's would show the values of variables.
    plain = structlog.dev.plain_traceback
    render = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), event_key="message", timestamp_key="timestamp", exception_formatter=plain
    )
    return lambda line: render(None, "", line)


def _to_json(line: dict[str, Any]) -> str:
    try:
        # A dataclass is written as its repr, which leaves out what is secret.
        return orjson.dumps(line, default=repr, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()
    except TypeError:  # a key that is not a string, half of a surrogate pair, an integer beyond 64 bits
        return json.dumps(line, default=repr)
