"""The laws of attendance, one by one, told as a sender might tell them."""

import json
from datetime import timedelta

import pytest

from tests.integration.attendance.model import Event, text
from tests.integration.attendance.scripted import Script
from videoconf.api.attendees import AttendanceSchema, AttendeeSchema


@pytest.fixture
def script(service):
    script = Script(service)
    script.link = script.create()
    return script


@pytest.fixture
def at(clock):
    begin = clock.now
    return lambda minute: begin + timedelta(minutes=minute)


def shown(script, **query):
    """Return each connection's joined, left and inferred, in minutes."""
    people = script.service.api.attendees(script.link, **query)
    assert script.service.api.attendees(script.link, page="1", **query) == people
    return {
        one["id"]: (one["joined"], one["left"], one["inferred"]) for person in people for one in person["connections"]
    }


def told(kind, connection, at, connected_at=None, who="ann", reason=None):
    return Event(kind, at, connection, who, None, connected_at, reason)


HISTORIES = {
    "a leave before its join": ([("left", "c", 20, None), ("joined", "c", 10, None)], {"c": (10, 20, False)}),
    "a join reported again after the leave": (
        [("joined", "c", 10, None), ("left", "c", 20, None), ("joined", "c", 10, None)],
        {"c": (10, 20, False)},
    ),
    "one of two tabs closed": (
        [("joined", "a", 10, None), ("joined", "b", 11, None), ("left", "a", 20, None)],
        {"a": (10, 20, False), "b": (11, None, False)},
    ),
    "the old connection's leave after the new one's join": (
        [("joined", "old", 10, None), ("joined", "new", 11, None), ("left", "old", 12, None)],
        {"old": (10, 12, False), "new": (11, None, False)},
    ),
    "a camera switched off": (
        [("joined", "c", 10, None), ("activity", "c", 15, None)],
        {"c": (10, None, False)},
    ),
    "a leave alone that says since when": ([("left", "c", 20, 10)], {"c": (10, 20, False)}),
    "a leave that says an impossible since when": ([("left", "c", 20, -25 * 60)], {"c": (None, 20, False)}),
    "a leave before its connection was made": ([("left", "c", 20, 60)], {"c": (None, 20, False)}),
    "a join that says an impossible since when": ([("joined", "c", 10, -30_000_000)], {"c": (10, None, False)}),
    "a join a little before its connection was made": ([("joined", "c", 10, 14)], {"c": (14, None, False)}),
    "a leave alone": ([("left", "c", 20, None)], {"c": (None, 20, False)}),
    "a room that closed": (
        [("joined", "c", 10, None), ("session_closed", None, 50, None)],
        {"c": (10, 50, True)},
    ),
    "a room that closed, then a late leave": (
        [("joined", "c", 10, None), ("session_closed", None, 50, None), ("left", "c", 20, None)],
        {"c": (10, 20, False)},
    ),
    "a room that closed and opened again": (
        [("joined", "a", 10, None), ("session_closed", None, 50, None), ("joined", "b", 60, None)],
        {"a": (10, 50, True), "b": (60, None, False)},
    ),
    "only signs of life": ([("activity", "c", 30, None), ("activity", "c", 15, None)], {"c": (15, None, False)}),
    "a sign of life stamped after the leave": (
        [("activity", "c", 30, None), ("left", "c", 20, None)],
        {"c": (None, 20, False)},
    ),
    "a leave and a join at one moment": (
        [("joined", "c", 10, None), ("left", "c", 10, None)],
        {"c": (10, 10, False)},
    ),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_history_gives_the_expected_connections(script, at, clock, history):
    events, wanted = HISTORIES[history]
    clock.now = at(70)
    for kind, connection, minute, since in events:
        script.deliver(
            [told(kind, connection, at(minute), None if since is None else at(since), "ann" if connection else None)]
        )

    def time(minute):
        return None if minute is None else text(at(minute))

    assert shown(script) == {
        id: (time(joined), time(left), inferred) for id, (joined, left, inferred) in wanted.items()
    }


def test_join_without_a_join_event_is_marked_as_inferred(script, at):
    script.deliver([told("activity", "c", at(0))])
    [person] = script.service.api.attendees(script.link)
    assert person["connections"][0]["joinInferred"] is True
    script.deliver([told("joined", "c", at(-5))])
    [person] = script.service.api.attendees(script.link)
    assert person["connections"][0] | {"joinInferred": False, "joined": text(at(-5))} == person["connections"][0]


def test_the_earliest_evidence_names_the_attendee(script, at):
    script.deliver([told("activity", "c", at(5), who="later"), told("joined", "c", at(1), who="early")])
    assert [one["attendee"] for one in script.service.api.attendees(script.link)] == ["early"]


def test_first_sign_of_presence_orders_people(script, at, clock):
    """In each form of the list. Lea has no join that is known, so that her last evidence has to do."""
    clock.now = at(70)
    script.deliver([told("activity", "z", at(1), who="zoe"), told("activity", "z", at(30), who="zoe")])
    script.deliver([told("joined", "b", at(10), who="bob"), told("activity", "a", at(40), who="ann")])
    script.deliver([told("joined", "a", at(40), who="ann")])
    script.deliver([told("left", "l", at(4), who="lea"), told("activity", "l", at(20), who="lea")])
    for query in ({}, {"page": "1"}, {"streams": "true"}):
        people = script.service.api.attendees(script.link, **query)
        assert [person["attendee"] for person in people] == ["zoe", "bob", "lea", "ann"], query


def test_connections_of_a_person_are_in_order_of_joins(script, at, clock):
    """One whose join is not known has the place of its last evidence."""
    clock.now = at(70)
    script.deliver([told("joined", "a", at(10)), told("left", "b", at(5)), told("joined", "c", at(1))])
    script.deliver([told("left", "c", at(30))])
    for query in ({}, {"page": "1"}, {"streams": "true"}):
        [person] = script.service.api.attendees(script.link, **query)
        assert [one["id"] for one in person["connections"]] == ["c", "b", "a"], query


def test_silent_connection_is_closed_after_a_day(script, at, clock):
    script.deliver([told("joined", "c", at(0)), told("activity", "c", at(30))])
    clock.now = at(30) + timedelta(hours=24) - timedelta(seconds=1)
    assert shown(script, active="true") == {"c": (text(at(0)), None, False)}
    clock.step(seconds=1)
    given_up = {"c": (text(at(0)), text(at(30) + timedelta(hours=24)), True)}
    assert shown(script, active="false") == given_up
    clock.step(days=3)
    script.deliver([Event("session_closed", clock.now)])
    assert shown(script) == given_up, "a closing that comes later changes nothing"


def test_a_join_after_the_end_shows(script, at, clock):
    assert script.service.api("PATCH", f"/session/{script.link}/end").status == 204
    script.deliver([told("joined", "before", at(-1)), told("joined", "after", at(10))])
    assert {id: left is None for id, (_, left, _) in shown(script).items()} == {"before": False, "after": True}


def test_handwritten_answers_match_their_schemas(script, at):
    """The list and the report are not written by their schemas; they must agree with them anyway."""
    script.deliver([told("joined", "c", at(0)), told("left", "c", at(5), reason="left"), told("joined", "d", at(1))])
    [person] = script.service.api("GET", f"/session/{script.link}/attendees?streams=true").json
    report = script.service.api("GET", f"/session/{script.link}/attendance").json

    def members(schema):
        return {field.data_key for field in schema.fields.values()}

    listed, reported = AttendeeSchema(), AttendanceSchema()
    row = reported.fields["attendees"].inner.schema
    assert person.keys() == members(listed)
    assert person["connections"][0].keys() == members(listed.fields["connections"].inner.schema)
    assert report.keys() == members(reported)
    assert report["attendees"][0].keys() == members(row)
    assert report["attendees"][0]["intervals"][0].keys() == members(row.fields["intervals"].inner.schema)
    for schema, document in ((AttendeeSchema(), person), (AttendanceSchema(), report)):
        assert json.loads(schema.dumps(schema.load(document))) == document
