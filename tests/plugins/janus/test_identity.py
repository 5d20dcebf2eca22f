"""Who gets into a room of a real Janus, and whose presence its events prove."""

import base64
import contextlib
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.plugins.janus.client import Refused
from tests.plugins.janus.conftest import issue
from tests.plugins.janus.server import needs_janus
from videoconf.errors import ProviderRejected, WebhookRejected
from videoconf.providers import EventKind, Role, SessionRequest, WebhookRequest
from videoconf_janus.provider import LONGEST_DISPLAY_NAME

pytestmark = needs_janus


@pytest.fixture
def events(provider, janus, sink):
    """Give a function that returns what the service makes of Janus's events since the last call."""
    sink.take(janus)

    def take():
        found = []
        for posted in sink.take(janus):
            request = WebhookRequest("session", "POST", posted.path, posted.headers, posted.body, datetime.now(UTC))
            provider.verify_webhook(request)
            found += provider.parse_webhook(request)
        return [event for event in found if event.kind is not EventKind.IGNORED]

    return take


def joined(events):
    """Return who joined, by the events since the last call: connection and attendee."""
    return [(one.connection_id, one.attendee) for one in events() if one.kind is EventKind.JOINED]


# --- tokens ---------------------------------------------------------------------------------------------------------


def tampered(token):
    """Move the expiry of a token of Janus a thousand years on."""
    expiry, _, rest = token.partition(",")
    return f"{int(expiry) + 31_557_600_000},{rest}"


def test_token_lets_a_participant_in(provider, session, make_client, events):
    join = issue(provider, session, name="Ann")
    client = make_client(join)
    client.join()
    [event] = events()
    assert (event.kind, event.connection_id, event.attendee, event.name) == (EventKind.JOINED, client.id, "ann", "Ann")
    assert event.session_id == session.session_id
    assert abs(event.at - datetime.now(UTC)) < timedelta(seconds=5)
    client.leave()
    [event] = [one for one in events() if one.kind is EventKind.LEFT]
    assert (event.connection_id, event.reason) == (client.id, None)


@pytest.mark.parametrize("change", [lambda join: None, tampered, lambda token: token[:-5] + "AAAA="])
def test_bad_room_token_is_refused(provider, session, make_client, events, change):
    client = make_client(issue(provider, session))
    with pytest.raises(Refused, match="433"):
        client.join(token=change(client.room_token))
    assert joined(events) == []


@pytest.mark.parametrize("change", [tampered, lambda token: token[:-5] + "AAAA=", lambda token: ""])
def test_bad_session_token_is_refused(provider, session, make_client, change):
    client = make_client(issue(provider, session))
    client.session_token = change(client.session_token)
    with pytest.raises(Refused, match="403"):
        client.join()


def test_expired_token_is_refused(provider, session, make_client):
    now = datetime.now(UTC)
    client = make_client(issue(provider, session, expires_at=now))
    with pytest.raises(Refused, match="433"):
        client.join()
    late = make_client(issue(provider, session, expires_at=now - timedelta(hours=25)))
    with pytest.raises(Refused, match="403"):
        late.join()


def test_token_of_another_room_is_refused(provider, session, make_client):
    other = provider.ensure_session(SessionRequest("m2"))
    client = make_client(issue(provider, other))
    with pytest.raises(Refused, match="433"):
        client.join(room=session.session_id)
    with pytest.raises(Refused, match="433"):
        client.join(room=session.session_id, token=client.session_token)
    provider.end_session(other, [])


@pytest.mark.parametrize("role", [Role.SUBSCRIBER, Role.MODERATOR])
def test_role_that_janus_cannot_enforce_is_refused(provider, session, role):
    with pytest.raises(ProviderRejected):
        issue(provider, session, role=role)


def test_client_cannot_manage_the_room(provider, session, make_client):
    client = make_client(issue(provider, session))
    client.join()
    for request in ({"request": "destroy"}, {"request": "kick", "id": client.id}, {"request": "edit", "new_pin": "1"}):
        with pytest.raises(Refused, match=r"429|433"):
            client.message({**request, "room": session.session_id})
    with pytest.raises(Refused, match=r"429|433"):
        client.message({"request": "create", "room": "m3"})


def test_new_token_lets_a_late_subscriber_in(provider, session, make_client):
    ann = make_client(issue(provider, session, "ann"))
    ann.join()
    ann.publish("0")
    stays = make_client(issue(provider, session, "bob", expires_at=datetime.now(UTC) + timedelta(seconds=2)))
    stays.join()
    watch = {"ptype": "subscriber", "id": None, "streams": [{"feed": ann.id}], "private_id": stays.private_id}
    time.sleep(2.1)
    with contextlib.closing(stays.again()) as viewer:
        with pytest.raises(Refused, match="433"):
            viewer.join(**watch)
        viewer.room_token = make_client(issue(provider, session, "bob")).room_token
        with pytest.raises(Refused, match="428"):  # the token is good; without media, the feed does not exist
            viewer.join(**watch)


# --- identities -----------------------------------------------------------------------------------------------------


def forged(identity, **members):
    """Change what a statement says and keep its signature."""
    mark, payload, signature = identity.split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "==")) | members
    return f"{mark}.{base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip('=')}.{signature}"


