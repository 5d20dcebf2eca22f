"""How a log record becomes a line: JSON, or text for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

from videoconf.observability.log_context import add_ids

_EVERY_RECORD: list[Processor] = [
    structlog.stdlib.ExtraAdder(),
    add_ids,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def line_formatter(style: str) -> ProcessorFormatter:
    """Return what formats every record, our own and those of libraries.

    :param style: ``json`` or ``text``.
    """
    return ProcessorFormatter(
        foreign_pre_chain=_EVERY_RECORD,
        processors=[ProcessorFormatter.remove_processors_meta, *_rendering(style)],
    )


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
