"""The whole service with LiveKit as its default provider: lives of meetings, failures, failover, two providers."""

import random

import jwt
import pytest
from cryptography.fernet import Fernet
from livekit.protocol.room import CreateRoomRequest
from sqlalchemy import select

from tests.support.service import ON_SQLITE, count_meetings
from tools.vonage_standin.fixtures import make_vonage_standin  # noqa: F401  # a fixture
from videoconf.api.services import services
from videoconf.db.transactions import read
from videoconf.errors import ProviderBusy
from videoconf.jobs.kinds import END_SESSION, RECORD_MEETING
from videoconf.providers import Secret
from videoconf.testing.faulty_server import reply
from videoconf.webhooks.models import EventStatus, WebhookEvent
from videoconf_livekit.provider import LiveKitProvider

ROOM = "videoconf-{}"


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.long)], ids=["self-hosted", "cloud"])
def standin(make_livekit_standin, request):
    return make_livekit_standin(cloud=request.param)


@pytest.fixture
def service(make_service, standin):
    return make_service(standin)


def active(service, link):
    return sorted(one["attendee"] for one in service.api.attendees(link, active="true"))


def test_a_meeting_lives_and_ends(service, standin):
    api, link = service.api, service.api.create(providerOptions={"maxParticipants": 5})
    assert api.read(link)["sessionId"] == ROOM.format(link)
    given = api.token(link, role="moderator", attendee="ada@example.org", name="Ada")
    assert (given["provider"], given["sessionId"]) == ("livekit", ROOM.format(link))
    assert given["connect"] == {"url": standin.url.replace("http", "ws")}
    claims = jwt.decode(given["token"], options={"verify_signature": False})
    assert claims["roomConfig"] == {"maxParticipants": 5}, "for the room that this token opens"
    ada, bob = standin.join(given["token"]).sid, service.join(link, data="bob")
    assert standin.world.rooms[ROOM.format(link)].info.max_participants == 5
    standin.publish(ada)
    standin.publish(bob, audio=True)
    service.deliver(times=2)
    listed = {one["attendee"]: one for one in api.attendees(link)}
    assert listed.keys() == {"ada@example.org", "bob"}
    assert listed["ada@example.org"]["name"] == "Ada"
    assert [one["id"] for one in listed["bob"]["connections"]] == [bob]

    assert api("POST", f"/session/{link}/attendees/{bob}/mute").status == 204
    assert standin.is_muted(bob)
    assert not standin.is_muted(ada)
    assert api("POST", f"/session/{link}/mute").status == 204
    assert standin.is_muted(ada)
    assert api("DELETE", f"/session/{link}/attendees/{bob}").status == 204
    standin.advance(1)
    service.deliver()
    assert active(service, link) == ["ada@example.org"]
    [left] = [one for one in api.attendees(link) if one["attendee"] == "bob"]
    assert left["connections"][0]["reason"] == "participant_removed"

    assert api("PATCH", f"/session/{link}/end").status == 204
    standin.advance(40)
    service.deliver()
    assert active(service, link) == []
    assert standin.world.rooms == {}
    assert api("POST", f"/session/{link}/token", {}).problem == (409, "meeting_ended")


def test_an_archive_lives_and_is_deleted(service, standin):
    api, link = service.api, service.api.create()
    assert api("POST", f"/session/{link}/archives").problem == (409, "archive_no_connections")
    ann = service.join(link, attendee="ann")
    started = api("POST", f"/session/{link}/archives", {"name": "visit", "layout": "speaker"}).json
    assert api("POST", f"/session/{link}/archives").problem == (409, "archive_already_running")
    assert api("DELETE", f"/archives/{started['id']}").problem == (409, "archive_not_deletable")
    standin.egresses.activate(started["id"])
    service.deliver()
    assert api("POST", f"/archives/{started['id']}/stop").json["status"] == "stopped"
    standin.finish(started["id"], size=4096)
    standin.leave(ann)
    service.deliver(shuffle=random.Random(1), times=2)
    shown = api("GET", f"/archives/{started['id']}").json
    assert (shown["status"], shown["name"], shown["sizeBytes"]) == ("available", "visit", 4096)
    assert shown["metaData"] == {"layout": "speaker", "providerStatus": "EGRESS_COMPLETE"}
    assert api("DELETE", f"/archives/{started['id']}").status == 200
    [entry] = [one for one in api("GET", "/audit").json if one["action"] == "archive.deleted"]
    assert entry["after"] == {"provider": "not deletable", "storageTarget": "none"}


