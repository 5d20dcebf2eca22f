"""A ban holds on the whole service with Vonage, while the banned person tries every way in."""

from __future__ import annotations

import time

import pytest

from videoconf.api.services import services
from videoconf.jobs.kinds import HOLD_BANS

BANNED = (403, "attendee_banned")


def invite(service, link, **wish):
    return service.api("POST", f"/session/{link}/invitations", wish).json["url"].partition("#")[2]


def knock(service, code, **presented):
    return service.stranger("POST", "/join", {"code": code, **presented})


@pytest.mark.parametrize("seconds", [0, pytest.param(60, marks=pytest.mark.long)])
def test_banned_person_stays_out_of_vonage(service, standin, seconds):
    link = service.api.create()
    code, named = invite(service, link), invite(service, link, attendee="eve")
    eve, ann = (knock(service, code).json for _ in range(2))
    there, other = standin.connect(eve["token"]), standin.connect(ann["token"])
    service.deliver()
    answer = service.api("POST", f"/session/{link}/bans", {"connectionId": there.connection_id})
    assert (answer.status, answer.json["attendee"]) == (201, eve["attendee"])
    assert there.state == "Disconnected", "before the ban is answered"
    assert service.api("POST", f"/session/{link}/bans", {"attendee": "eve"}).status == 201

    tries = 0
    until = time.monotonic() + seconds
    while tries < 3 or time.monotonic() < until:
        tries += 1
        assert knock(service, code, seat=eve["seat"]).problem == BANNED
        assert knock(service, named).problem == BANNED
        for attendee in ("eve", eve["attendee"]):
            assert service.api("POST", f"/session/{link}/token", {"attendee": attendee}).problem == BANNED
        standin.advance(1)
        again = standin.connect(eve["token"])  # Vonage knows nothing of the ban, and the token is valid
        standin.advance(1)
        service.deliver()
        with service.app.app_context():
            services(service.app).jobs.run_now(HOLD_BANS)
        assert again.state == "Disconnected"
        service.deliver()
        active = [one["attendee"] for one in service.api.attendees(link, active="true")]
        assert active == [ann["attendee"]]
        time.sleep(min(seconds, 1))
    assert other.state == "Connected"
