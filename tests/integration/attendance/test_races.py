"""Many who tell the same at once: threads, nodes, and workers that are killed meanwhile."""

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import urllib3
from sqlalchemy import func, select

from tests.integration.attendance import model
from tests.integration.attendance.scripted import Script
from tests.support.laws import few_and_many
from tests.support.service import ON_POSTGRESQL, at_once, service_at
from videoconf.db.transactions import read
from videoconf.webhooks.models import WebhookEvent

THREADS = 8


def crowd(chance, begin, session="", size=40):
    """Make events of a few people with several connections each; many of them at one moment."""
    events = []
    for number in range(size):
        connection = f"{session}c{number % 12}"
        joined = begin + timedelta(minutes=chance.randrange(0, 60, 10))
        kind = chance.choice(("joined", "left", "activity"))
        at = joined if kind == "joined" else joined + timedelta(minutes=chance.randrange(0, 30, 10), seconds=number % 3)
        who = chance.choice((None, "ann", "bob", "cyd"))
        events.append(model.Event(kind, at, connection, who, None, joined, "left" if kind == "left" else None))
    return list(dict.fromkeys(events))


@ON_POSTGRESQL
@few_and_many(15, 400)
def test_concurrent_posts_of_the_same_events_keep_the_list_right(service, clock, app, count):
    chance = random.Random(5)
    begin = clock.now
    posted = 0
    for _ in range(count):
        script = Script(service)
        events = crowd(chance, begin, size=15)
        link = script.create()
        posted += len(events)

        def post_all(seed, script=script, events=events):
            shuffled = random.Random(seed).sample(events, len(events))
            for one in shuffled:
                script.deliver([one])

        at_once([lambda seed=seed, post_all=post_all: post_all(seed) for seed in range(THREADS)])
        found = model.attendees([model.Receipt(event, begin) for event in events], begin, None, begin)
        assert service.api.attendees(link) == model.as_list(found, script.session_id, begin)
    with app.app_context(), read() as session:
        assert session.execute(select(func.count()).select_from(WebhookEvent)).scalar_one() == posted, "each once"


# --- servers --------------------------------------------------------------------------------------------------------


def document(event):
    """Write an event as the fake provider does."""
    types = {"joined": "connection.created", "left": "connection.destroyed", "activity": "stream.created"}
    connection = {
        "id": event.connection,
        "created_at": event.connected_at.isoformat(),
        "attendee": event.attendee,
        "name": event.name,
    }
    members = {"at": event.at.isoformat(), "connection": connection}
    return types[event.kind], members if event.reason is None else {**members, "reason": event.reason}


def written(found, session_id, answer):
    """Write what the model found as the API does; how long those who are there have been so is the server's to say."""
    wanted = model.as_list(found, session_id, datetime.now(UTC))
    durations = {one["connections"][0]["id"]: one["durationSeconds"] for one in answer}
    for one in wanted:
        if one["active"]:
            one["durationSeconds"] = durations[one["connections"][0]["id"]]
    return wanted


@ON_POSTGRESQL
def test_two_nodes_receiving_the_same_events_show_each_at_once(gunicorn_server, tmp_path, headers):
    servers = [gunicorn_server(workers=1, threads=8) for _ in range(2)]
    state = tmp_path / "fake.sqlite"
    with service_at(servers[0].url, state, headers) as here, service_at(servers[1].url, state, headers) as there:
        link = here.api.create()
        meeting = here.api.read(link)
        begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
        events = crowd(random.Random(3), begin, size=60)
        deliveries = [
            here.made_up(type, meeting["sessionId"], id=f"evt_{number}", **members)
            for number, (type, members) in enumerate(map(document, events))
        ]
        invisible = []

        def post_all(node, other, seed):
            for number in random.Random(seed).sample(range(len(events)), len(events)):
                answer = node.post(deliveries[number])
                assert answer.status == 204, answer
                ids = {one["id"] for person in other.api.attendees(link) for one in person["connections"]}
                if events[number].connection not in ids:
                    invisible.append(number)

        at_once(
            [
                lambda node=node, other=other, seed=seed: post_all(node, other, seed)
                for seed, (node, other) in enumerate([(here, there), (there, here)] * 2)
            ]
        )
        assert invisible == [], "acknowledged, and not seen on the other node"
        receipts = [model.Receipt(event, datetime.now(UTC)) for event in events]
        found = model.attendees(receipts, begin, None, datetime.now(UTC))
        for node in (here, there):
            answer = node.api.attendees(link)
            assert answer == written(found, meeting["sessionId"], answer)


@ON_POSTGRESQL
def test_killed_workers_lose_no_acknowledged_event(gunicorn_server, tmp_path, headers, app):
    server = gunicorn_server(workers=2, threads=4)
    with service_at(server.url, tmp_path / "fake.sqlite", headers) as service:
        link = service.api.create()
        meeting = service.api.read(link)
        begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
        chance = random.Random(11)
        events = [event for part in range(12) for event in crowd(chance, begin, f"p{part}-", size=30)]
        chance.shuffle(events)
        deliveries = [
            service.made_up(type, meeting["sessionId"], id=f"evt_{number}", **members)
            for number, (type, members) in enumerate(map(document, events))
        ]
        unanswered = []
        killed = []

        def post(number):
            """Post until it is acknowledged, as the sender does."""
            while True:
                try:
                    answer = service.post(deliveries[number])
                except (urllib3.exceptions.HTTPError, OSError):
                    unanswered.append(number)
                    time.sleep(0.05)
                    continue
                assert answer.status in (204, 503), answer
                if answer.status == 204:
                    return

        def post_and_kill(number):
            post(number)
            if number % 70 == 35:
                worker = children(server.process.pid)[0]
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(post_and_kill, range(len(events))))
        server.wait_until_up()
        assert len(killed) >= 4
        assert unanswered, "no delivery was cut off"
        receipts = [model.Receipt(event, datetime.now(UTC)) for event in events]
        answer = service.api.attendees(link)
        assert answer == written(
            model.attendees(receipts, begin, None, datetime.now(UTC)), meeting["sessionId"], answer
        )
    with app.app_context(), read() as session:
        rows = session.execute(select(func.count(), func.count(WebhookEvent.dedupe_key.distinct()))).one()
        assert tuple(rows) == (len(events), len(events)), "each event once"


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]
