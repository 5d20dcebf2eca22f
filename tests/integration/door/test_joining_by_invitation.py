"""A link is exchanged for a token, and its page may be loaded again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.door.steps import come_in, connect, invite, knock, poll, wait
from tests.support.service import ON_SQLITE, moment, plugins_with, service_of
from videoconf.errors import ProviderTimeout
from videoconf.providers import Role
from videoconf_fake.provider import CAPABILITIES, FakeProvider


@pytest.fixture
def app_options(clock):
    return {"clock": clock}


def later(clock, **distance):
    return (clock() + timedelta(**distance)).isoformat().replace("+00:00", "Z")


def look(service, code, **presented):
    return service.stranger("POST", "/join/invitation", {"code": code, **presented})


def test_link_made_at_booking_lets_its_person_in(service):
    link = service.api.create(extMetadata={"title": "Algebra"})
    invitation = invite(service.api, link, attendee="u-7", name="Ada", maxUses=1)
    assert invitation["url"] == f"http://127.0.0.1:8000/join#{invitation['code']}"

    seen = look(service, invitation["code"]).json
    assert (seen["title"], seen["status"], seen["opensOn"], seen["name"]) == ("Algebra", "open", None, "Ada")

    seated = come_in(service, invitation["code"], name="Another")
    assert (seated["attendee"], seated["name"], seated["role"], seated["control"]) == ("u-7", "Ada", "publisher", None)
    assert seated["meetingLink"] == link
    connect(service, seated)
    [attendee] = service.api.attendees(link)
    assert (attendee["attendee"], attendee["name"], attendee["active"]) == ("u-7", "Ada", True)


class WithoutModerators(FakeProvider):
    """Removes and mutes people through the API alone: its tokens know no moderators."""

    capabilities = replace(CAPABILITIES, roles=frozenset({Role.PUBLISHER, Role.SUBSCRIBER}))


@ON_SQLITE
@pytest.mark.needs("the fake", long=True)
def test_moderator_gets_publishers_token_where_tokens_know_none(make_app, headers, clock):
    service = service_of(make_app(clock=clock, plugins=plugins_with(WithoutModerators)), headers)
    link = service.api.create()
    roles = {}
    for role in ("moderator", "publisher", "subscriber"):
        seated = come_in(service, invite(service.api, link, role=role)["code"])
        roles[role] = (seated["role"], seated["control"] is not None)
    assert roles == {
        "moderator": ("publisher", True),
        "publisher": ("publisher", False),
        "subscriber": ("subscriber", False),
    }


def test_door_opens_when_the_meeting_does(service, clock):
    link = service.api.create(isScheduled=True, scheduleTime=later(clock, hours=2))
    code = invite(service.api, link)["code"]
    opens = later(clock, minutes=105)
    early = knock(service, code)
    assert early.problem == (409, "meeting_not_open")
    assert early.json["opensOn"] == opens
    assert (look(service, code).json["status"], look(service, code).json["opensOn"]) == ("scheduled", opens)
    asking = invite(service.api, link, admission="ask")["code"]
    assert knock(service, asking).problem == (409, "meeting_not_open")
    assert service.api("GET", f"/session/{link}/lobby").json == []
    clock.step(minutes=105)
    assert look(service, code).json["opensOn"] is None
    come_in(service, code)
    assert knock(service, asking).status == 202


def test_ended_and_deleted_meetings_admit_no_guest(service):
    for method, path in (("PATCH", "/session/{}/end"), ("DELETE", "/session/{}")):
        link = service.api.create()
        code, asking = (invite(service.api, link, admission=way)["code"] for way in ("open", "ask"))
        seat, ticket = come_in(service, code)["seat"], wait(service, asking)
        assert service.api(method, path.format(link)).status == 204
        assert knock(service, code).problem == (409, "meeting_ended")
        assert knock(service, asking).problem == (409, "meeting_ended")
        assert poll(service, ticket).problem == (409, "meeting_ended")
        assert knock(service, code, seat=seat).problem == (409, "meeting_ended")
        assert look(service, code).json["status"] in ("ended", "deleted")
        assert service.api("POST", f"/session/{link}/invitations", {}).problem == (409, "meeting_ended")


def test_reload_with_a_seat_keeps_the_guest_and_costs_no_use(service):
    link = service.api.create()
    invitation = invite(service.api, link, maxUses=2)
    seated = come_in(service, invitation["code"], name="Ada")
    assert seated["attendee"].startswith("guest-")
    for _ in range(3):
        again = come_in(service, invitation["code"], seat=seated["seat"])
        assert (again["attendee"], again["name"], again["seat"]) == (seated["attendee"], "Ada", seated["seat"])
    renamed = come_in(service, invitation["code"], seat=seated["seat"], name="Ada L.")
    assert (renamed["attendee"], renamed["name"]) == (seated["attendee"], "Ada L.")
    assert come_in(service, invitation["code"], seat=seated["seat"])["name"] == "Ada L."
    other = come_in(service, invitation["code"])
    assert other["attendee"] != seated["attendee"]
    assert knock(service, invitation["code"]).problem == (404, "invitation_not_found")
    assert come_in(service, invitation["code"], seat=other["seat"])["attendee"] == other["attendee"]
    read = service.api("GET", f"/session/{link}/invitations/{invitation['id']}").json
    assert (read["uses"], read["maxUses"]) == (2, 2)


def test_seat_belongs_to_its_invitation(service):
    link = service.api.create()
    first, second = invite(service.api, link), invite(service.api, link)
    seat = come_in(service, first["code"])["seat"]
    assert knock(service, second["code"], seat=seat).problem == (404, "invitation_not_found")
    assert service.api("GET", f"/session/{link}/invitations/{second['id']}").json["uses"] == 0


def test_expired_link_refuses_new_guests_but_keeps_seats(service, clock):
    link = service.api.create()
    code = invite(service.api, link, expiresOn=later(clock, minutes=10))["code"]
    seat = come_in(service, code)["seat"]
    clock.step(minutes=10)
    assert knock(service, code).problem == (404, "invitation_not_found")
    come_in(service, code, seat=seat)
    past = service.api("POST", f"/session/{link}/invitations", {"expiresOn": later(clock, minutes=-1)})
    assert past.wrong == ["expiresOn"]


def test_revoked_link_and_its_seats_are_refused(service):
    link = service.api.create()
    revoked, other = invite(service.api, link), invite(service.api, link)
    seat = come_in(service, revoked["code"])["seat"]
    path = f"/session/{link}/invitations/{revoked['id']}"
    assert [service.api("DELETE", path).status for _ in range(2)] == [204, 204]
    assert knock(service, revoked["code"]).problem == (404, "invitation_not_found")
    assert knock(service, revoked["code"], seat=seat).problem == (404, "invitation_not_found")
    assert service.api("GET", path).json["revokedBy"] == "tester"
    come_in(service, other["code"])
    actions = [entry["action"] for entry in service.api("GET", f"/audit?meetingLink={link}").json]
    assert actions.count("invitation.revoked") == 1


def test_link_is_found_only_by_its_tenant(service):
    link = service.api.create()
    invitation = invite(service.api, link)
    other = service.caller_with(tenant="other")
    theirs = other.create()
    for path in (f"/session/{link}/invitations", f"/session/{link}/invitations/{invitation['id']}"):
        assert other("GET", path).problem == (404, "meeting_not_found")
    for method in ("GET", "DELETE"):
        found = other(method, f"/session/{theirs}/invitations/{invitation['id']}")
        assert found.problem == (404, "invitation_not_found")
    come_in(service, invitation["code"])


def test_invitations_are_listed_newest_first_without_urls(service):
    link = service.api.create()
    made = [invite(service.api, link, name=name) for name in ("a", "b", "c")]
    invite(service.api, service.api.create())
    first = service.api("GET", f"/session/{link}/invitations?limit=2")
    rest = service.api("GET", f"/session/{link}/invitations?limit=2&cursor={first.headers['X-Next-Cursor']}")
    listed = first.json + rest.json
    assert [one["name"] for one in listed] == ["c", "b", "a"]
    assert all("url" not in one for one in listed)
    assert not any(one["code"] in str(listed) for one in made)


@ON_SQLITE
@pytest.mark.needs("subscriber", long=True)
def test_caller_gives_only_roles_that_its_token_names(service):
    link = service.api.create()
    narrow = service.caller_with(meetingRoles=["subscriber"])
    refused = narrow("POST", f"/session/{link}/invitations", {"role": "MODERATOR"})
    assert refused.problem == (403, "role_forbidden")
    assert come_in(service, invite(narrow, link, role="Subscriber")["code"])["role"] == "subscriber"


@ON_SQLITE
@pytest.mark.needs("the fake", long=True)
def test_role_that_the_provider_lacks_is_refused_when_inviting(make_app, headers, monkeypatch):
    monkeypatch.setenv("VIDEOCONF_FAKE_PRESET", "twilio")
    service = service_of(make_app(), headers)
    link = service.api.create()
    for role in ("moderator", "subscriber"):
        refused = service.api("POST", f"/session/{link}/invitations", {"role": role})
        assert refused.problem == (422, "capability_unsupported")
    assert service.api("GET", f"/session/{link}/invitations").json == []


def test_provider_that_fails_spends_no_use(service):
    link = service.api.create()
    invitation = invite(service.api, link, maxUses=1)
    service.provider.script("issue_token", ProviderTimeout())
    assert knock(service, invitation["code"]).problem == (504, "provider_timeout")
    come_in(service, invitation["code"])


def test_repeated_invitation_is_one_with_a_further_url(service):
    link = service.api.create()
    wish = {"maxUses": 1, "name": "Ada"}
    first, second = (
        service.api("POST", f"/session/{link}/invitations", wish, Idempotency_Key="booking-7") for _ in range(2)
    )
    assert (first.status, second.status) == (201, 201)
    assert first.json["id"] == second.json["id"]
    assert first.json["url"] != second.json["url"]
    assert len(service.api("GET", f"/session/{link}/invitations").json) == 1
    entries = service.api("GET", f"/audit?meetingLink={link}").json
    assert [one["action"] for one in entries][:2] == ["invitation.url_issued", "invitation.created"]
    assert entries[0]["target"] == first.json["id"]
    come_in(service, second.json["url"].partition("#")[2])
    spent = knock(service, first.json["url"].partition("#")[2])
    assert spent.problem == (404, "invitation_not_found"), "both share the uses"
    reused = service.api("POST", f"/session/{link}/invitations", {"name": "Bob"}, Idempotency_Key="booking-7")
    assert reused.problem == (422, "idempotency_key_reused")


@pytest.mark.needs("moderator", long=True)
def test_moderators_entry_is_in_the_audit_trail_as_theirs(service):
    link = service.api.create()
    come_in(service, invite(service.api, link, role="moderator", attendee="host")["code"])
    [issued] = service.api("GET", f"/audit?meetingLink={link}&action=token.issued").json
    assert (issued["actor"], issued["actorType"], issued["after"]) == ("host", "attendee", {"role": "moderator"})
    assert issued["serverRequestId"]
    [created] = service.api("GET", f"/audit?meetingLink={link}&action=invitation.created").json
    assert created["after"]["role"] == "moderator"
    assert "host" not in str(created["after"])
    assert datetime.now(UTC) > moment(created["at"])
