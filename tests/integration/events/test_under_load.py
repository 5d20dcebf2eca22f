"""Many writers, projectors, readers and receivers at once: no event is missed, repeated or late.

Each test runs for seconds in `make test`, and for a minute with tighter bounds in `make test-long`.
"""

import random
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, text

from tests.support.receiver import receiver
from tests.support.service import ON_POSTGRESQL
from videoconf.api.services import services
from videoconf.db.functions import utc_now
from videoconf.db.transactions import write
from videoconf.events.changes import announce
from videoconf.events.models import Event
from videoconf.events.threads import event_threads
from videoconf.events.types import EventType
from videoconf.meetings.models import Meeting
from videoconf.settings import Secret

A_MOMENT = pytest.param(4, 5.0, id="moment")
A_MINUTE = pytest.param(60, None, id="minute", marks=(pytest.mark.long, pytest.mark.timeout(400)))
for_a_while = pytest.mark.parametrize(("seconds", "lenient"), [A_MOMENT, A_MINUTE])
"""How long, and how late an event may be where other tests use the machine too."""


@pytest.fixture
def app_options():
    keys = (Secret(Fernet.generate_key().decode()),)
    return {"development": True, "encryption_keys": keys, "database_pool_size": 40}


def p99(values):
    return sorted(values)[int(len(values) * 0.99)]


def meeting_of(service, api):
    link = api.create()
    with service.app.app_context(), write() as session:
        found = session.execute(select(Meeting.id).where(Meeting.meeting_link == link)).scalar_one()
    return link, found


class Writers:
    """Threads that announce numbered facts, each in a transaction that stays open for a random time."""

    def __init__(self, app, meetings, until, *, pause=0.05, held=0.3):
        self.committed = {}
        self._app, self._meetings, self._until, self._pause, self._held = app, meetings, until, pause, held
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(8)]

    def _run(self, number):
        chance, count = random.Random(number), 0
        while time.monotonic() < self._until:
            name = f"{number}-{count}"
            count += 1
            with self._app.app_context(), write() as session:
                announce(session, chance.choice(self._meetings), EventType.LOBBY_WAITING, {"lobbyId": name})
                time.sleep(chance.uniform(0, self._held))
            self.committed[name] = time.monotonic()
            time.sleep(chance.uniform(0, self._pause))


@contextmanager
def running(*threads):
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


@ON_POSTGRESQL
@for_a_while
def test_readers_miss_and_repeat_no_event(service, seconds, lenient):
    tenants = [service.caller_with(tenant=name) for name in ("north", "south")]
    meetings = [meeting_of(service, api)[1] for api in tenants]
    service.project()
    starts = [api("GET", "/events?after=now").json["next"] for api in tenants]
    until = time.monotonic() + seconds
    writers = Writers(service.app, meetings, until)
    seen, stopped = [[] for _ in range(4)], threading.Event()

    def project():
        while not stopped.is_set():
            with service.app.app_context():
                services(service.app).projector.run_once()
            time.sleep(0.05)

    def follow(number):
        after = starts[number % 2]
        while True:
            done = stopped.is_set()
            answer = tenants[number % 2]("GET", f"/events?after={after}&wait=1&limit=20")
            assert answer.status == 200, answer
            now = time.monotonic()
            seen[number] += [(one["data"]["lobbyId"], one["position"], now) for one in answer.json["items"]]
            after = answer.json["next"]
            if done and not answer.json["items"]:
                return

    others = [threading.Thread(target=project) for _ in range(2)]
    others += [threading.Thread(target=follow, args=(number,)) for number in range(4)]
    with running(*others):
        with running(*writers.threads):
            pass
        service.project()
        time.sleep(0.5)
        service.project()
        stopped.set()
    for reader in seen:
        assert [position for _, position, _ in reader] == sorted({position for _, position, _ in reader})
    for same in (0, 1):
        assert seen[same]
        assert [one[:2] for one in seen[same]] == [one[:2] for one in seen[same + 2]]
    assert Counter(name for reader in seen[:2] for name, _, _ in reader) == Counter(list(writers.committed))
    late = [now - writers.committed[name] for reader in seen for name, _, now in reader]
    assert p99(late) < (lenient or 1.0)


