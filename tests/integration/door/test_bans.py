"""A banned attendee stays out, whichever way they try."""

import time

import pytest

from tests.integration.door.steps import come_in, connect, invite, knock, moderator, poll, wait, waiting
from tests.support.service import ON_SQLITE, credential, service_of
from videoconf.api.services import services
from videoconf.errors import ProviderUnavailable
from videoconf.jobs.kinds import HOLD_BANS
from videoconf.providers import SessionRef

pytestmark = pytest.mark.needs("moderation", long=True)

BANNED = (403, "attendee_banned")


def ban(caller, link, **whom):
    answer = caller("POST", f"/session/{link}/bans", whom)
    assert answer.status == 201, answer
    return answer.json


def run_now(service, kind):
    with service.app.app_context():
        services(service.app).jobs.run_now(kind)
    service.deliver()


def connected(service, link):
    """Return who is connected, as the provider has it."""
    meeting = service.api.read(link)
    provider = services(service.app).providers.get(meeting["provider"])
    roster = provider.list_connections(SessionRef(provider.account, meeting["sessionId"]))
    return {one.connection_id for one in roster.connections}


def present(service, link):
    return [one["attendee"] for one in service.api.attendees(link, active="true")]


def test_banned_attendee_is_out_and_gets_no_token(service):
    link = service.api.create()
    code = invite(service.api, link)["code"]
    eve, ann = come_in(service, code, name="Eve"), come_in(service, code, name="Ann")
    connect(service, eve), connect(service, ann)
    made = ban(service.api, link, attendee=eve["attendee"], reason="noise")
    assert (made["attendee"], made["reason"], made["createdBy"]) == (eve["attendee"], "noise", "tester")
    service.deliver()
    assert present(service, link) == [ann["attendee"]]
    assert knock(service, code, seat=eve["seat"]).problem == BANNED
    assert service.api("POST", f"/session/{link}/token", {"attendee": eve["attendee"]}).problem == BANNED
    assert service.api("POST", f"/session/{link}/token", {"data": eve["attendee"]}).problem == BANNED
    come_in(service, code, seat=ann["seat"])
    service.api.token(service.api.create(), attendee=eve["attendee"])  # another meeting knows no ban


def test_banned_attendee_is_admitted_by_no_invitation(service):
    link = service.api.create()
    named, asking = (invite(service.api, link, attendee="eve", admission=way)["code"] for way in ("open", "ask"))
    ticket = wait(service, asking)
    [entry] = waiting(service, link)
    ban(service.api, link, attendee="eve")
    assert knock(service, named).problem == BANNED
    assert knock(service, asking).problem == BANNED
    assert poll(service, ticket).problem == BANNED
    service.api("POST", f"/session/{link}/lobby/{entry['id']}", {"admit": True})
    assert poll(service, ticket).problem == BANNED


def test_token_from_before_the_ban_leads_out_again(service):
    link = service.api.create()
    token = service.api.token(link, attendee="eve")
    ban(service.api, link, attendee="eve")
    for _ in range(2):
        service.fake.join(credential(token))
        service.deliver()
        run_now(service, HOLD_BANS)
        assert present(service, link) == []


@ON_SQLITE
def test_leave_of_a_banned_attendee_starts_no_job(service):
    link = service.api.create()
    service.join(link, attendee="eve")
    service.deliver()
    ban(service.api, link, attendee="eve")
    service.deliver()
    assert present(service, link) == []
    with service.app.app_context():
        assert services(service.app).jobs.run_now(HOLD_BANS) == 0


def test_join_whose_webhook_is_late_is_found(service):
    link = service.api.create()
    service.fake.join(credential(service.api.token(link, attendee="eve")))
    ban(service.api, link, attendee="eve")
    service.deliver()
    run_now(service, HOLD_BANS)
    assert present(service, link) == []


@pytest.mark.needs("moderation", "roster", "the fake", long=True)
def test_sweep_finds_a_banned_attendee_whose_webhook_was_lost(service):
    link = service.api.create()
    eve, ann = (service.api.token(link, attendee=name) for name in ("eve", "ann"))
    ban(service.api, link, attendee="eve")
    lost, other = service.fake.join(credential(eve)), service.fake.join(credential(ann))
    with service.app.app_context():
        jobs = services(service.app).jobs
        jobs.run_now("sweep_bans")
        jobs.run_now(HOLD_BANS)
        assert connected(service, link) == {lost, other}, "only the provider knows that they are there"
        for kind in ("reconcile_rosters", "sweep_bans", HOLD_BANS):
            jobs.run_now(kind)
    assert connected(service, link) == {other}


