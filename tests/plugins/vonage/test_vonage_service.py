"""The whole service on a stand-in for Vonage, in both environments: callbacks, failures, forgeries, secrets."""

from __future__ import annotations

import base64
import json
import logging
import random
import secrets
import subprocess
import sys
from types import ModuleType
from urllib.parse import quote, urlsplit

import jwt
import pytest
from cryptography.fernet import Fernet
from marshmallow import Schema, fields
from sqlalchemy import select, text

from tests.plugins.vonage.test_failures import TABLE
from tests.service import ON_SQLITE, Answer, Caller, SteppedClock, count_meetings, in_process, plugins_with
from tools.vonage_standin import faults
from tools.vonage_standin.fixtures import make_vonage_standin, vonage_standin  # noqa: F401  # fixtures
from videoconf import hookimpl
from videoconf.api.services import services
from videoconf.db.transactions import read
from videoconf.hooks import Origin
from videoconf.meetings.models import Meeting
from videoconf.providers import Secret
from videoconf.storage import StorageTarget
from videoconf.webhooks.models import WebhookEvent
from videoconf_vonage.provider import VonageProvider

SIGNATURE_SECRET = secrets.token_urlsafe(32)
WEBHOOK_TOKEN = secrets.token_urlsafe(24)
PATHS = ("/webhooks/vonage/session", "/webhooks/vonage/archive")
PERSON = {"attendee": "u-7", "name": "Ada"}


class S3(StorageTarget):
    """A target that always works."""

    key, wire_name, label = "s3", "AWSS3", "A bucket"
    secret_fields = frozenset({"secret_key"})

    class Configuration(Schema):
        bucket = fields.String(required=True)
        region = fields.String(required=True)
        access_key = fields.String(required=True, data_key="accessKey")
        secret_key = fields.String(required=True, data_key="secretKey")
        prefix = fields.String(load_default="")
        fallback = fields.String(load_default="none")

    configuration_schema = Configuration

    def probe(self):
        pass

    put = open = stat = delete = signed_url = None


S3.__abstractmethods__ = frozenset()
BUCKET = {
    "name": "AWSS3",
    "bucket": "b",
    "region": "eu-west-1",
    "accessKey": "AKCANARY77",
    "secretKey": "canary-s3-secret",
}


class VonageService:
    """A service, the stand-in behind it, and the callbacks between the two."""

    def __init__(self, app, standin, headers):
        self.app = app
        self.standin = standin
        self.send = in_process(app)
        self.api = Caller(self.send, headers())
        self.stranger = Caller(self.send, {})

    def post(self, url, body, headers, timeout_seconds=0):
        """Take a callback; return the status, as the stand-in wants it."""
        parts = urlsplit(url)
        return self.send("POST", f"{parts.path}?{parts.query}", body, headers).status

    def deliver(self, **how):
        delivered = self.standin.deliver(post=self.post, **how)
        assert all(one.state == "delivered" for one in delivered), [one.statuses for one in delivered]
        return delivered

    def join(self, link, **wish):
        return self.standin.connect(self.api.token(link, **wish)["token"])

    def session_of(self, link):
        return self.standin.world.sessions[self.api.read(link)["sessionId"]]

    def stored(self):
        with self.app.app_context(), read() as session:
            return len(session.execute(select(WebhookEvent.id)).scalars().all())


@pytest.fixture
def standin(vonage_standin):  # noqa: F811  # the fixture
    return vonage_standin


@pytest.fixture
def vonage_settings(standin, monkeypatch):
    """Configure the provider for the stand-in by the environment, as an operator does."""
    names = ("API_KEY", "API_SECRET") if standin.environment == "opentok" else ("APPLICATION_ID", "PRIVATE_KEY")
    given = {names[0]: standin.account, names[1]: standin.secret, "API_URL": standin.url}
    for name, value in (given | {"SIGNATURE_SECRETS": SIGNATURE_SECRET, "WEBHOOK_TOKEN": WEBHOOK_TOKEN}).items():
        monkeypatch.setenv(f"VIDEOCONF_VONAGE_{name}", value)


