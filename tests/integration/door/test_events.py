"""What happens at the door is in the log of events, for the caller's own systems."""

from tests.integration.door.steps import come_in, invite, wait, waiting
from videoconf.api.services import services

FACTS = ("lobby.waiting", "lobby.admitted", "lobby.refused", "attendee.banned")


def told(service, app, link):
    """Project what waits; return the events of the door at a meeting, oldest first."""
    with app.app_context():
        services(app).projector.run()
    answer = service.api("GET", f"/events?meetingLink={link}&limit=100")
    assert answer.status == 200, answer
    return [one for one in answer.json["items"] if one["type"] in FACTS]


def test_lobby_and_bans_become_events(service, app):
    link, other = service.api.create(extId="lesson-7"), service.api.create()
    code = invite(service.api, link, admission="ask")["code"]
    wait(service, code, name="Ada"), wait(service, code, name="Bob")
    ada, bob = waiting(service, link)
    for entry, admit in ((ada, True), (bob, False)):
        for _ in range(2):  # a repetition is not another event
            assert service.api("POST", f"/session/{link}/lobby/{entry['id']}", {"admit": admit}).status == 204
    for _ in range(2):
        ban = service.api("POST", f"/session/{link}/bans", {"attendee": "eve", "reason": "noise"}).json
    events = told(service, app, link)
    assert [(one["type"], one["data"]) for one in events] == [
        ("lobby.waiting", ada),
        ("lobby.waiting", bob),
        ("lobby.admitted", ada),
        ("lobby.refused", bob),
        ("attendee.banned", {name: value for name, value in ban.items() if name != "reason"}),
    ]
    assert {one["extId"] for one in events} == {"lesson-7"}
    assert told(service, app, other) == []


def test_erased_person_is_in_no_event(service, app):
    link = service.api.create()
    code = invite(service.api, link, attendee="person-4711", name="Mustermann", admission="ask")["code"]
    wait(service, code)
    [before] = told(service, app, link)
    assert before["data"]["attendee"] == "person-4711"
    wait(service, code)  # waits for the projector when the person is erased
    service.api("POST", f"/session/{link}/bans", {"attendee": "person-4711"})
    assert service.api("DELETE", "/persons?attendee=person-4711").json["lobbyEntries"] == 2
    events = told(service, app, link)
    assert [one["type"] for one in events] == ["lobby.waiting", "lobby.waiting", "attendee.banned"]
    assert "4711" not in str(events)
    assert "Mustermann" not in str(events)


def test_join_without_a_lobby_makes_no_door_event(service, app):
    link = service.api.create()
    come_in(service, invite(service.api, link)["code"])
    assert told(service, app, link) == []