def test_ban_holds_when_the_provider_is_down_at_first(service):
    link = service.api.create()
    service.join(link, attendee="eve")
    service.deliver()
    service.provider.script("disconnect", *[ProviderUnavailable()] * 2)
    ban(service.api, link, attendee="eve")
    with pytest.raises(ProviderUnavailable):
        run_now(service, HOLD_BANS)
    run_now(service, "sweep_bans")
    run_now(service, HOLD_BANS)
    assert present(service, link) == []


def test_ban_by_connection_bans_its_attendee(service):
    link = service.api.create()
    connection = service.join(link, attendee="eve")
    service.deliver()
    assert ban(service.api, link, connectionId=connection)["attendee"] == "eve"
    service.deliver()
    assert present(service, link) == []
    unknown = service.api("POST", f"/session/{link}/bans", {"connectionId": "unknown"})
    assert unknown.problem == (404, "connection_not_found")


def test_anonymous_connection_cannot_be_banned(service):
    link = service.api.create()
    connection = service.join(link)
    service.deliver()
    [there] = service.api.attendees(link)
    if there["attendee"] is None:
        refused = service.api("POST", f"/session/{link}/bans", {"connectionId": connection})
        assert refused.wrong == ["connectionId"]


def test_body_names_exactly_one_person(service):
    link = service.api.create()
    for body in ({}, {"attendee": "eve", "connectionId": "c"}):
        assert service.api("POST", f"/session/{link}/bans", body).wrong == ["attendee"]


def test_second_ban_of_an_attendee_is_the_first(service):
    link = service.api.create()
    first = ban(service.api, link, attendee="eve", reason="noise")
    assert ban(service.api, link, attendee="eve", reason="again") == first
    entries = service.api("GET", f"/audit?meetingLink={link}&action=attendee.banned").json
    assert len(entries) == 1
    assert entries[0]["target"].startswith("sha256:")
    assert "eve" not in str(entries)
    assert "noise" not in str(entries)


def test_lifted_ban_lets_the_attendee_in(service):
    link = service.api.create()
    code = invite(service.api, link)["code"]
    seat = come_in(service, code)
    made = ban(service.api, link, attendee=seat["attendee"])
    other = ban(service.api, link, attendee="bob")
    path = f"/session/{link}/bans/{made['id']}"
    assert service.api("DELETE", path).status == 204
    assert service.api("DELETE", path).problem == (404, "ban_not_found")
    connect(service, come_in(service, code, seat=seat["seat"]))
    run_now(service, HOLD_BANS)
    assert present(service, link) == [seat["attendee"]]
    assert [one["id"] for one in service.api("GET", f"/session/{link}/bans").json] == [other["id"]]


def test_long_attendee_ids_are_distinguished(service):
    link = service.api.create()
    long = "e" * 999
    ban(service.api, link, attendee=long + "1")
    assert service.api("POST", f"/session/{link}/token", {"data": long + "1"}).problem != (422, "validation_failed")
    listed = service.api("GET", f"/session/{link}/bans").json
    assert [one["attendee"] for one in listed] == [long + "1"]
    ban(service.api, link, attendee=long + "2")
    assert len(service.api("GET", f"/session/{link}/bans").json) == 2


@ON_SQLITE
def test_ban_holds_for_its_meeting_and_tenant_alone(service):
    link = service.api.create()
    made = ban(service.api, link, attendee="eve")
    other = service.caller_with(tenant="other")
    theirs = other.create()
    assert other("GET", f"/session/{link}/bans").problem == (404, "meeting_not_found")
    assert other("DELETE", f"/session/{theirs}/bans/{made['id']}").problem == (404, "ban_not_found")
    other.token(theirs, attendee="eve")
    assert service.api("POST", f"/session/{link}/token", {"attendee": "eve"}).problem == BANNED


