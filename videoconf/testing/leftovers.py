"""What a plugin leaves in the process: threads, sockets, replaced functions of Python."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from videoconf.pytest_plugin import at_start, functions_of_python
from videoconf.testing.harness import wrong

SETTLE_SECONDS = 3.0
"""How long what was used may take to go."""
DESCRIPTORS = Path("/proc/self/fd")


class Leftovers:
    """The threads and sockets of the process at one time, to compare with later ones."""

    def __init__(self) -> None:
        self._threads, self._sockets = set(threading.enumerate()), _count_sockets()

    def check(self) -> None:
        """Fail the scenario if there are more threads or sockets than then."""
        if left := _left(lambda: [one.name for one in threading.enumerate() if one not in self._threads]):
            wrong(f"after close(), threads of the plugin still run: {', '.join(left)}")
        if more := _left(lambda: max(0, _count_sockets() - self._sockets)):
            wrong(f"after close(), {more} sockets of the plugin are still open")


def check_functions(cls: type[Any], before: Mapping[str, Any]) -> None:
    """Fail the scenario if functions of Python differ from those of ``before``, or were replaced by a class's package.

    :param before: what :func:`videoconf.pytest_plugin.functions_of_python` returned.
    """
    package = cls.__module__.partition(".")[0]
    found = {name for name, function in functions_of_python().items() if before.get(name) is not function}
    found |= {
        name
        for name, function in before.items()
        if name in at_start and at_start[name] is not function and _package_of(function) == package
    }
    if found:
        wrong(f"it replaces {', '.join(sorted(found))}, for all code of the process")


def _left(count: Callable[[], Any]) -> Any:
    """Return what a count still finds once things had time to go."""
    give_up_at = time.monotonic() + SETTLE_SECONDS
    while (found := count()) and time.monotonic() < give_up_at:
        time.sleep(0.05)
    return found


def _count_sockets() -> int:
    """Count the open sockets of this process; 0 where the system does not say."""
    count = 0
    if sys.platform == "linux":
        for descriptor in DESCRIPTORS.iterdir():
            with suppress(OSError):
                count += os.readlink(descriptor).startswith("socket:")
    return count


def _package_of(function: Any) -> str | None:
    return (getattr(function, "__module__", None) or "").partition(".")[0] or None