@pytest.fixture
def make_service(make_app, standin, vonage_settings, headers):
    made = []

    def make(*, query="", secret=SIGNATURE_SECRET, **how):
        made.append(VonageService(make_app(providers=("vonage",), **how), standin, headers))
        urls = [f"https://meet.example{path}{query}" for path in PATHS]
        standin.callbacks.register(*urls, secret=secret)
        return made[-1]

    yield make
    for service in made:
        services(service.app).providers.get("vonage").close()


@pytest.fixture
def service(make_service):
    return make_service()


# --- a life ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "not signed"])
def test_a_meeting_lives_and_ends(make_service, standin, signed):
    service = make_service() if signed else make_service(secret=None, query=f"?token={WEBHOOK_TOKEN}")
    api = service.api
    link = api.create()
    given = api.token(link, role="moderator", **PERSON)
    assert given["connect"] == {"apiKey" if standin.environment == "opentok" else "applicationId": standin.account}
    assert given["provider"] == "vonage"
    ada, plain = standin.connect(given["token"]), service.join(link, data="role=doctor")
    standin.publish(ada)
    service.deliver(times=2)
    listed = {one["attendee"]: one for one in api.attendees(link)}
    assert listed.keys() == {"u-7", "role=doctor"}
    assert listed["u-7"]["name"] == "Ada"
    assert [one["active"] for one in listed.values()] == [True, True]

    archive = api("POST", f"/session/{link}/archives", {"name": "visit"}).json["id"]
    assert api("POST", f"/session/{link}/archives").problem == (409, "archive_already_running")
    standin.disconnect(plain, "networkDisconnected")
    service.deliver()
    assert [one["attendee"] for one in api.attendees(link, active="true")] == ["u-7"]
    assert api("POST", f"/session/{link}/mute").status == 204
    assert api("POST", f"/session/{link}/attendees/{ada.connection_id}/mute").status == 204

    assert api("PATCH", f"/session/{link}/end").status == 204
    assert service.session_of(link).connections == {}
    assert standin.archives.get(archive).status == "stopped"
    standin.finish_archive(archive)
    service.deliver()
    assert api.attendees(link, active="true") == []
    shown = api("GET", f"/archives/{archive}").json
    assert (shown["status"], shown["name"], shown["meetingLink"]) == ("available", "visit", link)
    assert api("DELETE", f"/archives/{archive}").status == 200
    assert standin.archives.get(archive).status == "deleted"
    service.deliver()
    assert api("GET", f"/archives/{archive}").problem == (404, "archive_not_found")


@ON_SQLITE
@pytest.mark.parametrize("seed", range(3))
def test_any_order_and_repetition_of_callbacks_gives_one_attendance(service, standin, seed):
    link = service.api.create()
    people = [service.join(link, attendee=f"u-{number}") for number in range(4)]
    for one in people:
        standin.publish(one)
        standin.advance(1)
    for one in people[:3]:
        standin.disconnect(one)
        standin.advance(1)
    service.deliver(shuffle=random.Random(seed), times=2)
    assert {one["attendee"]: one["active"] for one in service.api.attendees(link)} == {
        "u-0": False,
        "u-1": False,
        "u-2": False,
        "u-3": True,
    }


