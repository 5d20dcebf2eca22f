"""People wait until a moderator admits them."""

import pytest

from tests.integration.door.steps import come_in, fall_silent, invite, knock, moderator, poll, wait, waiting
from tests.support.service import ON_POSTGRESQL, ON_SQLITE, at_once
from videoconf.door import lobby
from videoconf.door.lobby import MOST_WAITING, RECENT_SECONDS

UNKNOWN = (404, "ticket_not_found")


def answer(caller, link, entry, admit=True):
    return caller("POST", f"/session/{link}/lobby/{entry}", {"admit": admit})


def test_person_gets_in_once_a_moderator_admits_them(service):
    link = service.api.create()
    invitation = invite(service.api, link, admission="ask")
    ticket, other = wait(service, invitation["code"], name="Ada"), wait(service, invitation["code"], name="Bob")
    assert poll(service, ticket).json == {"ticket": ticket}
    ada, bob = waiting(service, link)
    assert (ada["name"], ada["invitationId"], ada["role"]) == ("Ada", invitation["id"], "publisher")

    assert answer(service.api, link, ada["id"]).status == 204
    seated = poll(service, ticket).json
    assert (seated["attendee"], seated["name"], seated["seat"]) == (ada["attendee"], "Ada", ticket)
    assert waiting(service, link) == [bob]
    assert poll(service, other).status == 202

    assert come_in(service, invitation["code"], seat=ticket)["attendee"] == ada["attendee"], "a reload waits no more"
    assert poll(service, ticket).json["attendee"] == ada["attendee"], "an answer that was lost is had again"
    assert service.api("GET", f"/session/{link}/invitations/{invitation['id']}").json["uses"] == 1


def test_refused_person_gets_no_token_and_may_ask_again(service):
    link = service.api.create()
    code = invite(service.api, link, admission="ask")["code"]
    ticket = wait(service, code)
    [entry] = waiting(service, link)
    assert answer(service.api, link, entry["id"], admit=False).status == 204
    for _ in range(2):
        assert poll(service, ticket).problem == (403, "admission_refused")
    assert waiting(service, link) == []
    assert poll(service, wait(service, code)).status == 202
    assert len(waiting(service, link)) == 1


def test_moderators_answer_cannot_be_changed(service):
    link = service.api.create()
    code = invite(service.api, link, admission="ask")["code"]
    wait(service, code)
    [entry] = waiting(service, link)
    assert [answer(service.api, link, entry["id"]).status for _ in range(2)] == [204, 204]
    assert answer(service.api, link, entry["id"], admit=False).problem == (409, "lobby_answered")
    actions = [one["action"] for one in service.api("GET", f"/audit?meetingLink={link}").json]
    assert actions.count("lobby.admitted") == 1
    service.api("PATCH", f"/session/{link}/end")
    assert answer(service.api, link, entry["id"]).problem == (409, "meeting_ended")


def test_only_the_ticket_opens_the_door(service):
    link = service.api.create()
    invitation = invite(service.api, link, admission="ask")
    ticket = wait(service, invitation["code"])
    [entry] = waiting(service, link)
    assert answer(service.api, link, entry["id"]).status == 204
    for other in (entry["id"], entry["attendee"], invitation["id"], invitation["code"], ticket[:-1], ticket + "A", ""):
        assert poll(service, other).problem == UNKNOWN
        assert knock(service, invitation["code"], seat=other).problem == (404, "invitation_not_found")
    assert poll(service, ticket).status == 200


def test_moderator_who_joins_admits_no_one_else(service):
    link = service.api.create()
    ticket = wait(service, invite(service.api, link, admission="ask")["code"])
    come_in(service, invite(service.api, link, attendee="host")["code"])
    assert poll(service, ticket).status == 202


def test_person_silent_for_a_minute_leaves_the_lobby(service, app):
    link = service.api.create()
    code = invite(service.api, link, admission="ask")["code"]
    silent, faithful = wait(service, code), wait(service, code)
    first, second = waiting(service, link)
    fall_silent(app, seconds=50)
    assert poll(service, faithful).status == 202
    fall_silent(app, seconds=11)
    assert [one["id"] for one in waiting(service, link)] == [second["id"]]
    assert poll(service, silent).problem == UNKNOWN
    assert answer(service.api, link, first["id"]).problem == (404, "lobby_entry_not_found")
    assert poll(service, faithful).status == 202


def test_admitted_person_may_have_been_silent(service, app):
    link = service.api.create()
    ticket = wait(service, invite(service.api, link, admission="ask")["code"])
    [entry] = waiting(service, link)
    answer(service.api, link, entry["id"])
    fall_silent(app, seconds=600)
    assert poll(service, ticket).status == 200


