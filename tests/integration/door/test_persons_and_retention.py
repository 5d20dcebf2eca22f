"""What the door stores of a person is exported and erased, and what is over is deleted."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from tests.integration.door.steps import (
    come_in,
    connect,
    fall_silent,
    invite,
    knock,
    moderator,
    poll,
    wait,
    waiting,
)
from tests.support.service import service_of
from videoconf.api.services import services
from videoconf.db.transactions import read, write
from videoconf.door.models import Invitation, InvitationCode, LobbyEntry, Seat
from videoconf.events.models import Change, Event
from videoconf.meetings.models import Ban, Meeting

TABLES = (Invitation, InvitationCode, Seat, LobbyEntry, Ban)


def count(app) -> dict[str, int]:
    with app.app_context(), read() as session:
        return {
            table.__tablename__: session.execute(select(func.count()).select_from(table)).scalar_one()
            for table in TABLES
        }


def meet(service, api, attendee="ann"):
    """Let a person be invited, come in, ask at another link, and be banned; return the meeting and the link's code."""
    link = api.create()
    code = invite(api, link, attendee=attendee, name="Ann Example")["code"]
    connect(service, come_in(service, code))
    ticket = wait(service, invite(api, link, attendee=attendee, admission="ask")["code"])
    assert api("POST", f"/session/{link}/bans", {"attendee": attendee, "reason": "Ann is loud"}).status == 201
    return link, code, ticket


def test_person_is_exported_with_all_that_the_door_stores(service):
    link, _, _ = meet(service, service.api)
    meet(service, service.caller_with(tenant="other"))
    exported = service.api("GET", "/persons?attendee=ann").json
    assert [one["meetingLink"] for one in exported["invitations"]] == [link] * 2
    assert [(one["name"], one["uses"]) for one in exported["invitations"]] == [("Ann Example", 1), (None, 0)]
    assert [(one["meetingLink"], one["name"]) for one in exported["seats"]] == [(link, "Ann Example")]
    assert [(one["meetingLink"], one["state"]) for one in exported["lobbyEntries"]] == [(link, "waiting")]
    assert [(one["meetingLink"], one["reason"]) for one in exported["bans"]] == [(link, "Ann is loud")]


def test_erased_person_leaves_no_data_at_the_door(service, app):
    link, code, ticket = meet(service, service.api)
    other = service.caller_with(tenant="other")
    meet(service, other)
    bob = invite(service.api, link, attendee="bob", name="Bob")
    seat = come_in(service, bob["code"])["seat"]
    before = count(app)
    erased = service.api("DELETE", "/persons?attendee=ann").json
    assert erased == {"connections": 1, "invitations": 2, "seats": 1, "lobbyEntries": 1, "bans": 1}
    gone = {"seat": 1, "lobby_entry": 1, "ban": 1}
    assert count(app) == {table: number - gone.get(table, 0) for table, number in before.items()}
    assert knock(service, code).problem == (404, "invitation_not_found"), "a link without its person admits no guest"
    assert poll(service, ticket).problem == (404, "ticket_not_found")
    with app.app_context(), read() as session:
        rows = [
            row
            for table in (*TABLES, Event, Change)
            for row in session.execute(select(table.__table__)).mappings()
            if any(word in str(row) for word in ("'ann'", "Ann Example", "Ann is loud"))
        ]
        tenants = {session.get_one(Meeting, row["meeting_id"]).tenant for row in rows if "meeting_id" in row}
    assert tenants == {"other"}, "another tenant's ann is another person"
    assert come_in(service, bob["code"], seat=seat)["attendee"] == "bob"
    assert service.api("DELETE", "/persons?attendee=ann").json["invitations"] == 0


