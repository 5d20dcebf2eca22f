"""What the log lines of a request or a job name besides their message: ids that an operator searches for.

structlog is imported when it is first needed: a command that only prints an answer does without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def bind_log_context(**ids: str | int) -> None:
    """Name these ids in all further log lines of this request or job."""
    from structlog.contextvars import bind_contextvars

    bind_contextvars(**ids)


@contextmanager
def log_context(**ids: str | int) -> Iterator[None]:
    """Name these ids in the log lines of the block."""
    from structlog.contextvars import bound_contextvars

    with bound_contextvars(**ids):
        yield
