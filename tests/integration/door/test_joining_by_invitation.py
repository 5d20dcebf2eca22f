"""A link is exchanged for a token, and its page may be loaded again."""

from tests.integration.door.steps import come_in, connect, invite, knock, moderator, poll, wait


def test_a_link_made_at_booking_lets_its_holder_in(service):
    link = service.api.create(extMetadata={"title": "Algebra"})
    invitation = invite(service.api, link, attendee="u-7", name="Ada", maxUses=1)
    assert invitation["url"] == f"http://127.0.0.1:8000/join#{invitation['code']}"

    seen = service.stranger("POST", "/join/invitation", {"code": invitation["code"]})
    assert seen.status == 200
    assert (seen.json["title"], seen.json["status"], seen.json["opensOn"]) == ("Algebra", "open", None)
    assert (seen.json["name"], seen.json["admission"]) == ("Ada", "open")

    seated = come_in(service, invitation["code"])
    assert (seated["attendee"], seated["name"], seated["role"], seated["control"]) == ("u-7", "Ada", "publisher", None)
    connect(service, seated)
    [attendee] = service.api.attendees(link)
    assert (attendee["attendee"], attendee["name"], attendee["active"]) == ("u-7", "Ada", True)


def test_lobby_admits_whom_a_moderator_admits(service):
    link = service.api.create()
    invitation = invite(service.api, link, admission="ask")
    host, _ = moderator(service, link)
    ticket = wait(service, invitation["code"], name="Ada")
    assert poll(service, ticket).status == 202
    [waiting] = host("GET", f"/session/{link}/lobby").json
    assert waiting["name"] == "Ada"
    assert host("POST", f"/session/{link}/lobby/{waiting['id']}", {"admit": True}).status == 204
    seated = poll(service, ticket).json
    assert seated["attendee"] == waiting["attendee"]
    assert seated["seat"] == ticket
    assert service.api("GET", f"/session/{link}/lobby").json == []


def test_banned_attendee_gets_no_token(service):
    link = service.api.create()
    code = invite(service.api, link)["code"]
    seated = come_in(service, code, name="Eve")
    connect(service, seated)
    host, _ = moderator(service, link)
    banned = host("POST", f"/session/{link}/bans", {"attendee": seated["attendee"]})
    assert banned.status == 201
    service.deliver()
    assert service.api.attendees(link, active="true") == []
    assert knock(service, code, seat=seated["seat"]).problem == (403, "attendee_banned")
    assert [ban["id"] for ban in host("GET", f"/session/{link}/bans").json] == [banned.json["id"]]
    assert host("DELETE", f"/session/{link}/bans/{banned.json['id']}").status == 204
    assert come_in(service, code, seat=seated["seat"])["attendee"] == seated["attendee"]
