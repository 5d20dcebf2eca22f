"""The ids in all log lines of a request or a job, for which an operator searches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_ids: ContextVar[Mapping[str, Any]] = ContextVar("videoconf_log_ids")
_NONE: Mapping[str, Any] = {}


def start_log_context(**ids: Any) -> None:
    """Name these ids, and no others, in all further log lines: a thread serves one request after another."""
    _ids.set(ids)


def bind_log_context(**ids: Any) -> None:
    """Name these ids too in all further log lines of this request or job."""
    _ids.set({**current_ids(), **ids})


@contextmanager
def log_context(**ids: Any) -> Iterator[None]:
    """Name these ids too in the log lines of the block."""
    token = _ids.set({**current_ids(), **ids})
    try:
        yield
    finally:
        _ids.reset(token)


def current_ids() -> Mapping[str, Any]:
    """Return the ids that the next log line of this request or job names."""
    return _ids.get(_NONE)
