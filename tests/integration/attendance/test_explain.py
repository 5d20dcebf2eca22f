"""Why an attendee shows as they do: the words of each law, by the command and over HTTP."""

from datetime import timedelta

import pytest

from tests.integration.attendance.model import Event, text
from tests.integration.attendance.scripted import Script
from tests.support.commands import run, run_json
from videoconf.api.services import services
from videoconf.attendance.roster import RosterReconciler
from videoconf.errors import MeetingNotFound
from videoconf.providers import Roster


@pytest.fixture
def script(service):
    script = Script(service)
    script.link = script.create()
    return script


def event(kind, at, connection="c", who="ann", reason=None):
    return Event(kind, at, connection, who, None, None, reason)


def minutes(begin, count):
    return begin + timedelta(minutes=count)


def leaves(script, app, clock):
    script.deliver([event("joined", clock.now), event("left", minutes(clock.now, 5), reason="networkDisconnected")])
    clock.step(minutes=10)


def room_closes(script, app, clock):
    script.deliver([event("joined", clock.now), Event("session_closed", minutes(clock.now, 5))])
    clock.step(minutes=10)


def meeting_ends(script, app, clock):
    script.deliver([event("joined", minutes(clock.now, -5))])
    assert script.service.api("PATCH", f"/session/{script.link}/end").status == 204


def roster_lacks_it(script, app, clock):
    script.deliver([event("joined", minutes(clock.now, -30))])
    script.service.provider.roster = Roster((), complete=True)
    with app.app_context():
        parts = services(app)
        for _ in range(3):
            clock.step(minutes=3)
            RosterReconciler(parts.providers, parts.settings, clock).run()


def falls_silent(script, app, clock):
    script.deliver([event("joined", clock.now)])
    clock.step(hours=25)


def stays(script, app, clock):
    script.deliver([event("joined", clock.now)])
    clock.step(minutes=10)


def comes_back(script, app, clock):
    script.deliver([event("joined", clock.now), event("left", minutes(clock.now, 5))])
    script.deliver([event("joined", minutes(clock.now, 6))])
    clock.step(minutes=10)


CASES = {
    "a reported leave": (leaves, "left", ["Law 1: the provider reported a leave", "networkDisconnected"]),
    "a closed room": (room_closes, "closed", ["Law 2, closing", "before the room's closing", "room closed at"]),
    "an ended meeting": (
        meeting_ends,
        "closed",
        ["Law 2, closing", "before the meeting's end", "was ended at"],
    ),
    "a roster that lacks it": (roster_lacks_it, "absent", ["Law 2, roster", "lacked", "reason 'reconciled'"]),
    "long silence": (falls_silent, "silent", ["Law 2, silence", "no evidence came for 24 h", "CONNECTION_CAP_HOURS"]),
    "a present connection": (stays, "present", ["Law 3", "No leave was reported", "is there now"]),
    "a join after a leave": (comes_back, "present", ["Law 3", "A join is later than the reported leave"]),
}


@pytest.mark.parametrize("case", CASES)
def test_explanation_names_the_law_that_decided(script, app, clock, case):
    happen, law, words = CASES[case]
    happen(script, app, clock)

    over_http = script.service.api("GET", f"/session/{script.link}/explanation?attendee=ann")
    assert over_http.status == 200, over_http
    [connection] = over_http.json["connections"]
    assert connection["law"] == law
    [listed] = script.service.api.attendees(script.link)
    assert over_http.json["active"] == listed["active"] == (law == "present")
    assert (connection["joined"], connection["left"]) == (
        listed["connections"][0]["joined"],
        listed["connections"][0]["left"],
    )

    printed = run(app, "explain", script.link, "ann")
    assert printed.exit_code == 0, printed.output
    for word in words:
        assert word in printed.stdout
        assert word in str(over_http.json)
    assert run_json(app, "explain", script.link, "ann") == over_http.json
    others = [other for _, other, (said, *_) in CASES.values() if other != law and said in printed.stdout]
    assert others == [], "the words of one law only"


def test_explanation_reports_a_join_inferred_from_activity(script, app, clock):
    script.deliver([event("activity", clock.now)])
    printed = run(app, "explain", script.link, "ann").stdout
    assert "The provider reported no join." in printed
    assert f"joined at {text(clock.now)}, inferred from its first activity (law 4)" in printed


def test_explanation_reports_an_unknown_join(script, app, clock):
    script.deliver([event("left", clock.now)])
    assert "Its join is unknown (law 4" in run(app, "explain", script.link, "ann").stdout


def test_explanation_covers_each_connection_of_an_attendee(script, app, clock):
    script.deliver([event("joined", clock.now, "a"), event("joined", clock.now, "b"), event("left", clock.now, "a")])
    answer = script.service.api("GET", f"/session/{script.link}/explanation?attendee=ann").json
    assert [(one["id"], one["law"]) for one in answer["connections"]] == [("a", "left"), ("b", "present")]
    assert "1 of 2 connections shows no leave" in answer["result"]


def test_an_anonymous_participant_is_found_by_connection(script, app, clock):
    script.deliver([event("joined", clock.now, "c-7", who=None), event("joined", clock.now, "c-8", who=None)])
    answer = script.service.api("GET", f"/session/{script.link}/explanation?attendee=c-7").json
    assert answer["attendee"] is None
    assert [one["id"] for one in answer["connections"]] == ["c-7"]


def test_an_unmentioned_attendee_answers_404(script, app):
    answer = script.service.api("GET", f"/session/{script.link}/explanation?attendee=nemo")
    assert answer.problem == (404, "connection_not_found")
    refused = run(app, "explain", script.link, "nemo")
    assert refused.exit_code == 1
    assert "mentioned this attendee" in refused.output


def test_another_tenants_meeting_is_not_explained(script, app, clock):
    script.deliver([event("joined", clock.now)])
    stranger = script.service.caller_with(tenant="other")
    assert stranger("GET", f"/session/{script.link}/explanation?attendee=ann").problem == (404, "meeting_not_found")
    assert run(app, "explain", script.link, "ann", "--tenant", "other").exit_code == 1


def test_link_that_begins_with_a_dash_is_an_argument(app):
    refused = run(app, "explain", "-rZFiCe2Ume5K39My3FY_Q", "-ann")
    assert (refused.exit_code, refused.stderr) == (1, f"Error: {MeetingNotFound()}\n")
