"""Lost webhooks are found by the provider's list of who is connected; what follows from it is marked, and gives way."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.attendance.model import Event, text
from tests.integration.attendance.scripted import Script
from tests.support.laws import few_and_many
from videoconf.api.services import services
from videoconf.attendance.roster import RosterReconciler
from videoconf.errors import ProviderUnavailable
from videoconf.providers import Roster, RosterConnection


@pytest.fixture
def script(service):
    script = Script(service)
    script.link = script.create()
    return script


@pytest.fixture
def look(app, clock, service):
    """Give a function that lets a minute pass and then compares with a list of who is connected."""
    parts = services(app)
    job = RosterReconciler(parts.providers, parts.settings, clock)

    def look(*connected, complete=True):
        clock.step(minutes=1)
        listed = [one if isinstance(one, RosterConnection) else RosterConnection(one) for one in connected]
        service.provider.roster = Roster(listed, complete)
        with app.app_context():
            job.run()

    look.job = job
    return look


def only(script, **query):
    [person] = script.service.api.attendees(script.link, **query)
    active = str(person["active"]).lower()
    assert script.service.api.attendees(script.link, page="1", active=active) == [person], "SQL and reducer disagree"
    [one] = person["connections"]
    return person, one


def join(script, clock, connection="c", who="ann"):
    script.deliver([Event("joined", clock.now, connection, who)])
    return clock.now


def test_person_missing_from_two_lists_left_at_the_first(script, clock, look):
    joined = join(script, clock)
    look()
    assert only(script, active="true")[1]["left"] is None, "one list proves nothing"
    missed = clock.now
    look()
    _, one = only(script, active="false")
    assert (one["joined"], one["left"], one["reason"], one["inferred"]) == (
        text(joined),
        text(missed),
        "reconciled",
        True,
    )
    look()
    look()
    assert only(script)[1]["left"] == text(missed), "it does not move"


def test_list_with_the_person_restarts_the_count(script, clock, look):
    join(script, clock)
    look()
    look("c")
    look()
    assert only(script)[0]["active"]
    look()
    assert not only(script)[0]["active"]


def test_person_who_is_listed_again_is_active_again(script, clock, look):
    join(script, clock)
    look()
    look()
    assert not only(script)[0]["active"]
    script.deliver([Event("joined", clock.now, "d", "bob")])  # the list is read only for meetings with participants
    look("c", "d")
    assert {person["attendee"]: person["active"] for person in script.service.api.attendees(script.link)} == {
        "ann": True,
        "bob": True,
    }


def test_late_leave_event_replaces_the_inferred_leave(script, clock, look):
    joined = join(script, clock)
    look()
    look()
    script.deliver([Event("left", joined + timedelta(seconds=20), "c", reason="left")])
    _, one = only(script)
    assert (one["left"], one["reason"], one["inferred"]) == (text(joined + timedelta(seconds=20)), "left", False)


def test_activity_after_the_lists_makes_the_person_active(script, clock, look):
    join(script, clock)
    look()
    look()
    clock.step(minutes=1)
    script.deliver([Event("activity", clock.now, "c", "ann")])
    assert only(script)[0]["active"]


def test_person_who_came_back_needs_two_more_lists_to_leave(script, clock, look):
    join(script, clock)
    look()
    look()
    clock.step(minutes=1)
    script.deliver([Event("activity", clock.now, "c", "ann")])
    look()
    missed = clock.now
    assert only(script)[0]["active"], "the lists of before do not count"
    look()
    assert only(script)[1]["left"] == text(missed)


def test_listed_person_without_events_has_an_inferred_join(script, clock, look):
    since = clock.now - timedelta(minutes=3)
    script.service.api.token(script.link)  # a meeting without a token needs no asking
    look(RosterConnection("c", "ann", "Ann", since))
    person, one = only(script, active="true")
    assert (person["attendee"], person["name"]) == ("ann", "Ann")
    assert (one["joined"], one["joinInferred"], one["left"]) == (text(since), True, None)
    script.deliver([Event("joined", since - timedelta(seconds=1), "c", "ann")])
    _, one = only(script)
    assert (one["joined"], one["joinInferred"]) == (text(since - timedelta(seconds=1)), False)


def test_late_join_and_leave_events_replace_inferred_times(script, clock, look):
    script.service.api.token(script.link)
    joined = clock.now
    look("c")
    script.deliver([Event("left", joined + timedelta(seconds=30), "c", reason="left")])
    script.deliver([Event("joined", joined, "c", "ann")])
    _, one = only(script)
    assert (one["joined"], one["left"]) == (text(joined), text(joined + timedelta(seconds=30)))
    assert (one["inferred"], one["joinInferred"]) == (False, False)


def test_incomplete_list_only_adds_people(script, clock, look):
    join(script, clock)
    for _ in range(4):
        look("d", complete=False)
    there = script.service.api.attendees(script.link, active="true")
    assert {one["id"] for person in there for one in person["connections"]} == {"c", "d"}


def test_listed_person_stays_active_without_events(script, clock, look):
    join(script, clock)
    for _ in range(60):
        clock.step(hours=1)
        look("c")
    assert only(script)[0]["active"]
    clock.step(hours=25)
    assert not only(script)[0]["active"]


def test_join_during_the_list_request_is_not_missed(script, clock, look, service, app):
    join(script, clock)

    def list_connections(session):
        clock.step(seconds=1)
        script.deliver([Event("joined", clock.now, "d", "bob")])
        return Roster([RosterConnection("c")], complete=True)

    service.provider.list_connections = list_connections
    for _ in range(2):
        clock.step(minutes=1)
        with app.app_context():
            look.job.run()
    people = {person["attendee"]: person["active"] for person in service.api.attendees(script.link)}
    assert people == {"ann": True, "bob": True}


@pytest.mark.parametrize("error", [ProviderUnavailable(), RuntimeError("a bug"), SystemExit("a bug")])
def test_failing_provider_proves_no_leave(script, clock, look, service, app, error):
    join(script, clock)
    service.provider.roster = error
    for _ in range(3):
        clock.step(minutes=1)
        with app.app_context():
            look.job.run()
    assert only(script)[0]["active"]
    look()
    assert only(script)[0]["active"], "the first list after it is the first"


def test_names_in_a_list_are_cleaned_as_those_in_webhooks(script, look):
    script.service.api.token(script.link)
    look(RosterConnection("c", "a\u0000", "x" * 5000), RosterConnection("d" * 256))
    person, _ = only(script)
    assert (person["attendee"], person["name"]) == ("a\ufffd", "x" * 255)


def test_ended_meeting_is_polled_only_while_people_remain(script, clock, look, service):
    asked = []
    ask = service.provider.list_connections
    service.provider.list_connections = lambda session: (asked.append(session), ask(session))[1]
    join(script, clock)
    look("c")
    assert len(asked) == 1
    service.api("PATCH", f"/session/{script.link}/end")
    look("c")
    assert len(asked) == 1, "all connections were closed by the end"
    script.deliver([Event("joined", clock.now, "d", "bob")])
    look()
    look()
    assert len(asked) == 3
    look()
    assert len(asked) == 3
    assert script.service.api.attendees(script.link, active="true") == []


def test_rosters_are_reconciled_every_minute(app):
    assert services(app).jobs.works["reconcile_rosters"].every_seconds == 60


@few_and_many(15, 400)
def test_lists_and_webhooks_in_any_order_give_the_true_presence(service, clock, look, count):
    """Whatever was inferred meanwhile: once all webhooks are there, the answer is what they say."""

    @settings(max_examples=count, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.sampled_from(("look with", "look without", "joined", "left", "activity")), max_size=8))
    def check(steps):
        script = Script(service)
        script.link = script.create()
        service.api.token(script.link)
        begin = clock.now
        events = {
            "joined": Event("joined", begin, "c", "ann"),
            "activity": Event("activity", begin + timedelta(seconds=10), "c", "ann"),
            "left": Event("left", begin + timedelta(seconds=30), "c", reason="left"),
        }
        for step in steps:
            if step in events:
                script.deliver([events[step]])
            else:
                look(*(["c"] if step == "look with" else []))
        script.deliver(list(events.values()))
        _, one = only(script)
        assert (one["joined"], one["left"], one["reason"]) == (text(begin), text(begin + timedelta(seconds=30)), "left")
        assert (one["inferred"], one["joinInferred"]) == (False, False)
        service.api("PATCH", f"/session/{script.link}/end")  # its roster is not asked for in later examples

    check()