@ON_SQLITE
@pytest.mark.parametrize(
    "switch",
    [
        {"retries_are_signed_anew": False},
        {"unified_account_field": "applicationId"},
        {"session_event_body": "nested"},
        {"session_events": False},
        {"success_statuses": "2xx"},
        {"session_id_prefix": "1_"},
        {"lists_multi_archive_tag": True},
    ],
    ids=str,
)
def test_what_no_source_settles_may_be_either_way(make_service, standin, switch):
    clock = SteppedClock()
    service = make_service(clock=clock)
    for name, value in switch.items():
        setattr(standin.switches, name, value)
    link = service.api.create()
    connection = service.join(link, **PERSON)
    archive = service.api("POST", f"/session/{link}/archives").json["id"]
    standin.disconnect(connection)
    # Nobody takes them for hours; then they come again, under the old signature where they are not signed anew.
    for _ in range(3):
        standin.deliver(post=lambda *_: 0)
        standin.advance(4 * 3600)
        clock.step(hours=4)
    service.deliver()
    assert [(one["attendee"], one["active"]) for one in service.api.attendees(link)] == [("u-7", False)]
    assert service.api("GET", f"/archives/{archive}").json["status"] in ("stopped", "available")


@ON_SQLITE
def test_the_documented_webhook_route_is_vonages_too(service, standin):
    link = service.api.create()
    service.join(link, **PERSON)
    standin.callbacks.registered["connection_created"].url = "https://meet.example/webhooks/session"
    (created,) = [one for one in standin.callbacks.due() if one.name == "connection_created"]
    body, headers = standin.callbacks.request_of(created)
    assert service.send("POST", "/webhooks/session", body, headers).status == 204
    assert service.send("POST", PATHS[0], body, headers).status == 200
    assert service.stored() == 1


# --- muting one -----------------------------------------------------------------------------------------------------


def mute(service, link, connection):
    return service.api("POST", f"/session/{link}/attendees/{connection.connection_id}/mute")


def sent_to_mute(standin):
    return [one.path.split("/")[-2] for one in standin.received if one.path.endswith("/mute")]


def told(service, link):
    entries = service.api("GET", f"/audit?meetingLink={link}").json
    return [(entry["target"], entry["after"]) for entry in entries if entry["action"] == "attendee.muted"]


@pytest.mark.parametrize("seed", range(2))
def test_what_one_attendee_publishes_is_muted_and_nothing_else(service, standin, seed):
    link = service.api.create()
    ada, bob, cid = (service.join(link, attendee=name) for name in ("ada", "bob", "cid"))
    camera, gone, screen = (standin.publish(ada, video_type=kind) for kind in ("camera", "custom", "screen"))
    other = standin.publish(bob)
    standin.advance(1)
    standin.unpublish(gone, "mediaStopped")
    service.deliver(shuffle=random.Random(seed), times=2)

    answer = mute(service, link, ada)
    assert (answer.status, answer.body) == (204, b"")
    assert (camera.muted, screen.muted, other.muted) == (True, True, False)
    assert set(sent_to_mute(standin)) == {camera.stream_id, screen.stream_id}, "what is gone is not asked for"
    assert mute(service, link, cid).status == 204, "nothing is published, and nothing is muted"
    assert len(sent_to_mute(standin)) == 2
    assert told(service, link) == [(cid.connection_id, None), (ada.connection_id, None)]
    assert not standin.publish(ada).muted, "they may go on later"


def test_after_a_reconnect_the_new_connection_is_muted(service, standin):
    link = service.api.create()
    first = service.join(link, attendee="ada")
    standin.publish(first)
    standin.advance(1)
    standin.disconnect(first, "networkDisconnected")
    standin.advance(1)
    second = service.join(link, attendee="ada")
    camera = standin.publish(second)
    # That the connection is gone is told, and that its stream is comes late.
    standin.deliver(post=lambda url, body, *how: 0 if b"streamDestroyed" in body else service.post(url, body, *how))
    assert mute(service, link, first).status == 204
    assert sent_to_mute(standin) == []
    assert mute(service, link, second).status == 204
    assert sent_to_mute(standin) == [camera.stream_id]
    standin.advance(10)
    assert [one.name for one in service.deliver()] == ["stream_destroyed"]
    assert mute(service, link, second).status == 204


