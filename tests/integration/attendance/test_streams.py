"""What connections send: the same events give the same streams, in any order and however often they come."""

import json
import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event as listened
from sqlalchemy import select, text

from tests.integration.attendance.scripted import Script
from tests.support.laws import few_and_many
from tests.support.service import ON_POSTGRESQL, at_once
from videoconf.attendance.streams import find_streams
from videoconf.cli.main import commands
from videoconf.db.transactions import read, write
from videoconf.db.types import db
from videoconf.meetings.models import Meeting
from videoconf.providers.cleaning import LONGEST_TEXT

KINDS = ("published", "published", "gone", "joined", "left")


@dataclass(frozen=True)
class Told:
    """One event: that a stream is published or gone, or that its connection joined or left."""

    kind: str
    minute: int
    connection: str = "ann"
    stream: str = "camera"


def written(told, script, key):
    streams = {"published": True, "gone": False}
    document = {
        "kind": "activity" if told.kind in streams else told.kind,
        "dedupe_key": key,
        "session_id": script.session_id,
        "connection_id": told.connection,
        "attendee": told.connection,
        "at": (script.begin + timedelta(minutes=told.minute)).isoformat(),
    }
    if told.kind in streams:
        document["stream"] = {"stream_id": told.stream, "is_published": streams[told.kind]}
    return document


class StreamScript(Script):
    """One meeting's webhooks."""

    def __init__(self, service, clock, app):
        super().__init__(service)
        self.app, self.begin, self.link = app, clock.now, None

    def create(self):
        self.link = super().create()

    def tell(self, *all_told, known_again=True):
        """Post each in a webhook of its own. Not ``known_again``: as if the inbox had forgotten it meanwhile."""
        for told in all_told:
            key = f"{self.session_id}:{told}" if known_again else uuid.uuid4().hex
            body = json.dumps([written(told, self, key)]).encode()
            answer = self.service.post(self.service.signed(body))
            assert answer.status == 204, answer

    def streams(self):
        with self.app.app_context(), read() as session:
            meeting_id = session.execute(select(Meeting.id).where(Meeting.meeting_link == self.link)).scalar_one()
            return find_streams(session, meeting_id)


@pytest.fixture
def make_script(service, clock, app):
    return lambda: StreamScript(service, clock, app)


@pytest.fixture
def script(make_script):
    script = make_script()
    script.create()
    return script


def expected(all_told):
    """Work out from the events themselves which streams are there."""

    def last(kind, connection, stream=None):
        times = [one.minute for one in all_told if (one.kind, one.connection) == (kind, connection)
                 and stream in (None, one.stream)]  # fmt: skip
        return max(times, default=-1)

    there = {}
    for connection, stream in sorted({(one.connection, one.stream) for one in all_told}):
        has_left = last("left", connection) >= max(last("joined", connection), 0)
        if last("published", connection, stream) > last("gone", connection, stream) and not has_left:
            there.setdefault(connection, []).append(stream)
    return there


told = st.builds(
    Told, st.sampled_from(KINDS), st.integers(0, 4), st.sampled_from(("ann", "bob")), st.sampled_from(("a", "b"))
)


@few_and_many(20, 600)
def test_order_repetition_and_a_late_create_change_nothing(make_script, count):
    @settings(max_examples=count, suppress_health_check=list(HealthCheck), deadline=None, derandomize=True)
    @given(st.lists(told, min_size=1, max_size=7, unique=True), st.data())
    def check(events, data):
        again = data.draw(st.lists(st.sampled_from(events), max_size=4))
        order = data.draw(st.permutations([*events, *again]))
        before_create = data.draw(st.integers(0, len(order)))
        script = make_script()
        for number, one in enumerate(order):
            if number == before_create:
                script.create()
            script.tell(one, known_again=data.draw(st.booleans()))
        if script.link is None:
            script.create()
        assert script.streams() == expected(events)

    check()


@ON_POSTGRESQL
def test_concurrent_events_and_create_give_the_same_streams(make_script):
    chance = random.Random(7)
    for _ in range(20):
        events = list({Told(chance.choice(KINDS), chance.randrange(5), stream=chance.choice("ab")) for _ in range(8)})
        script = make_script()

        def tell_all(seed, script=script, events=events):
            script.tell(*random.Random(seed).sample(events, len(events)), known_again=seed % 2 == 0)

        at_once([script.create, *(lambda seed=seed, tell=tell_all: tell(seed) for seed in range(6))])
        assert script.streams() == expected(events)