def test_erased_moderator_is_removed_from_their_actions(service, app):
    link = service.api.create()
    host, _ = moderator(service, link, attendee="host-4711", name="Mustermann")
    ticket = wait(service, invite(service.api, link, admission="ask")["code"])
    [entry] = waiting(service, link)
    assert host("POST", f"/session/{link}/lobby/{entry['id']}", {"admit": True}).status == 204
    assert host("POST", f"/session/{link}/bans", {"attendee": "eve"}).json["createdBy"] == "host-4711"
    with app.app_context():
        services(app).projector.run()
    assert service.api("DELETE", "/persons?attendee=host-4711").json["seats"] == 1
    with app.app_context(), read() as session:
        rows = [
            row
            for table in (*TABLES, Event, Change)
            for row in session.execute(select(table.__table__)).mappings()
            if "4711" in str(row) or "Mustermann" in str(row)
        ]
    assert rows == []
    assert [one["attendee"] for one in service.api("GET", f"/session/{link}/bans").json] == ["eve"]
    assert host("GET", f"/session/{link}/lobby").problem[0] == 401
    assert poll(service, ticket).status == 200


def run_now(app, kind):
    with app.app_context():
        services(app).jobs.run_now(kind)


def age(app, link, **columns):
    """Let these times of a meeting's rows be so many days ago."""
    with app.app_context(), write() as session:
        meeting = session.execute(select(Meeting).where(Meeting.meeting_link == link)).scalar_one()
        for name, days in columns.items():
            if name == "revoked_on":
                for one in session.execute(select(Invitation).where(Invitation.meeting_id == meeting.id)).scalars():
                    one.revoked_on = one.revoked_on and one.revoked_on - timedelta(days=days)
            else:
                setattr(meeting, name, getattr(meeting, name) - timedelta(days=days))


@pytest.mark.parametrize(("method", "path", "column"), [("PATCH", "/end", "end_time"), ("DELETE", "", "deleted_on")])
def test_door_data_of_a_past_meeting_is_deleted_in_time(service, app, method, path, column):
    link, _, _ = meet(service, service.api)
    kept, code, _ = meet(service, service.api)
    before = count(app)
    assert service.api(method, f"/session/{link}{path}").status == 204
    age(app, link, **{column: 29})
    run_now(app, "prune_door")
    assert count(app) == before
    age(app, link, **{column: 2})
    run_now(app, "prune_door")
    assert count(app) == {table: number // 2 for table, number in before.items()}
    assert service.api.read(link)["meetingLink"] == link
    assert knock(service, code).problem == (403, "attendee_banned"), "the other meeting's are there"
    assert kept != link


def test_revoked_invitation_is_deleted_after_its_time(service, app):
    link = service.api.create()
    revoked, other = invite(service.api, link), invite(service.api, link)
    come_in(service, revoked["code"])
    service.api("DELETE", f"/session/{link}/invitations/{revoked['id']}")
    age(app, link, revoked_on=29)
    run_now(app, "prune_door")
    assert len(service.api("GET", f"/session/{link}/invitations").json) == 2
    age(app, link, revoked_on=2)
    run_now(app, "prune_door")
    assert [one["id"] for one in service.api("GET", f"/session/{link}/invitations").json] == [other["id"]]
    assert (count(app)["seat"], count(app)["invitation_code"]) == (0, 1)
    assert knock(service, revoked["code"]).problem == (404, "invitation_not_found")


def test_people_who_left_the_lobby_are_deleted_after_a_day(service, app):
    link = service.api.create()
    code = invite(service.api, link, admission="ask")["code"]
    wait(service, code)
    fall_silent(app, seconds=86_400)
    ticket = wait(service, code)
    run_now(app, "prune_door")
    assert count(app)["lobby_entry"] == 1
    assert poll(service, ticket).status == 202


def test_retention_is_a_setting(make_app, headers):
    app = make_app(invitation_retention_days=0)
    service = service_of(app, headers)
    link, _, _ = meet(service, service.api)
    run_now(app, "prune_door")
    assert count(app)["invitation"] == 2, "a meeting that is not over keeps its invitations"
    service.api("PATCH", f"/session/{link}/end")
    run_now(app, "prune_door")
    assert set(count(app).values()) == {0}
