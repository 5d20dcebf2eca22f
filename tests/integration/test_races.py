"""Races over the API: many clients do one thing at once, and what comes out is as if one had."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event

from tests.support.service import ON_POSTGRESQL, at_once, moment, plugins_with, service_of
from videoconf.db.types import db
from videoconf.providers import SessionRequest
from videoconf_fake.provider import FakeProvider

CLIENTS = 12


@pytest.fixture
def service(two_workers):
    return two_workers


# --- many clients, one meeting --------------------------------------------------------------------------------------


def test_twelve_concurrent_ends_end_the_meeting_once(service):
    api = service.api
    for _ in range(5):
        link = api.create()
        service.join(link, attendee="ann")

        def end(link=link):
            answer = api("PATCH", f"/session/{link}/end")
            return answer.status, None if answer.status == 204 else answer.problem, api.read(link)["endTime"]

        answers = at_once([end] * CLIENTS)
        assert sorted(status for status, _, _ in answers) == [204] + [409] * (CLIENTS - 1)
        assert {problem for _, problem, _ in answers} == {None, (409, "meeting_ended")}
        assert {time for _, _, time in answers} == {api.read(link)["endTime"]}, "whoever looked saw one end"
        assert api.read(link)["endTime"] is not None


def test_twelve_concurrent_first_tokens_start_it_once(service):
    api = service.api
    for _ in range(5):
        link = api.create()

        def join(number, link=link):
            token = api.token(link, attendee=f"u-{number}")["token"]
            return token, api.read(link)["startTime"]

        answers = at_once([lambda number=number, join=join: join(number) for number in range(CLIENTS)])
        assert len({token for token, _ in answers}) == CLIENTS
        assert {time for _, time in answers} == {api.read(link)["startTime"]}, "whoever looked saw one start"
        assert api.read(link)["startTime"] is not None


def test_concurrent_ends_and_deletes_happen_once_each(service):
    api = service.api
    link = api.create()
    calls = [lambda: api("PATCH", f"/session/{link}/end"), lambda: api("DELETE", f"/session/{link}")] * 6
    answers = at_once(calls)
    ends, deletes = answers[0::2], answers[1::2]
    assert sorted({answer.status for answer in ends}) in ([409], [204, 409])
    assert sorted(answer.status for answer in deletes) == [204] + [404] * 5
    meeting = api.read(link)
    assert moment(meeting["deletedOn"]) >= moment(meeting["endTime"])


def test_webhook_sent_twelve_times_at_once_counts_once(service):
    api = service.api
    link = api.create()
    connections = [service.join(link, attendee="ann") for _ in range(3)]
    deliveries = [delivery for delivery in service.waiting() for _ in range(CLIENTS // 3)]
    answers = at_once([lambda delivery=delivery: service.post(delivery) for delivery in deliveries])
    assert {answer.status for answer in answers} == {204}
    [person] = api.attendees(link)
    assert sorted(one["id"] for one in person["connections"]) == sorted(connections)


# --- a webhook that is faster than the answer to the create --------------------------------------------------------


class Signalling(FakeProvider):
    """Joins as soon as the room exists, while the answer is still on its way to the service."""

    def ensure_session(self, request: SessionRequest):
        ref = super().ensure_session(request)
        self.made(ref.session_id)
        return ref


@ON_POSTGRESQL
@pytest.mark.parametrize("tries", [pytest.param(100, id="100"), pytest.param(1000, id="1000", marks=pytest.mark.long)])
def test_a_webhook_that_races_the_create_is_never_lost(make_app, headers, tries):
    app = make_app(plugins=plugins_with(Signalling))
    service = service_of(app, headers)
    posted = []
    chance = random.Random(7)

    def join_and_tell(session_id, pause):
        connection = service.fake.join_anonymously(session_id)
        [joined] = [one for one in service.waiting() if connection.encode() in one.body]
        service.provider.outbox.mark_delivered(joined.event_id)
        wait_until = time.perf_counter() + pause
        while time.perf_counter() < wait_until:
            pass
        return service.post(joined).status

    with ThreadPoolExecutor(4) as pool:
        # The webhook sets out up to 10 ms after the room was made, and so meets the create at every one of its steps.
        service.provider.made = lambda session_id: posted.append(
            pool.submit(join_and_tell, session_id, chance.uniform(0, 0.01))
        )
        links = [service.api.create() for _ in range(tries)]
    assert {one.result() for one in posted} == {204}
    assert [len(service.api.attendees(link)) for link in links] == [1] * tries


@ON_POSTGRESQL
@pytest.mark.parametrize("first", ["webhook", "create"])
def test_webhook_and_create_see_each_other_in_either_order(make_app, headers, first):
    """One of the two is stopped right before its commit, until the other is done or waits for it."""
    app = make_app(plugins=plugins_with(Signalling))
    service = service_of(app, headers)
    decided, go_on = threading.Event(), threading.Event()
    stopping = "INSERT INTO webhook_event" if first == "webhook" else "UPDATE meeting"
    touched = threading.local()

    def note(connection, cursor, statement, parameters, context, executemany):
        touched.here = getattr(touched, "here", False) or stopping in statement

    def stop(connection):
        if getattr(touched, "here", False):
            touched.here = False
            decided.set()
            go_on.wait(0.3)  # the other cannot be done where it waits for this very transaction: then time is up

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", stop)

    sessions = []
    service.provider.made = sessions.append

    def create():
        link = service.api.create()
        go_on.set()
        return link

    def tell():
        while not sessions:
            time.sleep(0.001)
        connection = service.fake.join_anonymously(sessions[0])
        assert service.post(service.waiting()[0]).status == 204
        go_on.set()
        return connection

    with ThreadPoolExecutor(2) as pool:
        if first == "webhook":
            # The room exists, and its webhook is decided upon before the create goes on.
            service.provider.made = lambda session_id: (sessions.append(session_id), decided.wait(10))
            told = pool.submit(tell)
            link = create()
        else:
            creating = pool.submit(create)
            assert decided.wait(10)
            told = pool.submit(tell)
            link = creating.result(10)
        connection = told.result(10)
    [person] = service.api.attendees(link)
    assert [one["id"] for one in person["connections"]] == [connection]
