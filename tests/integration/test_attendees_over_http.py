"""Who is at a meeting, over HTTP: people with several tabs who leave and come back, told of in any order, and twice.

What must be shown is computed here independently, from the webhooks that have arrived so far, whatever their order.
"""

import json
import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import permutations

import pytest

from tests.support.service import now_text


@pytest.fixture
def service(two_workers):
    return two_workers


def act(service, link):
    """Let people come and go; yield after each step. Their webhooks wait."""
    session = service.api.read(link)["sessionId"]
    tab = service.join(link, attendee="ann", name="Ann")
    yield
    service.join(link, attendee="ann", name="Ann")
    yield
    bob = service.join(link, attendee="bob", name="Bob")
    yield
    anonymous = service.fake.join_anonymously(session)
    yield
    service.fake.publish(tab)
    yield
    service.fake.leave(tab)
    yield
    service.fake.drop(bob)
    yield
    service.fake.join_anonymously(session)
    yield
    service.fake.leave(anonymous)
    yield
    service.join(link, attendee="bob", name="Bob")
    yield


def shown(items: list[dict]) -> list[dict]:
    """Make a list comparable: times as times, without the duration, which grows while an attendee is present."""

    def comparable(value):
        if isinstance(value, dict):
            return {key: comparable(item) for key, item in value.items() if key != "durationSeconds"}
        if isinstance(value, list):
            return [comparable(item) for item in value]
        return time(value) if isinstance(value, str) and value.endswith("Z") else value

    return comparable(items)


def expected(session: str, bodies: Iterable[bytes]) -> list[dict]:
    """Say what must be shown once these webhooks have arrived."""
    connections = {}
    evidence = {}
    for event in map(json.loads, bodies):
        about = event["connection"]
        one = connections.setdefault(
            about["id"],
            {
                "id": about["id"],
                "joined": time(about["created_at"]),
                "joinInferred": False,
                "left": None,
                "reason": None,
                "inferred": False,
            },
        )
        if event["type"] == "connection.destroyed":
            one |= {"left": time(event["at"]), "reason": event["reason"]}
        key = about["attendee"] or about["id"]
        evidence.setdefault(key, []).append((time(event["at"]), about))

    items = []
    for events in evidence.values():
        about = events[0][1]
        ids = {about["id"] for _, about in events}
        theirs = sorted((connections[id] for id in ids), key=lambda one: one["joined"])
        active = any(one["left"] is None for one in theirs)
        items.append(
            {
                "attendee": about["attendee"],
                "name": about["name"],
                "sessionId": session,
                "isDeleted": not active,
                "active": active,
                "createdOn": theirs[0]["joined"],
                "modifiedOn": max(at for at, _ in events),
                "connections": theirs,
            }
        )
    return sorted(items, key=lambda item: item["createdOn"])


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def check(service, link, bodies):
    everybody = expected(service.api.read(link)["sessionId"], bodies)
    assert shown(service.api.attendees(link)) == everybody
    for active in (True, False):
        some = shown(service.api.attendees(link, active=str(active).lower()))
        assert some == [item for item in everybody if item["active"] is active]


def test_the_lists_are_right_after_each_step_of_the_people(service):
    """Each step's webhook comes among repetitions of all that came before."""
    link = service.api.create()
    check(service, link, [])
    chance = random.Random(1)
    told = []
    for _ in act(service, link):
        deliveries = service.waiting()
        assert len(deliveries) == len(told) + 1
        chance.shuffle(deliveries)
        for delivery in [*deliveries, *deliveries[:3]]:
            assert service.post(delivery).status == 204
        told = [delivery.body for delivery in deliveries]
        check(service, link, told)

    ann, bob, gone, there = service.api.attendees(link)
    assert [len(person["connections"]) for person in (ann, bob, gone, there)] == [2, 2, 1, 1]
    assert [person["active"] for person in (ann, bob, gone, there)] == [True, True, False, True]
    assert [connection["reason"] for connection in bob["connections"]] == ["network", None]
    assert (gone["attendee"], there["attendee"]) == (None, None), "anonymous people are never merged"


