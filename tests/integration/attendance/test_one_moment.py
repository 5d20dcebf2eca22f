"""An answer that several queries make shows one moment, whatever arrives between two of them."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

import pytest
from sqlalchemy import event

from tests.integration.attendance.model import Event
from tests.integration.attendance.scripted import Script
from videoconf.db.types import db

ANSWERS = ["attendees?page=1", "attendees?limit=5", "attendees?streams=true", "attendance"]


@contextmanager
def after_query(app, number, act):
    """Act in a thread of its own after the n-th query of connections in the block."""
    seen = count(1)

    def hook(connection, cursor, statement, *_):
        if statement.startswith("SELECT") and "attendee_connection" in statement and next(seen) == number:
            pool.submit(act).result(20)

    with app.app_context(), ThreadPoolExecutor(1) as pool:
        event.listen(db.engine, "after_cursor_execute", hook)
        yield
        event.remove(db.engine, "after_cursor_execute", hook)


@pytest.mark.parametrize("path", ANSWERS)
def test_answer_is_of_one_moment(app, service, clock, path):
    """An anonymous connection turns out to be a person's: it is the one or the other, and there."""
    for number in (1, 2):
        script = Script(service)
        link = script.create()
        script.deliver([Event("joined", clock.now, "c")])
        identified = [Event("activity", clock.now, "c", "ann")]
        before = service.api("GET", f"/session/{link}/{path}").json
        with after_query(app, number, lambda script=script, events=identified: script.deliver(events)):
            answer = service.api("GET", f"/session/{link}/{path}").json
        after = service.api("GET", f"/session/{link}/{path}").json
        assert before != after
        assert answer in (before, after)