CAMERA, SCREEN = Told("published", 1), Told("published", 2, stream="screen")
LAWS = {
    "two streams of one": ([CAMERA, SCREEN], {"ann": ["camera", "screen"]}),
    "one of two is gone": ([CAMERA, SCREEN, Told("gone", 3)], {"ann": ["screen"]}),
    "one name, two people": ([CAMERA, Told("published", 1, "bob")], {"ann": ["camera"], "bob": ["camera"]}),
    "gone is all that is known": ([Told("gone", 3)], {}),
    "published and gone at one moment": ([CAMERA, Told("gone", 1)], {}),
    "published again": ([CAMERA, Told("gone", 2), Told("published", 3)], {"ann": ["camera"]}),
    "the publisher has left": ([Told("joined", 0), CAMERA, Told("left", 3)], {}),
    "and came back under one id": (
        [Told("joined", 0), CAMERA, Told("left", 3), Told("joined", 4)], {"ann": ["camera"]}
    ),
    "left and joined at one moment": ([Told("joined", 0), CAMERA, Told("left", 3), Told("joined", 3)], {}),
    "a reconnect has another id": (
        [Told("joined", 0), CAMERA, Told("left", 3), Told("joined", 4, "ann2"), Told("published", 4, "ann2")],
        {"ann2": ["camera"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("events", "there"), LAWS.values(), ids=LAWS)
def test_events_in_any_order_give_the_expected_streams(make_script, events, there):
    assert expected(events) == there
    for order in list(permutations(events))[:24]:
        script = make_script()
        script.create()
        script.tell(*order)
        assert script.streams() == there, order


def test_streams_stay_with_their_own_meeting(make_script):
    one, other = make_script(), make_script()
    for script in (one, other):
        script.create()
    one.tell(CAMERA)
    assert (one.streams(), other.streams()) == ({"ann": ["camera"]}, {})


@pytest.mark.parametrize("id", ["", "x" * (LONGEST_TEXT + 1), "a\0b"], ids=["none", "long", "NUL"])
def test_unstorable_stream_id_is_omitted_and_presence_stays(script, id):
    script.tell(Told("published", 1, stream=id), Told("published", 1, stream="x" * LONGEST_TEXT), known_again=False)
    assert script.streams() == {"ann": ["x" * LONGEST_TEXT]}
    [ann] = script.service.api.attendees(script.link)
    assert (ann["attendee"], ann["active"]) == ("ann", True)


def test_orphan_with_members_of_a_newer_version_is_read(make_script, app):
    """During a rolling upgrade, a newer node may have stored an event that this one applies."""
    script = make_script()
    script.tell(CAMERA)
    with app.app_context(), write() as session:
        [(id, event)] = session.execute(text("SELECT id, event FROM webhook_event")).all()
        event = json.loads(event) if isinstance(event, str) else event
        later = json.dumps(event | {"mood": "good"})
        session.execute(text("UPDATE webhook_event SET event = :event WHERE id = :id"), {"event": later, "id": id})
    script.create()
    assert script.streams() == {"ann": ["camera"]}


def test_only_stream_events_cost_statements_for_streams(script, app):
    statements = []
    with app.app_context():
        listened.listen(db.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    counts = {}
    for told in (Told("joined", 0), CAMERA, Told("left", 3)):
        statements.clear()
        script.tell(told)
        # SQLite, which has no round trips, writes the change row by a statement of its own.
        apart = ("BEGIN", "COMMIT", "INSERT INTO change")
        counts[told.kind] = len(statements) - sum(one.startswith(apart) for one in statements)
        assert any("attendee_stream" in one for one in statements) is (told.kind == "published")
    assert counts == {"joined": 2, "published": 3, "left": 2}


# --- what is shown --------------------------------------------------------------------------------------------------


def listed(script, **query):
    """Return what the list has of streams, by connection: each stream with its times in minutes."""

    def minute(text):
        return None if text is None else (datetime.fromisoformat(text) - script.begin) // timedelta(minutes=1)

    return {
        connection["id"]: {
            one["id"]: (minute(one["publishedOn"]), minute(one["goneOn"])) for one in connection["streams"]
        }
        for attendee in script.service.api.attendees(script.link, streams="true", **query)
        for connection in attendee["connections"]
    }


SHOWN = {
    "never gone": ([CAMERA], {"camera": (1, None)}),
    "gone": ([CAMERA, Told("gone", 3)], {"camera": (1, 3)}),
    "published again": ([CAMERA, Told("gone", 2), Told("published", 3)], {"camera": (3, 2)}),
    "only its end is known": ([Told("gone", 3)], {"camera": (None, 3)}),
    "two of one": ([CAMERA, SCREEN, Told("gone", 3)], {"camera": (1, 3), "screen": (2, None)}),
    "its connection left": ([Told("joined", 0), CAMERA, Told("left", 3)], {"camera": (1, None)}),
    "no stream": ([Told("joined", 0)], {}),
}


@pytest.mark.parametrize(("events", "streams"), SHOWN.values(), ids=SHOWN)
def test_list_shows_the_latest_reports_of_each_stream(script, make_script, events, streams):
    other = make_script()
    other.create()
    other.tell(Told("published", 4))
    script.tell(*events, Told("published", 9, "bob", "b"))
    everyone = {"ann": streams, "bob": {"b": (9, None)}}
    assert listed(script) == everyone
    assert listed(script, page="1", pageSize="2") == everyone
    assert listed(script, limit="2") == everyone
    assert listed(script, page="2", pageSize="1") == {"bob": {"b": (9, None)}}
    assert listed(script, active="false") == ({"ann": streams} if events[-1].kind == "left" else {})


def test_long_list_has_each_stream_once(script, monkeypatch):
    monkeypatch.setattr("videoconf.attendance.streams.READ_AT_ONCE", 2)
    names = [f"p{number}" for number in range(7)]
    script.tell(*(Told("published", 1, name, stream) for name in names for stream in "ab"))
    assert listed(script) == {name: {"a": (1, None), "b": (1, None)} for name in names}


def test_list_without_streams_has_no_member_and_no_query_of_them(script, app):
    script.tell(CAMERA)
    statements = []
    with app.app_context():
        listened.listen(db.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    for query in ({}, {"streams": "false"}, {"limit": "5"}, {"page": "1"}):
        [ann] = script.service.api.attendees(script.link, **query)
        assert "streams" not in ann["connections"][0], query
    assert not [one for one in statements if "attendee_stream" in one]
    script.service.api.attendees(script.link, streams="true")
    assert [one for one in statements if "attendee_stream" in one]


def test_walk_by_cursor_keeps_to_its_streams(script):
    script.tell(CAMERA, Told("published", 1, "bob"))
    first = script.service.api("GET", f"/session/{script.link}/attendees?streams=true&limit=1")
    cursor = first.headers["X-Next-Cursor"]
    assert listed(script, limit="1", cursor=cursor) == {"bob": {"camera": (1, None)}}
    answer = script.service.api("GET", f"/session/{script.link}/attendees?limit=1&cursor={cursor}")
    assert answer.problem == (400, "cursor_invalid")


def test_explanation_has_a_sentence_for_each_stream(script):
    script.tell(CAMERA, SCREEN, Told("gone", 3), Told("published", 1, "bob", "b"))
    explained = script.service.api("GET", f"/session/{script.link}/explanation?attendee=ann").json
    said = [one for one in explained["connections"][0]["evidence"] if "stream" in one]
    times = [(script.begin + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z") for minute in (1, 2, 3)]
    assert said == [
        f"The provider last reported stream 'camera' as published at {times[0]} and as gone at {times[2]}.",
        f"The provider last reported stream 'screen' as published at {times[1]}.",
    ]


def test_erased_person_has_no_streams_in_the_list(script, app):
    script.tell(CAMERA, Told("published", 1, "bob"))
    person(app, "erase", "ann")
    script.tell(SCREEN, known_again=False)
    assert listed(script) == {"ann": {}, "bob": {"camera": (1, None)}}


# --- what is kept ---------------------------------------------------------------------------------------------------


def person(app, *arguments):
    result = app.test_cli_runner().invoke(commands, ["person", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def rows(app):
    with app.app_context(), read() as session:
        return session.execute(text("SELECT connection_id, stream_id FROM attendee_stream ORDER BY 1, 2")).all()


def test_export_has_the_streams_of_a_person(script, app):
    script.tell(CAMERA, SCREEN, Told("gone", 3), Told("published", 1, "bob"))
    told = json.loads(person(app, "export", "ann"))["streams"]
    assert [(one["meetingLink"], one["connectionId"], one["streamId"]) for one in told] == [
        (script.link, "ann", "camera"),
        (script.link, "ann", "screen"),
    ]
    published, gone = (datetime.fromisoformat(told[0][name]) for name in ("lastPublished", "lastGone"))
    assert (published, gone) == (script.begin + timedelta(minutes=1), script.begin + timedelta(minutes=3))
    assert told[1]["lastGone"] is None


def test_streams_of_an_erased_person_stay_deleted(script, make_script, app):
    other = make_script()
    other.create()
    other.tell(CAMERA)
    script.tell(CAMERA, SCREEN, Told("published", 1, "bob"))
    person(app, "erase", "ann")
    assert rows(app) == [("bob", "camera")]
    script.tell(CAMERA, Told("published", 4), Told("gone", 5), known_again=False)
    assert rows(app) == [("bob", "camera")]


def test_streams_are_deleted_with_their_meeting(script, app):
    script.tell(CAMERA, Told("joined", 0))
    with app.app_context(), write() as session:
        session.execute(text("DELETE FROM meeting"))
    assert rows(app) == []
