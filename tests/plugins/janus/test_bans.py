"""A ban holds on a real Janus, whose clients choose their ids and may hide whose token they use."""

import time

import pytest

from tests.plugins.janus.client import JanusClient, Refused
from tests.plugins.janus.server import JanusServer, needs_janus
from tests.support.media_service import service_with, wait_for

pytestmark = needs_janus

OUT_WITHIN_SECONDS = 12.0
"""How soon a client that connects anyway is out: a webhook, and the job threads of a busy machine."""
WAYS = {
    "as before": ({}, True),
    "with an id of its own": ({"id": "eve"}, True),
    "with the id of another": ({"id": "guest-of-another.1"}, True),
    "with no id": ({"id": None}, True),
    "without saying whose token it is": ({}, False),
    "under an id of its own, without saying whose token it is": ({"id": "ann", "display": "Ann"}, False),
}
"""What a client may change of its request, and whether it sends the statement of its identity."""


@pytest.fixture(scope="module")
def running(tmp_path_factory, sqlite_template, headers):
    folder = tmp_path_factory.mktemp("service")
    janus = JanusServer(folder / "etc")
    with service_with(janus, folder, sqlite_template, headers) as api:
        yield api, janus


def active(api, link):
    return sorted(one["attendee"] or "" for one in api.attendees(link, active="true"))


@pytest.mark.parametrize("seconds", [0, pytest.param(60, marks=pytest.mark.long)])
def test_banned_person_stays_out_of_janus(running, seconds):
    api, janus = running
    link = api.create()
    code = api("POST", f"/session/{link}/invitations", {}).json["url"].partition("#")[2]
    eve, ann = (api("POST", "/join", {"code": code}).json for _ in range(2))
    nameless = api.token(link)
    clients = [JanusClient(janus.client_url, one["token"], one["connect"]) for one in (ann, nameless)]
    for client in clients:
        client.join()
    stay = sorted(["", ann["attendee"]])
    wait_for(lambda: active(api, link), stay, OUT_WITHIN_SECONDS)
    assert api("POST", f"/session/{link}/bans", {"attendee": eve["attendee"]}).status == 201

    until = time.monotonic() + seconds
    done = False
    while not done or time.monotonic() < until:
        for members, says_who in WAYS.values():
            client = JanusClient(janus.client_url, eve["token"], eve["connect"])
            if not says_who:
                client.identity = "any"
            clients.append(client)
            client.join(**members)
        answer = api("POST", "/join", {"code": code, "seat": eve["seat"]})
        assert answer.problem == (403, "attendee_banned")
        time.sleep(0.5)  # the events of the joins arrive
        wait_for(lambda: active(api, link), stay, OUT_WITHIN_SECONDS)
        for client in clients[2:]:
            with pytest.raises(Refused):
                client.publish("0")
            client.close()
        del clients[2:]
        done = True
    for client in clients:
        client.publish("0")
        client.close()
