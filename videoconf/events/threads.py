"""The threads that project changes and send events, in a server process or in a worker of its own."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import or_, update

from videoconf.db.failures import cause_of
from videoconf.db.functions import utc_in, utc_now
from videoconf.db.transactions import dialect_of, write
from videoconf.errors import VideoconfError
from videoconf.events.dispatch import Dispatcher
from videoconf.events.models import PLANT, EventLog
from videoconf.events.projector import Projector
from videoconf.events.turns import THREADS
from videoconf.observability.metrics import JOB_THREADS_ENDED

logger = logging.getLogger(__name__)

SEND_SECONDS = 0.1
PROJECT_SECONDS = 0.2
"""How often a projector looks for changes."""
LEASE_SECONDS = 10.0
RENEW_SECONDS = 3.0
"""How often the projector renews its lease, and how often another process tries to get it."""
STOP_SECONDS = 30.0

_LOG: Any = EventLog.__table__


class ProjectorLease:
    """Which process projects. A second one would do no harm, and be of no use."""

    def __init__(self) -> None:
        self._owner = secrets.token_hex(8)
        self._held_until = 0.0
        self._ask_again_at = 0.0

    def hold(self) -> bool:
        """Return whether this process may project now; ask the database for the lease when that is due."""
        now = time.monotonic()
        if now >= self._ask_again_at:
            self._ask_again_at = now + RENEW_SECONDS
            free = or_(_LOG.c.projector_until.is_(None), _LOG.c.projector_until < utc_now())
            taken = (
                update(_LOG)
                .where(or_(_LOG.c.projector == self._owner, free))
                .values(projector=self._owner, projector_until=utc_in(LEASE_SECONDS))
                .returning(_LOG.c.id)
            )
            with write() as session:
                session.execute(PLANT[dialect_of(session)])
                is_held = session.execute(taken).one_or_none() is not None
            self._held_until = now + LEASE_SECONDS if is_held else 0.0
        return now < self._held_until

    def give_back(self) -> None:
        """Let another process project at once."""
        with write() as session:
            mine = update(_LOG).where(_LOG.c.projector == self._owner)
            session.execute(mine.values(projector=None, projector_until=None))


@dataclass(frozen=True)
class Loop:
    """What one thread does again and again."""

    name: str
    turn: Callable[[], bool]
    """Returns whether there may be more to do at once."""
    pause_seconds: float
    at_end: Callable[[], None] = lambda: None


class EventThreads:
    """Runs loops until it is stopped, each in a thread. A loop that fails goes on after a pause."""

    def __init__(self, loops: Sequence[Loop], context: Callable[[], AbstractContextManager[Any]]) -> None:
        self._context = context
        self._stopping = threading.Event()
        self._reporting = threading.Lock()
        self._reported: dict[str, str] = {}
        """By the name of a loop, the error that was logged: several threads with one name wait for one database."""
        self._threads = [
            threading.Thread(target=self._run, args=(loop,), name=f"videoconf-{loop.name}", daemon=True)
            for loop in loops
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let what is under way finish, then stop."""
        self._stopping.set()
        give_up_at = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, give_up_at - time.monotonic()))

    def _run(self, loop: Loop) -> None:
        while not self._stopping.is_set():
            has_more = False
            try:
                with self._context():
                    has_more = loop.turn()
                self._reported.pop(loop.name, None)
            except VideoconfError as error:
                with self._reporting:
                    before, self._reported[loop.name] = self._reported.get(loop.name), error.code
                if before != error.code:
                    logger.warning("%s paused: %s: %s%s", loop.name, error.code, error.detail, cause_of(error))
            except BaseException:  # in a thread no caller sees it, and the loop must go on
                JOB_THREADS_ENDED.inc()
                logger.exception("%s continues after an error", loop.name)
            if not has_more:
                self._stopping.wait(loop.pause_seconds)
        try:
            with self._context():
                loop.at_end()
        except VideoconfError as error:
            logger.warning("%s stopped: %s", loop.name, error.code)


def event_threads(
    projector: Projector, dispatcher: Dispatcher, context: Callable[[], AbstractContextManager[Any]]
) -> EventThreads:
    """Make the threads of a process that projects and sends."""
    lease = ProjectorLease()

    def project() -> bool:
        return lease.hold() and projector.run_once() > 0

    loops = [Loop("projector", project, PROJECT_SECONDS, lease.give_back)]
    for lane, threads in THREADS.items():
        loops += [Loop(f"sender-{lane}", partial(dispatcher.turn, lane), SEND_SECONDS)] * threads
    return EventThreads(loops, context)