def test_fifty_wait_at_one_invitation(service, app):
    link = service.api.create()
    first, second = (invite(service.api, link, admission="ask")["code"] for _ in range(2))
    tickets = [wait(service, first) for _ in range(MOST_WAITING)]
    full = knock(service, first)
    assert full.problem == (409, "lobby_full")
    assert int(full.headers["Retry-After"]) >= 1
    wait(service, second)
    assert len(service.api("GET", f"/session/{link}/lobby?pageSize=100").json) == MOST_WAITING + 1
    fall_silent(app, seconds=61)
    assert poll(service, tickets[0]).problem == UNKNOWN
    wait(service, first)


def test_people_who_ask_and_leave_fill_no_database(service, app, monkeypatch):
    monkeypatch.setattr(lobby, "MOST_UNANSWERED", 6)
    link = service.api.create()
    code, other = (invite(service.api, link, admission="ask")["code"] for _ in range(2))
    for _ in range(2):
        wait(service, code)
    for entry in waiting(service, link):
        answer(service.api, link, entry["id"])
    for _ in range(3):
        for _ in range(2):
            wait(service, code)
        fall_silent(app, seconds=61)
    assert waiting(service, link) == []
    assert knock(service, code).problem == (409, "lobby_full")
    wait(service, other)
    fall_silent(app, seconds=RECENT_SECONDS)
    wait(service, code)


@ON_POSTGRESQL
def test_at_most_50_of_many_concurrent_guests_wait(service):
    link = service.api.create()
    code = invite(service.api, link, admission="ask")["code"]
    for _ in range(MOST_WAITING - 4):
        wait(service, code)
    statuses = [one.status for one in at_once([lambda: knock(service, code)] * 12)]
    assert sorted(statuses) == [202] * 4 + [409] * 8


def test_revoked_invitation_ends_its_tickets(service):
    link = service.api.create()
    invitation = invite(service.api, link, admission="ask")
    waits, admitted = wait(service, invitation["code"]), wait(service, invitation["code"])
    assert answer(service.api, link, waiting(service, link)[1]["id"]).status == 204
    service.api("DELETE", f"/session/{link}/invitations/{invitation['id']}")
    assert (poll(service, waits).problem, poll(service, admitted).problem) == (UNKNOWN, UNKNOWN)
    assert waiting(service, link) == []


def test_admissions_beyond_the_uses_give_no_token(service):
    link = service.api.create()
    code = invite(service.api, link, admission="ask", maxUses=1)["code"]
    tickets = [wait(service, code) for _ in range(2)]
    for entry in waiting(service, link):
        answer(service.api, link, entry["id"])
    assert poll(service, tickets[0]).status == 200
    assert poll(service, tickets[1]).problem == UNKNOWN
    assert poll(service, tickets[0]).status == 200


def test_ticket_sent_twice_at_once_counts_one_use(service):
    link = service.api.create()
    invitation = invite(service.api, link, admission="ask", maxUses=3)
    ticket = wait(service, invitation["code"])
    answer(service.api, link, waiting(service, link)[0]["id"])
    answers = at_once([lambda: poll(service, ticket)] * 4)
    assert {one.status for one in answers} == {200}
    assert len({one.json["attendee"] for one in answers}) == 1
    assert service.api("GET", f"/session/{link}/invitations/{invitation['id']}").json["uses"] == 1


@ON_SQLITE
def test_lobby_is_seen_by_its_tenant_alone(service):
    link = service.api.create()
    ticket = wait(service, invite(service.api, link, admission="ask")["code"])
    [entry] = waiting(service, link)
    other = service.caller_with(tenant="other")
    theirs = other.create()
    assert other("GET", f"/session/{link}/lobby").problem == (404, "meeting_not_found")
    assert answer(other, link, entry["id"]).problem == (404, "meeting_not_found")
    assert answer(other, theirs, entry["id"]).problem == (404, "lobby_entry_not_found")
    assert poll(service, ticket).status == 202


@pytest.mark.needs("moderator", long=True)
def test_participant_who_moderates_answers_by_their_control(service):
    link = service.api.create()
    host, _ = moderator(service, link, attendee="host")
    ticket = wait(service, invite(service.api, link, admission="ask")["code"])
    [entry] = host("GET", f"/session/{link}/lobby").json
    assert answer(host, link, entry["id"]).status == 204
    assert poll(service, ticket).status == 200
    [admitted] = service.api("GET", f"/audit?meetingLink={link}&action=lobby.admitted").json
    assert (admitted["actor"], admitted["actorType"], admitted["target"]) == ("host", "attendee", entry["id"])
