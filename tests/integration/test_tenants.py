"""Tenants: each sees its own meetings and nothing of another's, by any operation."""

import json
import re

import pytest

from tests.support.service import ON_SQLITE, credential, service_of

ON_A_MEETING = [
    ("GET", "", None),
    ("PATCH", "", {"extId": "theirs now"}),
    ("POST", "/token", {"role": "moderator"}),
    ("GET", "/attendees", None),
    ("GET", "/attendees?active=true", None),
    ("GET", "/attendance", None),
    ("GET", "/explanation?attendee=someone", None),
    ("DELETE", "/attendees/someone", None),
    ("POST", "/attendees/someone/mute", None),
    ("POST", "/mute", None),
    ("POST", "/archives", None),
    ("PATCH", "/end", None),
    ("POST", "/invitations", {}),
    ("GET", "/invitations", None),
    ("GET", "/invitations/someone", None),
    ("DELETE", "/invitations/someone", None),
    ("GET", "/lobby", None),
    ("POST", "/lobby/someone", {"admit": True}),
    ("POST", "/bans", {"attendee": "someone"}),
    ("GET", "/bans", None),
    ("DELETE", "/bans/someone", None),
    ("DELETE", "", None),
]
"""Method, path below the meeting, body."""


def same(answer):
    """What tells one answer from another, but for the id of its request."""
    body = answer.json
    assert body.pop("requestId") == answer.headers["X-Request-ID"]
    return answer.status, sorted(answer.headers.keys()), answer.headers["Content-Type"], body


def test_meeting_of_another_tenant_answers_as_unknown(service):
    ours, theirs = service.caller_with(tenant="ours"), service.caller_with(tenant="theirs")
    link = ours.create(extId="ours")
    ours.token(link)
    before = ours.read(link)
    unknown = "A" * len(link)
    for method, path, body in ON_A_MEETING:
        answer = theirs(method, f"/session/{link}{path}", body)
        assert answer.problem == (404, "meeting_not_found")
        assert same(answer) == same(theirs(method, f"/session/{unknown}{path}", body)), (method, path)
    assert ours.read(link) == before, "nothing of it was changed"


@pytest.mark.needs("eager")
def test_meeting_that_is_being_made_answers_as_unknown(service):
    """Its link is a secret until its session is known; whoever has guessed it finds nothing."""
    answers, api = {}, service.api
    api.create()

    def ensure(request):
        for method, path, body in ON_A_MEETING:
            answers[method, path] = api(method, f"/session/{request.meeting_id}{path}", body)
        answers["the list"] = api("GET", "/session")
        return service.provider.real.ensure_session(request)

    service.provider.script("ensure_session", ensure)
    link = api.create()
    assert len(answers.pop("the list").json) == 1
    assert {call for call, answer in answers.items() if answer.problem != (404, "meeting_not_found")} == set()
    made = api.read(link)
    assert (made["status"], made["startTime"]) == ("open", None)
    assert api.token(link)["sessionId"] == made["sessionId"]


@ON_SQLITE
def test_every_operation_on_a_meeting_is_tried(app):
    base = "/session/<string:meeting_link_id>"
    served = {
        (method, re.sub("<.*?>", "someone", rule.rule.removeprefix(base)))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(base)
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert served == {(method, path.partition("?")[0]) for method, path, _ in ON_A_MEETING}


@ON_SQLITE
def test_state_of_another_tenants_meeting_stays_hidden(service):
    ours, theirs = service.caller_with(tenant="ours"), service.caller_with(tenant="theirs")
    ended, deleted = ours.create(), ours.create()
    assert ours("PATCH", f"/session/{ended}/end").status == 204
    assert ours("DELETE", f"/session/{deleted}").status == 204
    for link in (ended, deleted):
        for method, path, body in ON_A_MEETING:
            assert theirs(method, f"/session/{link}{path}", body).problem == (404, "meeting_not_found")


def test_a_list_holds_the_callers_meetings_alone(service):
    callers = {tenant: service.caller_with(tenant=tenant) for tenant in ("ours", "theirs")}
    links = {tenant: [caller.create() for _ in range(3)] for tenant, caller in callers.items()}
    for tenant, caller in callers.items():
        answer = caller("GET", "/session")
        assert [meeting["meetingLink"] for meeting in answer.json] == links[tenant][::-1]
        assert json.loads(answer.headers["X-Pagination"])["total"] == 3


@ON_SQLITE
def test_token_without_a_tenant_belongs_to_the_default(make_app, headers):
    service = service_of(make_app(default_tenant="main"), headers)
    link = service.caller_with(tenant=None).create()
    assert service.caller_with(tenant="main").read(link)["meetingLink"] == link
    assert service.caller_with(tenant="default")("GET", f"/session/{link}").problem == (404, "meeting_not_found")


@ON_SQLITE
def test_the_claim_that_names_the_tenant_is_a_setting(make_app, headers):
    service = service_of(make_app(jwt_tenant_claim="org"), headers)
    link = service.caller_with(org="acme").create()
    assert service.caller_with(org="acme", tenant="other").read(link)["meetingLink"] == link
    assert service.caller_with(tenant="acme")("GET", f"/session/{link}").status == 404


@ON_SQLITE
@pytest.mark.parametrize("tenant", ["", ["ours", "theirs"], {"id": "ours"}, True, "a\u0000b", "x" * 256])
def test_invalid_tenant_claim_answers_401(service, tenant):
    assert service.caller_with(tenant=tenant)("GET", "/session").problem == (401, "unauthenticated")


@ON_SQLITE
def test_tenants_that_look_alike_are_different(service):
    link = service.caller_with(tenant="ours").create()
    for tenant in ("Ours", "ours ", " ours", "our", "ours'--", "%", "o_rs"):
        assert service.caller_with(tenant=tenant)("GET", f"/session/{link}").status == 404


def test_webhook_finds_its_meeting_in_any_tenant(service):
    ours, theirs = service.caller_with(tenant="ours"), service.caller_with(tenant="theirs")
    link, other = ours.create(), theirs.create()
    service.fake.join(credential(ours.token(link, attendee="ann")))
    service.deliver()
    assert [person["attendee"] for person in ours.attendees(link)] == ["ann"]
    assert theirs.attendees(other) == []