def test_a_stream_whose_callback_has_not_come_is_no_silent_success(service, standin):
    link = service.api.create()
    ada, bob = (service.join(link, attendee=name) for name in ("ada", "bob"))
    camera = standin.publish(ada)
    service.deliver()
    late = standin.publish(bob)
    for connection, muted in ((bob, False), (ada, True)):
        answer = mute(service, link, connection)
        assert answer.problem == (409, "provider_conflict")
        assert "Try again in a moment" in answer.json["detail"]
        assert (camera.muted, late.muted) == (muted, False)
    assert told(service, link) == [(ada.connection_id, {"outcome": "unknown", "error": "provider_conflict"})]
    service.deliver()
    for connection in (bob, ada):
        assert mute(service, link, connection).status == 204
    assert late.muted


@ON_SQLITE
@pytest.mark.parametrize("name", ["401", "403", "404", "413", "429", "500", "502", "503", "reset before", "redirect"])
def test_a_mute_that_fails_is_told(service, standin, name):
    link = service.api.create()
    ada = service.join(link, **PERSON)
    camera = standin.publish(ada)
    service.deliver()
    row = TABLE[name]
    standin.faults.add("POST", f"/stream/{camera.stream_id}/mute$", *[row.fault] * 3)
    answer = mute(service, link, ada)
    if name == "404":
        assert answer.status == 204, "it has stopped meanwhile"
    else:
        assert answer.problem == (row.status, row.error.code)
        assert "told in confidence" not in answer.body.decode()
    assert not camera.muted


# --- failures -------------------------------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.parametrize("row", [row for name, row in TABLE.items() if name not in ("silence", "drip")], ids=[
    name for name in TABLE if name not in ("silence", "drip")
])  # fmt: skip
def test_a_failed_create_leaves_no_meeting_and_one_session_at_most(service, standin, row):
    standin.faults.add("POST", "/session/create$", row.fault)
    answer = service.api("POST", "/session", {})
    assert answer.problem == (row.status, row.error.code)
    assert "told in confidence" not in answer.body.decode()
    assert count_meetings(service.app) == 0
    assert len(standin.world.sessions) == row.made
    assert len(standin.received) == 1


def test_a_create_after_a_lost_answer_binds_one_session(service, standin):
    standin.faults.add("POST", "/session/create$", faults.reset_after_processing())
    assert service.api("POST", "/session", {}).problem == (504, "provider_timeout")
    link = service.api.create()
    with service.app.app_context(), read() as session:
        bound = list(session.execute(select(Meeting.session_id)).scalars())
    assert bound == [service.api.read(link)["sessionId"]]
    assert len(standin.world.sessions) == 2


@ON_SQLITE
def test_an_end_that_vonage_does_not_take_is_a_job(service, standin):
    link = service.api.create()
    service.join(link, **PERSON)
    standin.faults.add("GET", "/connection$", faults.html(500))
    standin.faults.add("DELETE", "/connection/", faults.html(500))
    assert service.api("PATCH", f"/session/{link}/end").status == 204
    assert service.session_of(link).connections
    with service.app.app_context(), read() as session:
        waiting = session.execute(text("SELECT kind FROM job WHERE kind = 'end_session'")).scalars().all()
    assert waiting == ["end_session"]


# --- storage --------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_bucket(make_service):
    plugins = plugins_with(VonageProvider)
    storage = ModuleType("tests_storage")
    storage.videoconf_storage_targets = hookimpl(lambda: [S3])
    plugins.manager.register(storage, name="storage")
    plugins.origins["storage"] = Origin("storage", "the tests")
    return make_service(plugins=plugins, encryption_keys=(Secret(Fernet.generate_key().decode()),))


