"""Protect the core from exceptions and values of a plugin."""

from __future__ import annotations

import math
import signal
import threading
import traceback
from collections.abc import Mapping
from typing import Any

from videoconf import errors
from videoconf.errors import ProviderError, StorageError, ValidationFailed, VideoconfError
from videoconf.formats import NOT_KEPT

LONGEST_WAIT_SECONDS = 86_400.0
DEEPEST_JSON = 16
MOST_JSON_VALUES = 10_000


def raised_by_signal(error: BaseException) -> bool:
    """Return whether a signal handler raised the exception, so that it ends the process and is not the plugin's.

    A plugin may raise anything: ``sys.exit``, a cancelled coroutine, a ``KeyboardInterrupt`` of its own. All of these
    are contained, because each would end a worker with every request in it. A real Ctrl-C, gunicorn's abort of a
    worker that hangs, and the timeout of a test must still get through. Python runs signal handlers in the main thread
    alone, so an exception of any other thread is the plugin's. In the main thread the traceback of a handler's
    exception has the handler's frame. Only Python's own handler of SIGINT, which is not a Python function, leaves no
    frame: while it is installed, a ``KeyboardInterrupt`` counts as Ctrl-C.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    if isinstance(error, KeyboardInterrupt) and signal.default_int_handler in handlers:
        return True
    code = {getattr(handler, "__code__", None) for handler in handlers} - {None}
    return any(frame.f_code in code for frame, _ in traceback.walk_tb(error.__traceback__))


def words_of(error: BaseException) -> str:
    """Return an exception's text, which is a plugin's code too: empty where making it fails."""
    try:
        return str(error)
    except BaseException as failure:
        if raised_by_signal(failure):
            raise
        return ""


def is_fit(error: VideoconfError) -> bool:
    """Return whether an error that a plugin raised may reach a caller as it is.

    It must be an error of a plugin's part of the taxonomy, with the code and the status of the class, and its values
    must be of the types that the answer and the log need. Otherwise a plugin could answer a request as if a meeting did
    not exist or the token were invalid, or make the answer itself fail. The parts of an error are a plugin's code too.
    """
    try:
        if not isinstance(error, ProviderError | StorageError | ValidationFailed):
            return False
        own: Any = next(cls for cls in type(error).__mro__ if f"{cls.__module__}.".startswith(f"{errors.__name__}."))
        wait = error.retry_after_seconds
        return (
            (error.code, error.status, error.title) == (own.code, own.status, own.title)
            and type(error.detail) is str
            and (wait is None or (math.isfinite(wait) and wait <= LONGEST_WAIT_SECONDS))
            and plain_json(error.errors) == error.errors
            and error.extra == {}
            and (not isinstance(error, ProviderError) or _is_loggable(error))
        )
    except BaseException as failure:
        if raised_by_signal(failure):
            raise
        return False


def _is_loggable(error: ProviderError) -> bool:
    said = (error.provider_code, error.provider_message)
    return isinstance(error.provider_status, int | None) and all(isinstance(text, str | None) for text in said)


def plain_json(value: Any) -> Any:
    """Copy a value that a plugin returned, so that it can be stored and answered as JSON and does not change.

    :raises ValueError: a part is not of JSON, is not finite, has characters that are not stored, or there are too many.
    """
    left = [MOST_JSON_VALUES]

    def copy(value: Any, depth: int) -> Any:
        left[0] -= 1
        if depth < 0 or left[0] < 0:
            raise ValueError("the value is nested too deep, or has too many parts")
        if isinstance(value, str):
            if NOT_KEPT.search(value):
                raise ValueError("a string has characters that are not kept")
            return value
        if isinstance(value, Mapping):
            return {_name(name): copy(item, depth - 1) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [copy(item, depth - 1) for item in value]
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
        raise ValueError(f"a {type(value).__name__} is not a JSON value")

    return copy(value, DEEPEST_JSON)


def plain_messages(messages: Any) -> dict[str, Any]:
    """Copy the messages of a plugin's schema, lists of strings by name: a list's own are under numbers.

    :raises ValueError: they are anything else.
    """
    if not isinstance(messages, Mapping):
        raise ValueError("the messages of a schema are not named")  # noqa: TRY004  # as for a part of another type
    named = {str(name) if isinstance(name, int) else name: inner for name, inner in messages.items()}
    return {
        _name(name): plain_messages(inner) if isinstance(inner, Mapping) else _strings(inner)
        for name, inner in named.items()
    }


def _strings(listed: Any) -> list[str]:
    found = plain_json(listed)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError("the messages of a schema are not lists of strings")
    return found


def _name(name: Any) -> str:
    if not isinstance(name, str) or NOT_KEPT.search(name):
        raise ValueError("the name of a member is not a string that is kept")
    return name
