"""Ids are a meeting's own: the same connection, stream and person at other meetings stay as they were."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.integration.attendance.model import Event
from tests.integration.attendance.scripted import Script
from videoconf.api.services import services
from videoconf.db.transactions import read
from videoconf.db.types import db
from videoconf.meetings.models import Meeting
from videoconf.providers import Roster, RosterConnection
from videoconf.tenancy import Caller


class Three:
    """Three meetings with the same ids in them: ours, its sibling of the same tenant, and another tenant's."""

    def __init__(self, service, clock, app):
        self.service, self.clock, self.app = service, clock, app
        self.begin = clock.now
        other = service.caller_with(tenant="other")
        self.ours, self.sibling, self.stranger = (self.hold(api) for api in (service.api, service.api, other))
        clock.step(minutes=10)

    def hold(self, api):
        script = Script(self.service)
        self.service.provider.session_id = script.session_id
        script.api, script.link = api, api.create()
        script.deliver([Event("joined", self.begin, "c", "ann", "Ann"), Event("joined", self.begin, "d", "bob")])
        self.stream(script, published=True, minutes=1)
        return script

    def stream(self, script, *, published, minutes, stream="s"):
        at = self.begin + timedelta(minutes=minutes)
        event = {
            "kind": "activity",
            "dedupe_key": f"{script.session_id}-{stream}-{minutes}",
            "session_id": script.session_id,
            "connection_id": "c",
            "at": at.isoformat(),
            "stream": {"stream_id": stream, "is_published": published},
        }
        answer = self.service.post(self.service.signed(json.dumps([event]).encode()))
        assert answer.status == 204, answer

    def rosters(self, **lists):
        """Answer with a list for ours, and with both people for the others."""
        everybody = [RosterConnection("c", "ann"), RosterConnection("d", "bob")]

        def list_connections(session):
            connections = lists["ours"] if session.session_id == self.ours.session_id else everybody
            return Roster(connections, complete=True)

        self.service.provider.list_connections = list_connections
        for _ in range(2):
            self.clock.step(minutes=1)
            with self.app.app_context():
                services(self.app).jobs.run_now("reconcile_rosters")

    def rows(self, *scripts):
        """Return all that is stored of these meetings, but when the provider was asked last."""
        found = {}
        links = [script.link for script in scripts]
        with self.app.app_context(), read() as session:
            ids = list(session.execute(select(Meeting.id).where(Meeting.meeting_link.in_(links))).scalars())
            for name in ("meeting", "attendee_connection", "attendee_stream"):
                table = db.metadata.tables[name]
                of_meeting = table.c.id if name == "meeting" else table.c.meeting_id
                columns = [column for column in table.c if column.name != "roster_on"]
                rows = session.execute(select(*columns).where(of_meeting.in_(ids))).all()
                found[name] = sorted(map(str, rows))
        return found


@pytest.fixture
def three(service, clock, app):
    return Three(service, clock, app)


def leaves(three):
    three.ours.deliver([Event("left", three.begin + timedelta(minutes=5), "c", reason="left")])


def joins_again(three):
    three.ours.deliver([Event("joined", three.begin + timedelta(minutes=6), "c", "ann", "Ann B")])


def is_seen(three):
    three.ours.deliver([Event("activity", three.begin + timedelta(minutes=6), "c")])


def closes(three):
    three.ours.deliver([Event("session_closed", three.begin + timedelta(minutes=6))])


def stops_sending(three):
    three.stream(three.ours, published=False, minutes=5)


def sends_more(three):
    three.stream(three.ours, published=True, minutes=5, stream="screen")


def sends_again(three):
    three.stream(three.ours, published=True, minutes=7)


def is_missed(three):
    three.rosters(ours=[RosterConnection("d", "bob")])


def is_found(three):
    three.rosters(ours=[RosterConnection(name) for name in ("c", "d", "e")])


def ends(three):
    assert three.ours.api("PATCH", f"/session/{three.ours.link}/end").status == 204


