"""What the threads of events say while the database is away."""

import logging
import threading
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


def test_threads_of_one_name_log_an_outage_once(caplog):
    turned = threading.Semaphore(0)

    def turn() -> bool:
        turned.release()
        raise DatabaseUnavailable("The database cannot be reached.")

    threads = EventThreads([Loop("sender", turn, 0.01)] * 4, nullcontext)
    with caplog.at_level(logging.WARNING):
        threads.start()
        assert all(turned.acquire(timeout=5) for _ in range(40))
        threads.stop()
    assert [line for line in caplog.messages if "paused" in line] == caplog.messages[:1]
