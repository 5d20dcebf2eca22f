"""Whatever changes a meeting, a connection or an archive leaves a change row: every test's application is watched."""

import pytest
from sqlalchemy import select, text, update

from tests.support.change_guard import is_seen, watch
from tests.support.service import ON_POSTGRESQL
from videoconf.db.transactions import write
from videoconf.db.types import db
from videoconf.events.changes import MEETING, announce, note_change
from videoconf.events.types import EventType
from videoconf.meetings.models import Meeting

SEEN = {
    "UPDATE meeting SET end_time=now() WHERE id = 1 RETURNING id": True,
    "UPDATE meeting SET roster_on=now() WHERE id = 1": False,
    "UPDATE attendee_connection SET missed_on=now() WHERE meeting_id = 1": False,
    "UPDATE attendee_connection SET absent_on=missed_on, missed_on=NULL WHERE meeting_id = 1": True,
    "UPDATE archive SET check_due_at=now() WHERE id = 1": False,
    "UPDATE archive SET status='x', check_due_at=now() WHERE id = 1": True,
    "INSERT INTO attendee_connection (meeting_id) VALUES (1)": True,
    "DELETE FROM archive WHERE id = 1": True,
}


@pytest.mark.parametrize("statement", SEEN)
def test_guard_knows_which_statements_a_get_shows(statement):
    verb = " ".join(statement.split()[: 1 if statement.startswith("UPDATE") else 2])
    table = statement.split()[1 if verb == "UPDATE" else 2]
    assert is_seen(verb, table, statement) is SEEN[statement]


@ON_POSTGRESQL
def test_guard_finds_a_change_without_a_row(service):
    link = service.api.create()
    with service.app.app_context():
        found = watch(db.engine, writers=__file__)
        for changed, is_noted in (({"ext_id": "a"}, True), ({"roster_on": None}, False), ({"ext_id": "b"}, False)):
            with write() as session:
                row = session.execute(select(Meeting.id).where(Meeting.meeting_link == link)).scalar_one()
                session.execute(update(Meeting.__table__).where(Meeting.id == row).values(changed))
                if is_noted:
                    note_change(session, row, MEETING)
    assert [one.startswith("UPDATE meeting SET ext_id") for one in found] == [True]


@pytest.fixture
def meeting(service):
    link = service.api.create()
    service.project()
    with service.app.app_context(), write() as session:
        return link, session.execute(text("SELECT id FROM meeting")).scalar_one()


def test_fact_becomes_an_event_unchanged(service, meeting):
    link, meeting_id = meeting
    fact = {"lobbyId": "w-1", "name": "Ann", "attendee": "guest-1"}
    with service.app.app_context(), write() as session:
        note_change(session, meeting_id, MEETING)
        announce(session, meeting_id, EventType.LOBBY_WAITING, fact)
    service.project()
    event = service.api("GET", f"/events?meetingLink={link}").json["items"][-1]
    assert (event["type"], event["data"], event["sequence"]) == ("lobby.waiting", fact, 2)
    assert service.api("DELETE", "/persons?attendee=guest-1").status == 200
    erased = service.api("GET", f"/events?meetingLink={link}").json["items"][-1]
    assert erased["data"] == {"lobbyId": "w-1", "name": None, "attendee": None}


def test_rolled_back_fact_makes_no_event(service, meeting):
    link, meeting_id = meeting
    with service.app.app_context(), write() as session:
        announce(session, meeting_id, EventType.ATTENDEE_BANNED, {"attendee": "ann"})
        session.rollback()
    service.project()
    assert len(service.api("GET", f"/events?meetingLink={link}").json["items"]) == 1


def test_derived_type_is_not_announced(service, meeting):
    with service.app.app_context(), pytest.raises(ValueError, match="derived"), write() as session:
        announce(session, meeting[1], EventType.MEETING_ENDED, {})


def test_several_changes_of_one_part_are_one_event(service, meeting):
    link, meeting_id = meeting
    with service.app.app_context(), write() as session:
        for _ in range(5):
            note_change(session, meeting_id, MEETING)
    for name in ("a", "b", "c"):
        service.api("PATCH", f"/session/{link}", {"extId": name})
    service.project()
    events = service.api("GET", f"/events?meetingLink={link}").json["items"]
    assert [one["type"] for one in events] == ["meeting.created", "meeting.updated"]


def test_unreadable_meeting_delays_no_other(service, meeting):
    first, meeting_id = meeting
    service.provider.session_id = "s-2"
    second = service.api.create()
    with service.app.app_context(), write() as session:
        session.execute(text("UPDATE event_part SET data = '{}' WHERE meeting_id = :id"), {"id": meeting_id})
    for link in (first, second):
        assert service.api("PATCH", f"/session/{link}", {"extId": "lesson"}).status == 204
    service.project()
    assert [one["meetingLink"] for one in service.api("GET", "/events").json["items"]] == [first, second]
