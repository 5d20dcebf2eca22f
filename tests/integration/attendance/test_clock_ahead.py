"""A provider whose clock is ahead of ours lists connections that began later than the service asked."""

from datetime import timedelta

import pytest

from tests.integration.attendance.model import Event, text
from tests.integration.attendance.scripted import Script
from videoconf.api.services import services
from videoconf.providers import Roster, RosterConnection


@pytest.mark.parametrize("minutes_ahead", [0, 3])
def test_sighting_by_clock_ahead_joins_when_seen(service, clock, app, minutes_ahead):
    """Ann is listed once and then twice not; bob is there all the time and joined between the lists' two times."""
    script = Script(service)
    link = script.create()
    service.api.token(link)
    began, seen = clock.now + timedelta(seconds=20, minutes=minutes_ahead), clock.now + timedelta(seconds=20)
    script.deliver([Event("joined", seen + timedelta(seconds=10), "d", "bob")])
    bob = RosterConnection("d")
    for listed in ([RosterConnection("c", "ann", None, began), bob], [bob], [bob]):
        clock.step(seconds=20)
        service.provider.roster = Roster(listed, complete=True)
        with app.app_context():
            services(app).jobs.run_now("reconcile_rosters")
    clock.step(minutes=10)
    ann, bob = service.api.attendees(link)
    assert ann["connections"][0]["joined"] == text(seen)
    assert (ann["connections"][0]["joinInferred"], ann["active"], bob["active"]) == (True, False, True)
    assert service.api.attendees(link, page="1") == [ann, bob]
    assert service.api.attendees(link, page="1", active="false") == [ann]