@pytest.mark.parametrize(
    "change",
    [leaves, joins_again, is_seen, closes, stops_sending, sends_more, sends_again, is_missed, is_found, ends],
    ids=lambda change: change.__name__,
)
def test_change_concerns_ids_of_its_own_meeting(three, change):
    ours, others = three.rows(three.ours), three.rows(three.sibling, three.stranger)
    change(three)
    assert three.rows(three.ours) != ours
    assert three.rows(three.sibling, three.stranger) == others


def test_erasure_concerns_its_tenants_meetings(three):
    """Streams of other people at the same meetings stay, and so does everything of the other tenant."""
    event = Event("joined", three.begin, "e", "ann")
    three.sibling.deliver([event])
    stranger, ours = three.rows(three.stranger), three.rows(three.ours)
    with three.app.app_context():
        assert services(three.app).persons.erase(Caller("operator", "default"), "ann")["connections"] == 3
    assert three.rows(three.stranger) == stranger
    after = three.rows(three.ours)
    assert (len(ours["attendee_stream"]), len(after["attendee_stream"])) == (1, 0)
    assert len(set(ours["attendee_connection"]) & set(after["attendee_connection"])) == 1
    with three.app.app_context(), read() as session:
        table = db.metadata.tables["attendee_connection"]
        of_person = [table.c[name] for name in ("attendee", "attendee_at", "name", "name_at")]
        left = set(session.execute(select(*of_person).where(table.c.erased_on.is_not(None))).all())
    assert left == {(None, None, None, None)}


def test_erased_person_of_one_tenant_gets_no_new_data(three):
    with three.app.app_context():
        services(three.app).persons.erase(Caller("operator", "default"), "ann")
    for script in (three.ours, three.stranger):
        three.stream(script, published=True, minutes=6, stream="screen")
    assert len(three.rows(three.ours)["attendee_stream"]) == 0
    assert len(three.rows(three.stranger)["attendee_stream"]) == 2


def test_muting_names_streams_of_its_own_meeting(three, service):
    muted = []
    service.provider.mute = lambda session, connection, streams: muted.append((session.session_id, connection, streams))
    three.stream(three.sibling, published=True, minutes=4, stream="screen")
    three.stream(three.stranger, published=True, minutes=4, stream="desk")
    assert three.ours.api("POST", f"/session/{three.ours.link}/attendees/c/mute").status == 204
    assert muted == [(three.ours.session_id, "c", {"c": ["s"]})]


def test_export_holds_its_tenants_meetings(three):
    names = {three.ours: "of ours", three.sibling: "of sibling", three.stranger: "of stranger"}
    for script, name in names.items():
        three.stream(script, published=True, minutes=4, stream=name)
    with three.app.app_context():
        exported = services(three.app).persons.export(Caller("operator", "default"), "ann")
    assert (exported["attendee"], exported["tenant"]) == ("ann", "default")
    connections = [(one["meetingLink"], one["sessionId"], one["connectionId"]) for one in exported["connections"]]
    assert connections == [(script.link, script.session_id, "c") for script in (three.ours, three.sibling)]
    streams = [(one["meetingLink"], one["connectionId"], one["streamId"]) for one in exported["streams"]]
    assert streams == [
        (script.link, "c", stream) for script in (three.ours, three.sibling) for stream in (names[script], "s")
    ]


def test_binding_one_session_applies_its_orphans_alone(service, clock, app):
    """Webhooks wait for three unknown sessions; the meeting that comes binds one of them."""
    scripts = [Script(service) for _ in range(3)]
    for script in scripts:
        script.deliver([Event("joined", clock.now, "c", "ann"), Event("joined", clock.now, "d", "bob")])
    before = inbox(app)
    assert {row.status for row in before.values()} == {"orphan"}
    link = scripts[1].create()
    after = inbox(app)
    changed = {id for id in before if after[id] != before[id]}
    assert {before[id].session_id for id in changed} == {scripts[1].session_id}
    assert [(after[id].status, after[id].event) for id in changed] == [("applied", None)] * 2
    assert {person["attendee"] for person in service.api.attendees(link)} == {"ann", "bob"}


def inbox(app):
    with app.app_context(), read() as session:
        return {row.id: row for row in session.execute(select(db.metadata.tables["webhook_event"])).all()}
