"""A person who leaves and joins again on the same connection is there, wherever the service looks."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from tests.integration.attendance.model import Event, text
from tests.integration.attendance.scripted import Script
from videoconf.api.services import services
from videoconf.providers import Roster


@pytest.fixture
def script(service):
    script = Script(service)
    script.link = script.create()
    return script


def rejoin(script, clock, who="ann", order=(0, 1, 2)):
    """Let a person join, leave, and join again on one connection; return the time of the first join."""
    begin = clock.now
    events = [
        Event("joined", begin, "c", who),
        Event("left", begin + timedelta(minutes=1), "c", reason="left"),
        Event("joined", begin + timedelta(minutes=2), "c", who),
    ]
    clock.step(minutes=10)
    for place in order:
        script.deliver([events[place]])
    return begin


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("who", ["ann", None])
def test_page_of_active_shows_rejoined_person(script, clock, order, who):
    begin = rejoin(script, clock, who, order)
    api = script.service.api
    [person] = api.attendees(script.link)
    assert person["active"]
    assert person["connections"][0]["joined"] == text(begin)
    assert api.attendees(script.link, page="1", active="true") == [person]
    assert api.attendees(script.link, page="1", active="false") == []


def test_rejoined_person_of_old_meeting_is_polled(script, clock, service, app):
    """No token was given, so that nothing but the connection itself says that the provider is to be asked."""
    rejoin(script, clock)
    for _ in range(2):
        clock.step(minutes=1)
        service.provider.roster = Roster([], complete=True)
        with app.app_context():
            services(app).jobs.run_now("reconcile_rosters")
    [person] = service.api.attendees(script.link)
    assert (person["active"], person["connections"][0]["reason"]) == (False, "reconciled")


def test_leave_without_join_is_a_leave_on_every_page(script, clock):
    script.deliver([Event("left", clock.now, "c", "ann", reason="left"), Event("left", clock.now, "d")])
    clock.step(minutes=1)
    people = script.service.api.attendees(script.link)
    assert [person["active"] for person in people] == [False, False]
    assert script.service.api.attendees(script.link, page="1", active="false") == people
    assert script.service.api.attendees(script.link, page="1", active="true") == []


def test_person_who_left_by_a_leave_is_not_polled(script, clock, service, app):
    asked = []
    service.provider.list_connections = lambda session: (asked.append(session), Roster([], complete=True))[1]
    begin = clock.now
    script.deliver([Event("joined", begin, "c", "ann"), Event("left", begin + timedelta(minutes=1), "c")])
    clock.step(minutes=2)
    with app.app_context():
        services(app).jobs.run_now("reconcile_rosters")
    assert asked == []


def test_old_meeting_of_long_silence_is_not_polled(script, clock, service, app):
    asked = []
    service.provider.list_connections = lambda session: (asked.append(session), Roster([], complete=True))[1]
    service.api.token(script.link)
    script.deliver([Event("joined", clock.now, "c", "ann")])
    clock.step(hours=25)
    with app.app_context():
        services(app).jobs.run_now("reconcile_rosters")
    assert asked == []


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_reason_is_that_of_latest_leave(script, clock, order):
    begin = clock.now
    events = [
        Event("joined", begin, "c", "ann"),
        Event("left", begin + timedelta(minutes=1), "c", reason="network"),
        Event("left", begin + timedelta(minutes=3), "c", reason="left"),
    ]
    for place in order:
        script.deliver([events[place]])
    clock.step(minutes=10)
    [person] = script.service.api.attendees(script.link)
    [one] = person["connections"]
    assert (one["left"], one["reason"]) == (text(begin + timedelta(minutes=3)), "left")


@pytest.mark.parametrize("reasons", list(permutations(("left", "network", None))))
def test_smallest_reason_of_equal_leaves_stays(script, clock, reasons):
    begin = clock.now
    script.deliver([Event("joined", begin, "c", "ann")])
    for reason in reasons:
        script.deliver([Event("left", begin + timedelta(minutes=1), "c", reason=reason)])
    clock.step(minutes=10)
    [person] = script.service.api.attendees(script.link)
    assert person["connections"][0]["reason"] is None


def test_end_passes_connections_that_did_not_leave(script, clock, service):
    """Those of another meeting are not among them, and those who rejoined are."""
    ended = []
    service.provider.end_session = lambda session, connections: ended.append((session.session_id, sorted(connections)))
    begin = rejoin(script, clock)
    later = begin + timedelta(minutes=5)
    script.deliver([Event("joined", begin, "gone", "bob"), Event("left", later, "gone")])
    script.deliver([Event("joined", begin, "tie", "bob"), Event("left", begin, "tie")])
    script.deliver([Event("joined", begin, "there"), Event("activity", begin, "seen", "cleo")])
    script.deliver([Event("left", later, "left alone", "dan")])
    other = Script(service)
    other.create()
    other.deliver([Event("joined", begin, "elsewhere", "ann")])
    assert service.api("PATCH", f"/session/{script.link}/end").status == 204
    assert ended == [(script.session_id, ["c", "seen", "there"])]


def test_people_who_rejoin_after_the_end_make_one_job(script, clock, service, app):
    ended = []
    service.provider.end_session = lambda session, connections: ended.append(sorted(connections))
    script.deliver([Event("joined", clock.now, "c", "ann")])
    other = Script(service)
    other.link = other.create()
    for one in (script, other):
        assert service.api("PATCH", f"/session/{one.link}/end").status == 204
    ended.clear()
    clock.step(minutes=1)
    late = datetime.now(UTC) + timedelta(seconds=1)
    for number in range(20):
        script.deliver([Event("joined", late, f"again-{number}", "ann")])
    other.deliver([Event("joined", late, "elsewhere", "bob")])
    with app.app_context():
        assert services(app).jobs.run_now("end_session") == 2
    assert sorted(map(len, ended)) == [1, 21]
    script.deliver([Event("joined", late, "once more", "ann")])
    with app.app_context():
        assert services(app).jobs.run_now("end_session") == 1, "after a job has run, the next one is needed"