def test_storage_target_is_set_and_has_the_next_recording(make_service, standin, s3_server):
    """LiveKit is the only provider, and it has a storage of its own for recordings without a target."""
    key = Secret(Fernet.generate_key().decode())
    service = make_service(standin, encryption_keys=(key,), development=True)
    api, target = service.api, "/archives/storage-target"
    refused = api("PUT", target, {**s3_server.target, "fallback": "provider"})
    assert (*refused.problem, list(refused.json["errors"])) == (422, "storage_target_rejected", ["fallback"])
    assert api("GET", target).problem == (404, "storage_target_not_found")
    assert api("PUT", target, s3_server.target).status == 200
    link = api.create()
    service.join(link, attendee="ann")
    started = api("POST", f"/session/{link}/archives", {}).json
    assert started["uploadTarget"] == "AWSS3"
    [output] = standin.egresses.secrets[started["id"]].file_outputs
    assert (output.s3.endpoint, output.s3.bucket, output.s3.secret) == (s3_server.url, "archives", s3_server.secret)
    standin.finish(started["id"])
    service.deliver()
    assert api("GET", f"/archives/{started['id']}").json["status"] == "uploaded"


def archives_of(service, link):
    return service.api("GET", f"/archives?meetingLink={link}").json["items"]


def run_job(service, kind):
    with service.app.app_context():
        return services(service.app).jobs.run_now(kind)


def test_each_run_of_a_recorded_meeting_is_recorded(service, standin):
    link = service.api.create(enableArchiving=True)
    for number in (1, 2):
        people = [service.join(link, attendee=f"u-{n}") for n in range(3)]
        service.deliver()
        run_job(service, RECORD_MEETING)
        assert len(standin.egresses.found) == number, "one archive, however many join"
        newest = archives_of(service, link)[0]
        assert (newest["status"], len(archives_of(service, link))) == ("started", number)
        standin.egresses.activate(newest["id"])
        for one in people:
            standin.leave(one)
        standin.advance(40)
        standin.advance(2)
        service.deliver()
        assert archives_of(service, link)[0]["status"] == "available"
    run_job(service, RECORD_MEETING)
    assert len(standin.egresses.found) == 2
    [started] = {one["actor"] for one in service.api("GET", "/audit").json if one["action"] == "archive.started"}
    assert started == "automatic-archiving"


@ON_SQLITE
def test_recording_starts_although_the_webhook_was_lost(service, standin):
    link = service.api.create(enableArchiving=True)
    service.join(link, attendee="ann")
    service.deliver(lose=lambda webhook: True)
    run_job(service, "record_meetings")
    assert standin.egresses.found == {}, "no webhook has reported a participant"
    service.poll()
    run_job(service, "record_meetings")
    assert len(standin.egresses.found) == 1
    run_job(service, "record_meetings")
    assert len(standin.egresses.found) == 1


@ON_SQLITE
def test_failing_recording_is_not_repeated_each_minute(service, standin):
    link = service.api.create(enableArchiving=True)
    service.join(link, attendee="ann")
    service.deliver()
    run_job(service, RECORD_MEETING)
    [egress_id] = standin.egresses.found
    standin.finish(egress_id, "failed")
    service.deliver()
    for _ in range(3):
        run_job(service, "record_meetings")
    assert len(standin.egresses.found) == 1