@ON_SQLITE
@pytest.mark.needs("moderation", "the fake", long=True)
@pytest.mark.parametrize("seconds", [0, pytest.param(60, marks=pytest.mark.long)])
def test_banned_person_tries_every_way_in(service, seconds):
    link = service.api.create()
    open_code, asking = (invite(service.api, link, admission=way)["code"] for way in ("open", "ask"))
    named = invite(service.api, link, attendee="eve")["code"]
    seated, early = come_in(service, open_code), service.api.token(link, attendee="eve")
    ticket = wait(service, asking)
    [entry] = waiting(service, link)
    whom = ("eve", seated["attendee"], entry["attendee"])
    for attendee in whom:
        ban(service.api, link, attendee=attendee)
    until, tries = time.monotonic() + seconds, 0
    while tries < 2 or time.monotonic() < until:
        tries += 1
        tried = [
            knock(service, open_code, seat=seated["seat"]),
            knock(service, named),
            poll(service, ticket),
            *(service.api("POST", f"/session/{link}/token", {"attendee": attendee}) for attendee in whom),
        ]
        assert {answer.problem for answer in tried} == {BANNED}
        for token in (early, seated):
            service.fake.join(credential(token))
        service.deliver()
        run_now(service, HOLD_BANS)
        assert connected(service, link) == set()
        time.sleep(min(seconds, 0.5))
    # A shared link in a fresh browser makes a new guest: the guide says so.
    come_in(service, open_code)


@ON_SQLITE
@pytest.mark.needs("the fake", long=True)
def test_provider_that_cannot_disconnect_bans_no_attendee(make_app, headers, monkeypatch):
    monkeypatch.setenv("VIDEOCONF_FAKE_PRESET", "twilio")
    service = service_of(make_app(), headers)
    link = service.api.create()
    refused = service.api("POST", f"/session/{link}/bans", {"attendee": "eve"})
    assert refused.problem == (422, "capability_unsupported")
    assert service.api("GET", f"/session/{link}/bans").json == []
    service.api.token(link, attendee="eve")


def test_ban_in_an_ended_meeting_is_refused(service):
    link = service.api.create()
    service.api("PATCH", f"/session/{link}/end")
    assert service.api("POST", f"/session/{link}/bans", {"attendee": "eve"}).problem == (409, "meeting_ended")


@pytest.mark.needs("moderation", "moderator", long=True)
def test_control_of_a_banned_moderator_is_refused(service):
    link = service.api.create()
    host, _ = moderator(service, link, attendee="host")
    ban(service.api, link, attendee="host")
    assert host("GET", f"/session/{link}/lobby").problem == (401, "unauthenticated")


@pytest.mark.needs("moderation", "moderator", long=True)
def test_control_can_call_each_of_its_operations(service):
    link = service.api.create()
    host, _ = moderator(service, link, attendee="host")
    connection = service.join(link, attendee="ann")
    service.deliver()
    assert host("POST", f"/session/{link}/mute").status == 204
    assert host("POST", f"/session/{link}/attendees/{connection}/mute").status == 204
    assert host("DELETE", f"/session/{link}/attendees/{connection}").status == 204
    assert ban(host, link, attendee="ann")["createdBy"] == "host"
    assert host("PATCH", f"/session/{link}/end").status == 204
    assert host("POST", f"/session/{link}/mute").problem == (409, "meeting_ended")
    by_host = service.api("GET", f"/audit?meetingLink={link}&actor=host").json
    assert {one["actorType"] for one in by_host} == {"attendee"}
    assert [one["action"] for one in by_host][:2] == ["meeting.ended", "attendee.banned"]


@pytest.mark.needs("moderation", "moderator", long=True)
def test_control_ends_with_its_invitation(service):
    link = service.api.create()
    invitation = invite(service.api, link, role="moderator")
    control = come_in(service, invitation["code"])["control"]
    path = f"/session/{link}/lobby"
    assert service.stranger("GET", path, Authorization=f"Control {control}").status == 200
    assert service.stranger("GET", path, Authorization=f"Bearer {control}").problem == (401, "unauthenticated")
    service.api("DELETE", f"/session/{link}/invitations/{invitation['id']}")
    assert service.stranger("GET", path, Authorization=f"Control {control}").problem == (401, "unauthenticated")
