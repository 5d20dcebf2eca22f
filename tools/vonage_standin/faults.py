"""Faults on demand: what may happen to a request instead of, or besides, being answered properly."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from tools.vonage_standin.answers import Answer, video_error
from videoconf.testing.faulty_server import Behaviour, hang, raw, reply, reset

_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Fault:
    """What happens to one request. Nothing of it happens to the stand-in's world unless ``processed``."""

    processed: bool = True
    wait_seconds: float = 0.0
    """Before anything else."""
    change: Callable[[Answer], Answer] = lambda answer: answer
    """Applied to the answer."""
    drip_seconds: float = 0.0
    """Between the bytes of the answer's body."""
    behaviour: Behaviour | None = None
    """Takes the place of sending the answer."""


def latency(seconds: float) -> Fault:
    """A proper answer, late."""
    return Fault(wait_seconds=seconds)


def reset_before_processing() -> Fault:
    """A TCP reset; nothing was done."""
    return Fault(processed=False, behaviour=reset())


def reset_after_processing() -> Fault:
    """A TCP reset after the thing was done: the caller cannot know."""
    return Fault(behaviour=reset())


def silence() -> Fault:
    """No answer, and nothing was done."""
    return Fault(processed=False, behaviour=hang())


def drip(interval_seconds: float = 0.05) -> Fault:
    """The thing is done, and its answer comes a byte at a time."""
    return Fault(drip_seconds=interval_seconds)


def rate_limited(retry_after: str = "1") -> Fault:
    """429 with ``Retry-After``."""
    return Fault(processed=False, behaviour=reply(429, b"{}", headers={"Retry-After": retry_after, **_JSON}))


def html(status: int = 502) -> Fault:
    """An error page of a gateway (opentok-python issue 148)."""
    page = b"<html><head><title>Bad Gateway</title></head><body><hr>nginx</body></html>"
    return Fault(processed=False, behaviour=reply(status, page, headers={"Content-Type": "text/html"}))


def error(status: int, message: str = "Request timed out.", code: int = -1) -> Fault:
    """An error of the video service itself; the message is that of an upstream time-out."""
    answer = video_error(status, message, code)
    return Fault(processed=False, behaviour=reply(status, answer.body, headers=_JSON))


def garbage() -> Fault:
    """Bytes that are no HTTP."""
    return Fault(processed=False, behaviour=raw(b"\x00\xff\x13no http\r\n\r\n"))


def bad_json() -> Fault:
    """200 and half a document, after processing."""
    return Fault(change=lambda answer: replace(answer, body=answer.body[: len(answer.body) // 2] or b"{"))


def empty_body() -> Fault:
    """The proper status without a body, after processing."""
    return Fault(change=lambda answer: replace(answer, body=b""))


def charset_suffix() -> Fault:
    """``application/json; charset=utf-8``, which the opentok SDK takes for XML in a session create."""
    return Fault(change=lambda answer: replace(answer, content_type=f"{answer.content_type}; charset=utf-8"))


def redirect(location: str = "http://127.0.0.1:9/elsewhere") -> Fault:
    """A redirect, which a client that sends credentials must not follow."""
    return Fault(processed=False, behaviour=reply(302, headers={"Location": location}))


def huge(size_bytes: int = 32 << 20) -> Fault:
    """A body much larger than any proper one, after processing."""
    return Fault(change=lambda answer: replace(answer, body=answer.body.ljust(size_bytes)))


class Faults:
    """Faults that wait for their request. Thread-safe."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, re.Pattern[str], Fault]] = []
        self._lock = threading.Lock()

    def add(self, method: str, path_pattern: str, *faults: Fault) -> None:
        """Let these befall the next requests whose path contains the pattern, one each, in this order."""
        with self._lock:
            self._waiting += [(method, re.compile(path_pattern), fault) for fault in faults]

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault of this request, and forget it."""
        with self._lock:
            for waiting in self._waiting:
                if waiting[0] == method and waiting[1].search(path):
                    self._waiting.remove(waiting)
                    return waiting[2]
        return None