@ON_SQLITE
def test_meeting_without_recording_is_not_recorded(service, standin):
    link = service.api.create()
    service.join(link, attendee="ann")
    service.deliver()
    assert run_job(service, RECORD_MEETING) == 0
    run_job(service, "record_meetings")
    assert standin.egresses.found == {}


@ON_SQLITE
def test_recording_waits_for_a_recorder(service, standin):
    link = service.api.create(enableArchiving=True)
    standin.switches.recorders = 0
    service.join(link, attendee="ann")
    service.deliver()
    with pytest.raises(ProviderBusy):
        run_job(service, RECORD_MEETING)
    standin.switches.recorders = 1
    run_job(service, RECORD_MEETING)
    assert len(standin.egresses.found) == 1


def test_an_encrypted_meeting_says_so_and_is_not_recorded(service, standin):
    link = service.api.create(endToEndEncryption=True)
    given = service.api.token(link, attendee="ann")
    assert given["connect"]["endToEndEncryption"] is True
    standin.join(given["token"])
    assert service.api("POST", f"/session/{link}/archives").problem == (409, "archive_session_encrypted")
    other = service.api.create()
    standin.publish(service.join(other), encrypted=True)
    assert service.api("POST", f"/session/{other}/archives").problem == (409, "archive_session_encrypted")


@ON_SQLITE
def test_stored_webhooks_hold_no_password(service, standin):
    link = service.api.create()
    service.join(link, attendee="ann")
    started = service.api("POST", f"/session/{link}/archives").json
    standin.finish(started["id"])
    service.deliver()
    with service.app.app_context(), read() as session:
        stored = b"".join(session.execute(select(WebhookEvent.body)).scalars())
    sent = b"".join(one.body for one in standin.webhooks.sent)
    password = standin.world.rooms[ROOM.format(link)].info.turn_password.encode()
    for secret in (password, b"X-Amz-Signature"):
        assert secret in sent
        assert secret not in stored
    assert b"turnPassword" in stored


@ON_SQLITE
def test_webhook_without_a_storable_body_is_applied(service, standin, monkeypatch):
    def broken(self, request):
        raise RuntimeError("the plugin cannot tell what is secret")

    monkeypatch.setattr(LiveKitProvider, "storable_body", broken)
    link = service.api.create()
    service.join(link, attendee="ann")
    service.deliver()
    assert active(service, link) == ["ann"]
    with service.app.app_context(), read() as session:
        assert set(session.execute(select(WebhookEvent.body)).scalars()) == {None}


@ON_SQLITE
def test_webhooks_about_other_rooms_are_ignored(service, standin):
    standin.world.create("other-software", CreateRoomRequest())
    service.deliver()
    with service.app.app_context(), read() as session:
        assert session.execute(select(WebhookEvent.status)).scalars().all() == [EventStatus.IGNORED]


@ON_SQLITE
def test_a_join_after_the_end_is_disconnected(service, standin):
    link = service.api.create()
    token = service.api.token(link, attendee="ann")["token"]
    standin.join(token)
    assert service.api("PATCH", f"/session/{link}/end").status == 204
    standin.advance(40)
    late = standin.join(service.provider.issue_token(*late_token(service, link)).token)
    service.deliver()
    run_job(service, END_SESSION)
    standin.advance(40)
    assert late.identity.startswith("late#")
    assert standin.world.rooms == {}


def late_token(service, link):
    from datetime import timedelta

    from videoconf.providers import Role, SessionRef, TokenRequest

    now = service.provider.context.clock()
    ref = SessionRef(service.provider.account, ROOM.format(link))
    return ref, TokenRequest(Role.PUBLISHER, now + timedelta(minutes=5), "late")


