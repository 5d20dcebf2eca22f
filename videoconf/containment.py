"""Tell an exception that a plugin raised from one that a signal handler raised while the plugin ran."""

from __future__ import annotations

import signal
import threading
import traceback


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