@pytest.mark.parametrize(
    "claim",
    [
        lambda ann, bob: forged(bob, attendee="ann"),
        lambda ann, bob: ann,
        lambda ann, bob: bob.rpartition(".")[0] + "." + ann.rpartition(".")[2],
        lambda ann, bob: "",
        lambda ann, bob: "vc1",
        lambda ann, bob: "vc1.e30.é",
        lambda ann, bob: "a" * 2_000_000,
    ],
    ids=["forged", "of another", "other signature", "empty", "mark alone", "odd characters", "2 MB"],
)
def test_forged_identity_is_anonymous(provider, session, make_client, events, claim):
    ann, bob = issue(provider, session, "ann"), issue(provider, session, "bob")
    client = make_client(bob)
    client.identity = claim(make_client(ann).identity, client.identity)
    client.join()
    assert [attendee for _, attendee in joined(events)] == [None]


def test_identity_for_another_room_is_anonymous(provider, session, make_client, events):
    other = provider.ensure_session(SessionRequest("m2"))
    client, elsewhere = make_client(issue(provider, session)), make_client(issue(provider, other))
    client.identity, client.connect = elsewhere.identity, {**elsewhere.connect, "room": session.session_id}
    client.join()
    assert [attendee for _, attendee in joined(events)] == [None]
    provider.end_session(other, [])


def test_expired_identity_is_anonymous(provider, session, make_client, events):
    expired = make_client(issue(provider, session, "ann", expires_at=datetime.now(UTC) - timedelta(hours=25)))
    client = make_client(issue(provider, session, "bob"))
    client.identity, client.connect = expired.identity, expired.connect
    client.join()
    assert [attendee for _, attendee in joined(events)] == [None]


def test_id_of_another_participant_does_not_bring_it_back(provider, session, make_client, events):
    """Participants see each other's ids, and Janus lets a client choose one that is free."""
    ann, bob = make_client(issue(provider, session, "ann")), make_client(issue(provider, session, "bob"))
    ann.join()
    ann.close()
    while EventKind.LEFT not in {one.kind for one in events()}:  # until the test's time is up
        time.sleep(0.05)
    bob.join(id=ann.id)
    bob.publish("camera")
    found = events()
    assert {one.kind for one in found} == {EventKind.JOINED, EventKind.ACTIVITY}
    assert {one.attendee for one in found} == {None}
    [connection] = {one.connection_id for one in found}
    assert connection != ann.id
    provider.mute(session, connection, {connection: ["camera"]})
    assert bob.muted() == {"camera"}
    provider.disconnect(session, connection)
    assert provider.list_connections(session).connections == []


def test_id_in_the_form_of_a_claim_protects_no_client(provider, session, make_client):
    """Muting and removing a participant who has named itself after another one concern that participant alone."""
    ann, bob = make_client(issue(provider, session, "ann")), make_client(issue(provider, session, "bob"))
    ann.join()
    bob.join(id=f"1~{ann.id}")
    ann.publish("0")
    bob.publish("0")
    provider.mute(session, bob.id, {})
    assert (ann.muted(), bob.muted()) == (set(), {"0"})
    provider.disconnect(session, bob.id)
    assert [one.connection_id for one in provider.list_connections(session).connections] == [ann.id]


def test_random_id_is_anonymous(provider, session, make_client, events):
    client = make_client(issue(provider, session, "ann"))
    client.join(id=None)
    assert joined(events) == [(client.id, None)]


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [{"display": "B" * 2_000_000}, {"id": "b" * 201}, {"id": "bell\a"}, {"id": ""}],
    ids=["name of 2 MB", "long id", "control character", "empty id"],
)
def test_roster_removes_participants_that_cannot_be_shown(provider, session, make_client, janus, members):
    ann, bob = make_client(issue(provider, session, "ann")), make_client(issue(provider, session, "bob"))
    ann.join(display="Ann" * (LONGEST_DISPLAY_NAME // 3), id=f"{ann.connect['idPrefix']}.{'a' * 150}")
    bob.join(**members)
    shown = {ann.id, bob.id} if "display" in members else {ann.id}
    assert {one.connection_id for one in provider.list_connections(session).connections} == shown
    assert len(janus.ask(request="listparticipants", room=session.session_id)["participants"]) == 1


def test_display_name_is_not_believed(provider, session, make_client, events):
    client = make_client(issue(provider, session, None))
    client.join(display="Ann")
    [event] = events()
    assert (event.attendee, event.name) == (None, None)
    assert [one.name for one in provider.list_connections(session).connections] == [None]


# --- webhooks -------------------------------------------------------------------------------------------------------


def test_events_of_another_server_are_ignored(provider, make_provider, session, make_client, janus, sink):
    sink.take(janus)
    make_client(issue(provider, session)).join()
    [posted] = sink.take(janus)
    request = WebhookRequest("session", "POST", posted.path, posted.headers, posted.body, datetime.now(UTC))
    other = make_provider(server_name="another")
    assert [one.kind for one in other.parse_webhook(request)] == [EventKind.IGNORED]
    with pytest.raises(WebhookRejected):
        provider.verify_webhook(replace(request, headers={**posted.headers, "authorization": "Basic amFudXM6eA=="}))


def test_muting_reaches_streams_of_any_name(provider, session, make_client):
    client = make_client(issue(provider, session))
    client.join()
    client.publish("camera", "0", "1")
    provider.mute(session, client.id, {client.id: ["camera"]})
    assert client.muted() == {"camera", "0", "1"}


def test_muting_all_reaches_streams_of_any_name(provider, session, make_client):
    clients = [make_client(issue(provider, session, attendee)) for attendee in ("ann", "bob")]
    for client in clients:
        client.join()
        client.publish("camera")
    provider.mute(session, None, {client.id: ["camera"] for client in clients})
    assert [client.muted() for client in clients] == [{"camera"}, {"camera"}]
