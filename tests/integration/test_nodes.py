"""Two nodes of two workers each on one PostgreSQL: whatever one did, the other knows; of two that do it, one has."""

import json

import pytest

from tests.support.service import ON_POSTGRESQL, Caller, at_once, over_http, service_at
from videoconf.providers import ArchiveStatus

ROUNDS = 6

pytestmark = ON_POSTGRESQL


@pytest.fixture
def nodes(gunicorn_server):
    started = [gunicorn_server(workers=2, threads=4, ready=False) for _ in range(2)]
    for node in started:
        node.wait_until_up()
    return started


@pytest.fixture
def service(nodes, tmp_path, headers):
    """The service at the first node; people's webhooks go to each node in turn."""
    with service_at(nodes[0].url, tmp_path / "fake.sqlite", headers) as service:
        yield service


@pytest.fixture
def callers(nodes, headers):
    """A caller of each node."""
    with over_http(nodes[0].url) as one, over_http(nodes[1].url) as other:
        yield Caller(one, headers()), Caller(other, headers())


def deliver(service, callers):
    """Deliver what waits, each webhook to the next node, each twice."""
    turn = 0

    def post(delivery):
        nonlocal turn
        turn += 1
        path = f"/webhooks/fake/{delivery.channel}"
        headers = {name.replace("-", "_"): value for name, value in delivery.headers.items()}
        taken, again = (callers[node % 2]("POST", path, delivery.body, **headers).status for node in (turn, turn + 1))
        assert taken == again
        return taken

    result = service.fake.deliver(post)
    assert result.waiting == 0, result


def seen(callers, path):
    """What both nodes say, which must be the same."""
    here, there = (caller("GET", path) for caller in callers)
    assert (here.status, here.json) == (there.status, there.json)
    return here.json


def test_meeting_can_be_used_on_both_nodes(service, callers):
    here, there = callers
    link = here.create(extId="lesson")
    assert service.caller_with(tenant="other")("GET", f"/session/{link}").problem == (404, "meeting_not_found")
    assert there.read(link) == here.read(link)
    assert there("PATCH", f"/session/{link}", {"extId": "changed"}).status == 204
    assert here.read(link)["extId"] == "changed"

    connections = [
        service.fake.join(caller.token(link, attendee=name)["token"])
        for caller, name in ((here, "ann"), (there, "bob"))
    ]
    for connection in connections:
        service.fake.publish(connection)
    deliver(service, callers)
    assert [one["attendee"] for one in seen(callers, f"/session/{link}/attendees?active=true")] == ["ann", "bob"]

    archive = here("POST", f"/session/{link}/archives").json["id"]
    service.fake.drop(connections[1])
    deliver(service, callers)
    assert [one["attendee"] for one in seen(callers, f"/session/{link}/attendees?active=false")] == ["bob"]
    assert there("POST", f"/archives/{archive}/stop").status == 200
    service.fake.change_archive(archive, ArchiveStatus.AVAILABLE)
    deliver(service, callers)
    assert seen(callers, f"/archives/{archive}")["status"] == "available"
    assert seen(callers, f"/archives?meetingLink={link}")["count"] == 1

    ended = at_once([lambda caller=caller: caller("PATCH", f"/session/{link}/end").status for caller in callers * 3])
    assert sorted(ended) == [204, *[409] * 5]
    session_id = here.read(link)["sessionId"]
    assert list(service.fake.list_connections(session_id)) == []
    deliver(service, callers)
    for caller in callers:
        assert caller("POST", f"/session/{link}/token").problem == (409, "meeting_ended")
    assert seen(callers, f"/session/{link}/attendees?active=true") == []
    assert [entry["action"] for entry in seen(callers, f"/audit?meetingLink={link}")] == [
        "meeting.ended",
        "archive.stopped",
        "archive.stop_requested",
        "archive.started",
        "archive.start_requested",
        "meeting.edited",
        "meeting.created",
    ]


def test_create_repeated_at_the_other_node_makes_one_meeting(callers):
    for number in range(ROUNDS):
        key = f"key-{number}"
        answers = at_once([lambda c=c, key=key: c("POST", "/session", {}, Idempotency_Key=key) for c in callers * 2])
        links = {answer.json for answer in answers if answer.status == 200}
        assert len(links) == 1
        assert {answer.status for answer in answers} <= {200, 409}
        assert callers[number % 2]("POST", "/session", {}, Idempotency_Key=key).json in links
    total = json.loads(callers[0]("GET", "/session").headers["X-Pagination"])["total"]
    assert total == ROUNDS