@ON_SQLITE
@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (reply(401, b"invalid API key"), (502, "provider_auth_failed")),
        (reply(404, b"not LiveKit"), (422, "provider_rejected")),
        (reply(503), (503, "provider_unavailable")),
        (reply(500), (502, "provider_error")),
        (reply(408), (504, "provider_timeout")),
    ],
)
def test_failure_of_a_creation_has_its_code(service, standin, fault, problem):
    standin.faults["RoomService/CreateRoom"] = 3 * [fault]
    assert service.api("POST", "/session").problem == problem
    assert count_meetings(service.app) == 0


@ON_SQLITE
def test_doctor_and_provider_list_show_livekit(service, standin):
    [shown] = [one for one in service.api("GET", "/providers").json["items"] if one["key"] == "livekit"]
    can = shown["capabilities"]
    assert (can["storageScope"], sorted(can["storageKinds"])) == ("archive", ["azure", "s3"])
    assert can["callerBringsEncryptionKey"] is True
    assert can["deletesArchives"] is False


# --- several providers ----------------------------------------------------------------------------------------------


@pytest.fixture
def make_pair(make_service, standin, make_vonage_standin, monkeypatch):  # noqa: F811  # the fixture
    """Give a function that makes a service with Vonage and LiveKit, in that order unless told otherwise."""

    def make(providers=("vonage", "livekit")):
        vonage = make_vonage_standin("opentok")
        for name, value in {
            "API_KEY": vonage.account,
            "API_SECRET": vonage.secret,
            "API_URL": vonage.url,
            "SIGNATURE_SECRETS": "tests-sign-callbacks-with-this-secret",
        }.items():
            monkeypatch.setenv(f"VIDEOCONF_VONAGE_{name}", value)
        key = Secret(Fernet.generate_key().decode())
        return make_service(standin, providers=providers, encryption_keys=(key,)), vonage

    return make


@ON_SQLITE
def test_meetings_go_to_livekit_while_vonage_is_down(make_pair, standin):
    service, vonage = make_pair()
    at_vonage = service.api.create()
    vonage.__exit__(None, None, None)
    link = service.api.create()
    assert service.api.read(link)["provider"] == "livekit"
    [entry] = service.api("GET", f"/audit?meetingLink={link}").json
    assert entry["after"]["failedOver"] == {"vonage": "provider_unavailable"}
    service.join(link, attendee="ann")
    service.deliver()
    assert active(service, link) == ["ann"]
    assert service.api.read(at_vonage)["provider"] == "vonage"


@ON_SQLITE
def test_rosters_are_asked_for_as_the_vendor_needs(make_pair, standin):
    service, vonage = make_pair(("livekit", "vonage"))
    here, there = service.api.create(), service.api.create(provider="vonage")
    service.join(here, attendee="ann")
    vonage.connect(service.api.token(there, attendee="bob")["token"])
    for _ in range(3):
        service.poll()
    asked = [
        sum(word in request.path for request in one.received)
        for one, word in ((standin, "ListPart"), (vonage, "/connection"))
    ]
    assert asked == [3, 1], "a webhook of LiveKit is given up within a minute, one of Vonage after a day"


@ON_SQLITE
def test_two_providers_serve_side_by_side(make_pair, standin):
    service, vonage = make_pair(("livekit", "vonage"))
    here, there = service.api.create(), service.api.create(provider="vonage")
    vonage.callbacks.register(
        *(f"https://meet.example/webhooks/vonage/{one}" for one in ("session", "archive")),
        secret="tests-sign-callbacks-with-this-secret",
    )
    service.join(here, attendee="ann")
    vonage.connect(service.api.token(there, attendee="bob")["token"])
    service.deliver()
    vonage.deliver(post=lambda url, body, headers, seconds: service.post(url, body, headers))
    assert active(service, here) == ["ann"]
    assert active(service, there) == ["bob"]
    assert service.api("PATCH", f"/session/{here}/end").status == 204
    assert len(vonage.world.sessions) == 1
    assert active(service, there) == ["bob"]
