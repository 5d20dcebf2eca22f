"""A meeting on the whole service with Vonage: its life, failed calls, its storage target."""

from __future__ import annotations

import random
from types import ModuleType

import pytest
from cryptography.fernet import Fernet
from marshmallow import Schema, fields
from sqlalchemy import select, text

from tests.plugins.vonage.test_failures import TABLE
from tests.plugins.vonage.whole_service.vonage_service import PATHS, PERSON, WEBHOOK_TOKEN
from tests.support.clock import SteppedClock
from tests.support.service import ON_SQLITE, count_meetings, plugins_with
from tools.vonage_standin import faults
from videoconf import hookimpl
from videoconf.db.transactions import read
from videoconf.hooks import Origin
from videoconf.meetings.models import Meeting
from videoconf.providers import Secret
from videoconf.storage import StorageTarget
from videoconf_vonage.provider import VonageProvider


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


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "not signed"])
def test_meeting_lives_and_ends(make_service, standin, signed):
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
def test_any_order_of_callbacks_gives_one_attendance(service, standin, seed):
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
        {"retries_are_signed_again": False},
        {"unified_account_field": "applicationId"},
        {"session_event_body": "nested"},
        {"session_events": False},
        {"success_statuses": "2xx"},
        {"session_id_prefix": "1_"},
        {"lists_multi_archive_tag": True},
    ],
    ids=str,
)
def test_unsettled_behaviour_of_vonage_works_both_ways(make_service, standin, switch):
    clock = SteppedClock()
    service = make_service(clock=clock)
    for name, value in switch.items():
        setattr(standin.switches, name, value)
    link = service.api.create()
    connection = service.join(link, **PERSON)
    archive = service.api("POST", f"/session/{link}/archives").json["id"]
    standin.disconnect(connection)
    # The service is down for hours; then they come again, under the old signature where retries are not signed again.
    for _ in range(3):
        standin.deliver(post=lambda *_: 0)
        standin.advance(4 * 3600)
        clock.step(hours=4)
    service.deliver()
    assert [(one["attendee"], one["active"]) for one in service.api.attendees(link)] == [("u-7", False)]
    assert service.api("GET", f"/archives/{archive}").json["status"] in ("stopped", "available")


@ON_SQLITE
def test_documented_webhook_route_accepts_vonage(service, standin):
    link = service.api.create()
    service.join(link, **PERSON)
    standin.callbacks.registered["connection_created"].url = "https://meet.example/webhooks/session"
    (created,) = [one for one in standin.callbacks.due() if one.name == "connection_created"]
    body, headers = standin.callbacks.request_of(created)
    assert service.send("POST", "/webhooks/session", body, headers).status == 204
    assert service.send("POST", PATHS[0], body, headers).status == 200
    assert service.stored() == 1


@ON_SQLITE
@pytest.mark.parametrize("row", [row for name, row in TABLE.items() if name not in ("silence", "drip")], ids=[
    name for name in TABLE if name not in ("silence", "drip")
])  # fmt: skip
def test_failed_create_leaves_no_meeting_and_at_most_one_session(service, standin, row):
    standin.faults.add("POST", "/session/create$", row.fault)
    answer = service.api("POST", "/session", {})
    assert answer.problem == (row.status, row.error.code)
    assert "told in confidence" not in answer.body.decode()
    assert count_meetings(service.app) == 0
    assert len(standin.world.sessions) == row.made
    assert len(standin.received) == 1


def test_create_after_a_lost_answer_binds_one_session(service, standin):
    standin.faults.add("POST", "/session/create$", faults.reset_after_processing())
    assert service.api("POST", "/session", {}).problem == (504, "provider_timeout")
    link = service.api.create()
    with service.app.app_context(), read() as session:
        bound = list(session.execute(select(Meeting.session_id)).scalars())
    assert bound == [service.api.read(link)["sessionId"]]
    assert len(standin.world.sessions) == 2


@ON_SQLITE
def test_failed_end_becomes_a_job(service, standin):
    link = service.api.create()
    service.join(link, **PERSON)
    standin.faults.add("GET", "/connection$", faults.html(500))
    standin.faults.add("DELETE", "/connection/", faults.html(500))
    assert service.api("PATCH", f"/session/{link}/end").status == 204
    assert service.session_of(link).connections
    with service.app.app_context(), read() as session:
        waiting = session.execute(text("SELECT kind FROM job WHERE kind = 'end_session'")).scalars().all()
    assert waiting == ["end_session"]


@pytest.fixture
def with_bucket(make_service):
    plugins = plugins_with(VonageProvider)
    storage = ModuleType("tests_storage")
    storage.videoconf_storage_targets = hookimpl(lambda: [S3])
    plugins.manager.register(storage, name="storage")
    plugins.origins["storage"] = Origin("storage", "the tests")
    return make_service(plugins=plugins, encryption_keys=(Secret(Fernet.generate_key().decode()),))


@ON_SQLITE
def test_storage_target_is_set_by_api_or_the_answer_says_where(with_bucket, standin):
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
