"""Removing and muting people: only those of one's own meeting, at the provider, and told in the audit trail."""

import pytest

from tests.support.service import ON_SQLITE, Caller, in_process, plugins_with, service_of
from tests.support.settings import BACKENDS
from videoconf.errors import ProviderTimeout, ProviderUnavailable
from videoconf.providers import Capabilities, Provider, SessionRef
from videoconf.providers.deadline import PROVIDER_BUDGET_SECONDS, seconds_left
from videoconf_fake.provider import FakeProvider


def there(service, link):
    return {
        connection["id"]: connection["left"] is None
        for attendee in service.api.attendees(link)
        for connection in attendee["connections"]
    }


def muted(service, session_id):
    """Whose streams the provider has muted."""
    if service.provider.key in BACKENDS.values():
        return {
            one.connection_id: service.fake.is_muted(one.connection_id)
            for one in service.fake.list_connections(session_id)
        }
    with service.provider.state.read() as database:
        rows = database.execute(
            "SELECT connection_id, muted FROM stream JOIN connection USING (connection_id) WHERE session_id = ?",
            (session_id,),
        )
        return {row["connection_id"]: bool(row["muted"]) for row in rows}


def told(service, link):
    entries = service.api("GET", f"/audit?meetingLink={link}").json
    return [(entry["action"], entry["target"], entry["after"]) for entry in entries[:-1]]


def disconnect(api, link, connection):
    return api("DELETE", f"/session/{link}/attendees/{connection}")


def mute(api, link, connection):
    return api("POST", f"/session/{link}/attendees/{connection}/mute")


def mute_all(api, link):
    return api("POST", f"/session/{link}/mute")


@pytest.mark.needs("moderation")
def test_a_connection_is_removed_and_may_be_removed_again(service):
    link = service.api.create()
    ann, bob = (service.join(link, attendee=name) for name in ("ann", "bob"))
    service.deliver()

    answer = disconnect(service.api, link, ann)
    assert (answer.status, answer.body) == (204, b"")
    service.deliver()
    assert there(service, link) == {ann: False, bob: True}
    [left] = service.api.attendees(link, active="false")
    reasons = {"fake": "forced", "janus": "kicked", "livekit": "participant_removed"}
    assert left["connections"][0]["reason"] == reasons[service.provider.key]

    assert disconnect(service.api, link, ann).status == 204, "one that has left is success"
    assert (
        told(service, link) == [("attendee.disconnected", ann, None), ("attendee.disconnect_requested", ann, None)] * 2
    )


@pytest.mark.needs("moderation")
def test_one_connection_or_all_are_muted(service):
    link = service.api.create()
    ann, bob = (service.join(link, attendee=name) for name in ("ann", "bob"))
    service.fake.publish(ann)
    service.fake.publish(bob)
    service.deliver()
    session_id = service.api.read(link)["sessionId"]

    assert mute(service.api, link, ann).status == 204
    assert muted(service, session_id) == {ann: True, bob: False}
    assert mute_all(service.api, link).status == 204
    assert muted(service, session_id) == {ann: True, bob: True}
    assert told(service, link) == [
        ("meeting.muted", None, None),
        ("meeting.mute_requested", None, None),
        ("attendee.muted", ann, None),
        ("attendee.mute_requested", ann, None),
    ]


@ON_SQLITE
@pytest.mark.needs("moderation")
def test_connection_of_another_meeting_answers_404(service):
    link, other = service.api.create(), service.api.create()
    connection = service.join(other)
    service.deliver()
    for act in (disconnect, mute):
        for unknown in (connection, "unknown"):
            assert act(service.api, link, unknown).problem == (404, "connection_not_found")
    assert there(service, other) == {connection: True}
    assert told(service, link) == []


@ON_SQLITE
@pytest.mark.needs("moderation")
def test_moderation_has_one_deadline_for_all_provider_calls(service):
    link, left = service.api.create(), []
    connection = service.join(link)
    service.deliver()
    for name in ("disconnect", "mute"):
        service.provider.script(name, lambda *args: left.append(seconds_left()), always=True)
    assert [act(service.api, link, connection).status for act in (disconnect, mute)] == [204, 204]
    assert len(left) == 2
    assert max(left) < PROVIDER_BUDGET_SECONDS, "it runs already"


@ON_SQLITE
@pytest.mark.needs("moderation")
def test_an_ended_meeting_is_not_moderated(service):
    for method, path in (("PATCH", "/end"), ("DELETE", "")):
        link = service.api.create()
        connection = service.join(link)
        service.deliver()
        service.api(method, f"/session/{link}{path}")
        assert disconnect(service.api, link, connection).problem == (409, "meeting_ended")
        assert mute(service.api, link, connection).problem == (409, "meeting_ended")
        assert mute_all(service.api, link).problem == (409, "meeting_ended")


@pytest.mark.needs("the fake", long=True)
@ON_SQLITE
def test_a_provider_that_cannot_moderate_is_not_asked(make_app, headers):
    class Plain(Provider):
        key, label, Settings = FakeProvider.key, "Plain", FakeProvider.Settings
        account, capabilities = "plain", Capabilities()
        end_session = issue_token = verify_webhook = parse_webhook = check = None

        def close(self):
            pass

        def ensure_session(self, request):
            return SessionRef(self.account, "room")

    api = Caller(in_process(make_app(plugins=plugins_with(Plain))), headers())
    link = api.create()
    for answer in (mute_all(api, link), mute(api, link, "any"), disconnect(api, link, "any")):
        assert answer.problem == (422, "capability_unsupported")


@pytest.mark.needs("moderation", long=True)
@ON_SQLITE
@pytest.mark.parametrize(
    ("error", "status", "told_as"),
    [
        (ProviderUnavailable(), 503, [None]),
        (ProviderTimeout(), 504, [{"outcome": "unknown", "error": "provider_timeout"}, None]),
    ],
    ids=["not executed", "outcome unknown"],
)
def test_provider_failure_is_answered_and_audited(service, error, status, told_as):
    for name in ("disconnect", "mute"):
        service.provider.script(name, error, always=True)
    link = service.api.create()
    connection = service.join(link)
    service.deliver()
    for act in (disconnect, mute):
        assert act(service.api, link, connection).problem == (status, error.code)
    assert [after for _, _, after in told(service, link)] == told_as * 2


@pytest.mark.needs("the fake", long=True)
@ON_SQLITE
def test_muting_all_passes_known_streams_to_the_provider(make_app, headers):
    asked = []

    class Asked(FakeProvider):
        def mute(self, session, connection_id, streams):
            asked.append((connection_id, streams))

    service = service_of(make_app(plugins=plugins_with(Asked)), headers)
    link = service.api.create()
    ann = service.join(link)
    service.fake.publish(ann, "camera")
    service.deliver()
    assert mute_all(service.api, link).status == 204
    assert asked == [(None, {ann: ["camera"]})]