def test_the_lists_are_right_after_each_webhook_in_any_order(service):
    for seed in range(3):
        link = service.api.create()
        for _ in act(service, link):
            pass
        session = service.api.read(link)["sessionId"]
        deliveries = [one for one in service.waiting() if session.encode() in one.body] * 2
        random.Random(seed).shuffle(deliveries)
        told = []
        for delivery in deliveries:
            assert service.post(delivery).status == 204
            told.append(delivery.body)
            check(service, link, told)


def test_lists_are_right_when_webhooks_come_concurrently(service):
    links = [service.api.create() for _ in range(4)]
    for link in links:
        for _ in act(service, link):
            pass
    deliveries = service.waiting() * 2
    random.Random(5).shuffle(deliveries)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(service.post, deliveries))
    assert {answer.status for answer in answers} == {204}
    for link in links:
        session = service.api.read(link)["sessionId"]
        check(service, link, [one.body for one in deliveries if session.encode() in one.body])


def test_reused_connection_id_is_active_in_any_webhook_order(service):
    api = service.api
    for order in permutations(range(3)):
        link = api.create()
        session = api.read(link)["sessionId"]
        joined, left, again = (now_text(minutes=minutes) for minutes in (-30, -20, -10))
        about = {"id": "connection-1", "attendee": "ann"}
        told = [
            service.made_up("connection.created", session, at=joined, connection={**about, "created_at": joined}),
            service.made_up("connection.destroyed", session, at=left, connection={**about, "created_at": joined}),
            service.made_up("connection.created", session, at=again, connection={**about, "created_at": again}),
        ]
        for index in order:
            assert service.post(told[index]).status == 204
        [person] = api.attendees(link, active="true")
        assert [(one["joined"], one["left"]) for one in person["connections"]] == [(joined, None)], order
        assert person["modifiedOn"] == again


def test_end_closes_open_connections_until_a_late_webhook(service):
    api = service.api
    link = api.create()
    for _ in act(service, link):
        pass
    *all_but_last, last = service.waiting()
    for delivery in all_but_last:
        assert service.post(delivery).status == 204
    late = api.token(link, attendee="eve")["token"]

    assert api("PATCH", f"/session/{link}/end").status == 204
    end = api.read(link)["endTime"]
    assert api.attendees(link, active="true") == []
    assert all(one["left"] is not None for person in api.attendees(link) for one in person["connections"])
    assert {one["left"] for person in api.attendees(link) for one in person["connections"] if one["inferred"]} == {end}

    for delivery in [last, *service.waiting()]:  # bob's return, and then that everybody was disconnected
        assert service.post(delivery).status == 204
    people = api.attendees(link)
    assert [len(person["connections"]) for person in people] == [2, 2, 1, 1]
    assert not any(one["inferred"] for person in people for one in person["connections"])
    assert api.attendees(link, active="true") == []

    service.fake.join(late)  # the vendor's tokens outlive the meeting
    for delivery in service.waiting():
        assert service.post(delivery).status == 204
    assert [person["attendee"] for person in api.attendees(link, active="true")] == ["eve"], "truth before tidiness"


def test_closing_the_room_ends_connections_but_no_meeting(service):
    api = service.api
    link = api.create()
    for _ in act(service, link):
        pass
    service.fake.close_session(api.read(link)["sessionId"])
    *before, closed = service.waiting()
    for delivery in [closed, *before]:  # the close comes first
        assert service.post(delivery).status == 204
    assert api.attendees(link, active="true") == []
    assert len(api.attendees(link, active="false")) == 4
    assert api.read(link)["status"] == "open"

    service.join(link, attendee="ann", name="Ann")
    for delivery in service.waiting():
        assert service.post(delivery).status == 204
    assert [person["attendee"] for person in api.attendees(link, active="true")] == ["ann"]
