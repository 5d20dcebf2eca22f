"""What the threads of events say while the database is away."""

import logging
import time
from contextlib import nullcontext

from videoconf.errors import DatabaseUnavailable
from videoconf.events.threads import EventThreads, Loop


def test_paused_loop_logs_the_cause_of_the_outage(caplog):
    def turn() -> bool:
        raise DatabaseUnavailable("The database cannot be reached.") from ConnectionError("the pooler refuses logins")

    threads = EventThreads([Loop("projector", turn, 0.01)], nullcontext)
    with caplog.at_level(logging.WARNING):
        threads.start()
        deadline = time.monotonic() + 5
        while not caplog.messages and time.monotonic() < deadline:
            time.sleep(0.01)
        threads.stop()
    [said] = caplog.messages
    assert said.startswith("projector paused: database_unavailable: ")
    assert said.endswith(" (the pooler refuses logins)")