@pytest.fixture
def receiving():
    """Give ten receivers, of which four never take an event."""
    with ExitStack() as stack:
        yield [stack.enter_context(receiver()) for _ in range(10)]


@contextmanager
def pushing(app):
    parts = services(app)
    threads = event_threads(parts.projector, parts.dispatcher, app.app_context)
    threads.start()
    try:
        yield
    finally:
        threads.stop()


@ON_POSTGRESQL
@for_a_while
def test_receivers_that_fail_delay_no_other(service, receiving, seconds, lenient):
    hanging, broken, redirecting, private, *good = receiving
    hanging.delay_seconds = 12
    broken.answer = (500, {}, b"")
    redirecting.answer = (302, {"Location": good[0].url}, b"")
    private.url = f"https://{socket.gethostname().lower()}/events"
    subscriptions = [service.api("POST", "/event-subscriptions", {"url": one.url}).json for one in receiving]
    _, meeting_id = meeting_of(service, service.api)
    committed, until = {}, time.monotonic() + seconds
    with pushing(service.app):
        number = 0
        while time.monotonic() < until:
            with service.app.app_context(), write() as session:
                announce(session, meeting_id, EventType.LOBBY_WAITING, {"lobbyId": str(number)})
            committed[str(number)] = time.monotonic()
            number += 1
            time.sleep(0.1)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and any(len(set(one.ids)) <= number for one in good):
            time.sleep(0.1)
    for one in good:
        arrived = {
            event["data"]["lobbyId"]: at
            for (at, _, _), event in zip(one.requests, one.events, strict=True)
            if event["type"] == "lobby.waiting"
        }
        assert arrived.keys() == committed.keys()
        assert p99([arrived[name] - committed[name] for name in committed]) < (lenient or 3.0)
    for one in subscriptions[:4]:
        found = service.api("GET", f"/event-subscriptions/{one['id']}").json
        assert found["failingSince"] is not None, found
        [*_, first] = service.api("GET", f"/event-subscriptions/{one['id']}/deliveries").json
        assert first["attempts"][0]["status"] in (None, 500, 302)
    assert len(broken.ids) <= 10, "a subscription that fails is probed singly"


@pytest.mark.parametrize(
    ("many", "lenient"),
    [
        pytest.param(2_000, 5.0, id="2000"),
        pytest.param(100_000, 1.0, id="100000", marks=(pytest.mark.long, pytest.mark.timeout(600))),
    ],
)
@ON_POSTGRESQL
def test_many_events_of_one_tenant_delay_no_other(service, receiving, many, lenient):
    loud, quiet = (service.caller_with(tenant=name) for name in ("loud", "quiet"))
    for one in receiving[:5]:
        assert loud("POST", "/event-subscriptions", {"url": one.url}).status == 201
    assert quiet("POST", "/event-subscriptions", {"url": receiving[9].url}).status == 201
    link, _ = meeting_of(service, loud)
    _, quiet_meeting = meeting_of(service, quiet)
    service.project()
    with service.app.app_context(), write() as session:
        start = session.execute(text("SELECT position FROM event_log")).scalar_one()
        rows = [
            {"position": start + number, "id": f"evt_{number}", "type": "lobby.waiting", "tenant": "loud",
             "meeting_link": link, "sequence": 1 + number, "data": {}}
            for number in range(1, many + 1)
        ]  # fmt: skip
        session.execute(Event.__table__.insert().values(at=utc_now()), rows)
        session.execute(text("UPDATE event_log SET position = position + :many"), {"many": many})
        session.execute(text("UPDATE event_subscription SET newest = :to WHERE tenant = 'loud'"), {"to": start + many})
    late = []
    with pushing(service.app):
        time.sleep(1)
        for number in range(5):
            with service.app.app_context(), write() as session:
                announce(session, quiet_meeting, EventType.LOBBY_WAITING, {"lobbyId": str(number)})
            began = time.monotonic()
            while str(number) not in [one["data"].get("lobbyId") for one in receiving[9].events]:
                assert time.monotonic() - began < 30
                time.sleep(0.01)
            late.append(time.monotonic() - began)
    assert sorted(late)[2] < lenient, late
