"""The root of all errors that a caller may see, and the error that reports a bug."""

from __future__ import annotations

import re
from collections.abc import Mapping
from inspect import cleandoc
from typing import Any, ClassVar


class VideoconfError(Exception):
    """Root of all errors that the service may report to a caller.

    :param detail: what happened, for people; safe to show. By default the first paragraph of the class's docstring.
    :param errors: validation messages by JSON path.
    :param extra: further members of the problem document, in its own spelling (camelCase); ``members`` declares them.
    :param retry_after_seconds: when repeating the request may help.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """JSON schemas of the further members that ``extra`` may hold."""
    explanation: ClassVar[str] = title

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.explanation = _first_paragraph(cls.__dict__.get("__doc__")) or cls.title

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        self.detail = detail or self.explanation
        super().__init__(self.detail)
        self.errors = dict(errors or {})
        self.extra = dict(extra or {})
        self.retry_after_seconds = retry_after_seconds


def _first_paragraph(docstring: str | None) -> str:
    """Return a docstring's first paragraph in one line, without its markup."""
    paragraph = cleandoc(docstring or "").partition("\n\n")[0]
    return re.sub(r":\w+:`([^`]*)`", r"\1", " ".join(paragraph.split())).replace("``", "").replace("*", "")


class InternalError(VideoconfError):
    """A bug of ours. The answer carries a request id and nothing else; the log has the rest."""

    code = "internal"
    status = 500
    title = "Internal error"