@ON_SQLITE
def test_a_storage_target_is_set_by_api_or_the_answer_says_where(with_bucket, standin):
    answer = with_bucket.api("PUT", "/archives/storage-target", BUCKET)
    if standin.environment == "unified":
        assert answer.problem == (422, "capability_unsupported")
        assert "dashboard" in answer.json["detail"]
        assert standin.received == []
        assert with_bucket.api("GET", "/archives/storage-target").status == 404
        return
    assert answer.status == 200
    assert standin.archives.target.body == {
        "type": "s3",
        "config": {
            "accessKey": "AKCANARY77",
            "secretKey": "canary-s3-secret",
            "bucket": "b",
            "endpoint": "https://s3.eu-west-1.amazonaws.com",
        },
        "fallback": "none",
    }
    refused = with_bucket.api("PUT", "/archives/storage-target", {**BUCKET, "prefix": "x"})
    assert refused.status == 422
    assert standin.archives.target.body["config"]["bucket"] == "b"
    assert with_bucket.api("DELETE", "/archives/storage-target").status == 204
    assert standin.archives.target is None


# --- forgeries ------------------------------------------------------------------------------------------------------


def forged(claims, body, secret=SIGNATURE_SECRET, algorithm="HS256"):
    return {"Authorization": f"Bearer {jwt.encode(claims, secret, algorithm)}", "Content-Type": "application/json"}


@ON_SQLITE
def test_no_forged_callback_is_taken_and_nothing_of_it_is_kept(service, standin):
    link = service.api.create()
    service.join(link, **PERSON)
    (created,) = [one for one in standin.callbacks.due() if one.name == "connection_created"]
    body, headers = standin.callbacks.request_of(created)
    signature = headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(signature, options={"verify_signature": False})
    other_account = {"api_key": "123", "application_id": "00000000-0000-4000-8000-000000000000"}
    head, payload, mac = signature.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    attempts = {
        "another secret": (body, forged(claims, body, secrets.token_urlsafe(32))),
        "another algorithm": (body, forged(claims, body, SIGNATURE_SECRET * 2, "HS512")),
        "no algorithm": (body, {"Authorization": f"Bearer {none}.{payload}."}),
        "no signature": (body, {"Authorization": f"Bearer {head}.{payload}."}),
        "another body": (body.replace(b"u-7", b"u-8"), headers),
        "a space more": (body + b" ", headers),
        "no hash": (body, forged({k: v for k, v in claims.items() if k != "payload_hash"}, body)),
        "another issuer": (body, forged(claims | {"iss": "x"}, body)),
        "another account": (body, forged(claims | other_account, body)),
        "stale": (body, forged(claims | {"iat": claims["iat"] - 90000}, body)),
        "from the future": (body, forged(claims | {"iat": claims["iat"] + 3600}, body)),
        "nothing": (body, {}),
        "a word": (body, {"Authorization": "Bearer word"}),
        "another scheme": (body, {"Authorization": f"Basic {signature}"}),
        "two": (body, {"Authorization": f"Bearer {signature}, Bearer {signature}"}),
        "bytes": (body, {"Authorization": "Bearer \xff.\xfe.\x80"}),
        "much": (body, {"Authorization": "Bearer " + "x" * 60000}),
        "nesting": (body, {"Authorization": f"Bearer {'W1tb' * 2000}.{payload}.{mac}"}),
    }
    for name, (sent, how) in attempts.items():
        for path in (*PATHS, "/webhooks/session"):
            answer = service.send("POST", path, sent, {"Content-Type": "application/json", **how})
            assert answer.problem == (401, "webhook_rejected"), name
            assert answer.json["detail"] == "The webhook's signature is not valid", name
    for query in ("", "?token=", "?token=x", f"?token={WEBHOOK_TOKEN}x", f"?token={WEBHOOK_TOKEN}&token=x"):
        assert service.send("POST", PATHS[0] + query, body, {}).status == 401
    assert service.send("POST", f"{PATHS[0]}?token={WEBHOOK_TOKEN}", body, forged(claims, body, "x" * 32)).status == 401
    assert service.stored() == 0
    assert service.api.attendees(link) == []

    service.deliver()
    assert [one["attendee"] for one in service.api.attendees(link)] == ["u-7"]
    kept = service.stored()
    for _ in range(3):  # replayed, word for word
        assert service.send("POST", PATHS[0], body, headers).status == 200
    assert service.stored() == kept


