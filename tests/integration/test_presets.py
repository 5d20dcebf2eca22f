"""The service with providers that lack what a rich one has: what is missing is refused before anything happens."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.service import ON_SQLITE, service_of
from videoconf.providers import Capability, Role, SessionCreation
from videoconf_fake.presets import PRESETS

pytestmark = [ON_SQLITE, pytest.mark.parametrize("preset", PRESETS)]


@pytest.fixture
def service(preset, make_app, headers, monkeypatch):
    monkeypatch.setenv("VIDEOCONF_FAKE_PRESET", preset)
    return service_of(make_app(), headers)


@pytest.fixture
def can(service):
    return service.provider.capabilities


def enter(service, link, **wish):
    """Join by the token, or by the URL of a provider that has no tokens."""
    issued = service.api.token(link, **wish)
    token = issued["token"] or parse_qs(urlsplit(issued["connect"]["url"]).query)["token"][0]
    return service.fake.join(token)


def test_a_meeting_lives_on_the_least_of_providers(service, can):
    api, link = service.api, service.api.create()
    just_in_time = can.session_creation is SessionCreation.JUST_IN_TIME
    assert (api.read(link)["sessionId"] is None) == just_in_time
    assert len(service.fake.list_sessions()) == (0 if just_in_time else 1)

    ann = enter(service, link, data="ann")
    enter(service, link, data="bob")
    for delivery in 2 * service.waiting():
        assert service.post(delivery, "/webhooks/fake/session").status == can.webhook_success_status
    service.fake.leave(ann)
    service.deliver()
    assert len(api.attendees(link)) == 2
    assert len(api.attendees(link, active="true")) == 1

    assert api("PATCH", f"/session/{link}/end").status == 204
    service.deliver()
    assert api.attendees(link, active="true") == []
    assert api("POST", f"/session/{link}/token", {}).problem == (409, "meeting_ended")


ASKED = {
    Capability.AUTOMATIC_ARCHIVING: ("POST", "/session", {"enableArchiving": True}),
    Capability.END_TO_END_ENCRYPTION: ("POST", "/session", {"endToEndEncryption": True}),
    Capability.ARCHIVING: ("POST", "/session/{link}/archives", {}),
    Capability.MODERATION: ("POST", "/session/{link}/mute", {}),
}


@pytest.mark.parametrize("capability", ASKED)
def test_what_is_missing_is_refused_before_anything_happens(service, can, capability):
    link = service.api.create()
    enter(service, link)
    service.deliver()
    before = (service.fake.list_sessions(), service.fake.list_events())
    method, path, body = ASKED[capability]
    answer = service.api(method, path.format(link=link), body)
    if capability in can:
        assert answer.status < 300, answer
    else:
        assert answer.problem == (422, "capability_unsupported")
        assert (service.fake.list_sessions(), service.fake.list_events()) == before
        assert len(service.api("GET", "/session").json) == 1


def test_a_person_is_removed_only_where_that_can_be_done(service, can):
    link = service.api.create()
    connection = enter(service, link)
    service.deliver()
    answer = service.api("DELETE", f"/session/{link}/attendees/{connection}")
    if Capability.MODERATION in can:
        assert answer.status < 300
    else:
        assert answer.problem == (422, "capability_unsupported")


@pytest.mark.parametrize("role", Role)
def test_a_role_is_given_or_refused_and_never_widened(service, can, role):
    link = service.api.create()
    answer = service.api("POST", f"/session/{link}/token", {"role": role})
    if role in can.roles:
        assert answer.status == 200
    else:
        assert answer.problem == (422, "capability_unsupported")
        assert answer.wrong == ["role"]


def test_data_is_carried_up_to_what_the_provider_takes(service, can):
    link = service.api.create()
    longest = "d" * can.max_data_characters
    assert service.api("POST", f"/session/{link}/token", {"data": longest}).status == 200
    assert service.api("POST", f"/session/{link}/token", {"data": longest + "d"}).status == 422


def test_what_it_can_do_is_shown(service, can):
    [shown] = [item for item in service.api("GET", "/providers").json["items"] if item["key"] == "fake"]
    assert shown["capabilities"]["features"] == sorted(can.features)
    assert shown["capabilities"]["roles"] == sorted(can.roles)