@ON_SQLITE
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 10_000, b'{"event":"connectionCreated"}'])
def test_what_is_authentic_and_unreadable_is_taken(service, body):
    url = f"{PATHS[0]}?token={WEBHOOK_TOKEN}"
    for _ in range(2):
        assert service.send("POST", url, body, {"Content-Type": "application/json"}).status == 200
    assert service.stored() == 1


# --- secrets --------------------------------------------------------------------------------------------------------


def spellings(secret: str) -> set[str]:
    raw = secret.encode()
    encoded = {base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("=")}
    return {secret, quote(secret, safe=""), raw.hex(), json.dumps(secret)[1:-1], *encoded}


@ON_SQLITE
def test_no_credential_shows_anywhere(make_service, standin, caplog, headers):
    caplog.set_level(logging.DEBUG)
    service = make_service(secret=None, query=f"?token={WEBHOOK_TOKEN}")
    seen: list[Answer] = []

    def remembered(*request):
        seen.append(service.app and in_process(service.app)(*request))
        return seen[-1]

    service.send = remembered
    service.api = api = Caller(remembered, headers())
    link = api.create()
    connection = service.join(link, **PERSON)
    service.deliver()
    for fault in (faults.error(401), faults.error(500), faults.reset_after_processing(), faults.garbage()):
        standin.faults.add("POST", "/session/create$", fault)
        api("POST", "/session", {})
    api("POST", f"/session/{link}/archives")
    service.send("POST", f"{PATHS[0]}?token={WEBHOOK_TOKEN}x", b"{}", {"Authorization": "Bearer x.y.z"})
    service.send("POST", f"{PATHS[0]}?token={WEBHOOK_TOKEN}", b"{", {})
    api("GET", "/providers")
    api("DELETE", f"/session/{link}/attendees/{connection.connection_id}")
    api("PATCH", f"/session/{link}/end")
    provider = services(service.app).providers.get("vonage")
    tokens = {one.headers.get(name, "") for one in standin.received for name in ("x-opentok-auth", "authorization")}
    with service.app.app_context(), read() as session:
        tables = session.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        dump = repr([session.execute(text(f'SELECT * FROM "{name}"')).all() for name in tables])
    places = {
        "log": caplog.text + repr([vars(one) for one in caplog.records]),
        "answers": repr([(one.body, dict(one.headers)) for one in seen if b'"connect"' not in one.body]),
        "objects": repr([provider, provider.settings, vars(provider), vars(provider.context), service.app.config]),
        "database": dump,
    }
    middle = standin.secret.splitlines()[len(standin.secret.splitlines()) // 2]  # of a key, a line
    hidden = [SIGNATURE_SECRET, WEBHOOK_TOKEN, middle, *(token.removeprefix("Bearer ") for token in tokens if token)]
    assert len(hidden) > 8
    for name, place in places.items():
        for secret in hidden:
            assert not [one for one in spellings(secret) if one in place], name


def test_nothing_of_the_sdk_is_imported_unless_a_token_is_made():
    script = (
        "import sys, videoconf, videoconf.app\n"
        "from videoconf.settings import Settings, Secret\n"
        "app = videoconf.app.create_app(Settings(providers=('fake',), jwt_secrets=(Secret('x' * 40),),"
        " embedded_workers=0), serving=True)\n"
        "assert 'vonage' in app.extensions['videoconf'].registry.providers\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('opentok', 'requests')])"
    )
    environment = {
        "PATH": "",
        "PYTHONPATH": ":".join(sys.path),
        "VIDEOCONF_FAKE_WEBHOOK_SECRETS": "whsec_dGVzdHMtc2lnbi13ZWJob29rcy13aXRoLXRoaXM=",
        "VIDEOCONF_FAKE_TOKEN_SECRET": "x" * 40,
    }
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
