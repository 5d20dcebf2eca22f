"""Recording by egress: where the file goes, what is refused, and what is found again."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from videoconf.errors import (
    ProviderBusy,
    ProviderConflict,
    ProviderError,
    ProviderRejected,
    ProviderResourceNotFound,
    ProviderTimeout,
)
from videoconf.providers import (
    ArchiveRequest,
    ArchiveStatus,
    Capability,
    Role,
    SessionRequest,
    StorageDestination,
    TokenRequest,
    WebhookRequest,
)
from videoconf.testing.faulty_server import reset
from videoconf_livekit.egress import upload

S3 = {
    "bucket": "recordings",
    "region": "eu-west-1",
    "access_key": "AKID",
    "secret_key": "storage-secret",
    "prefix": "a/b",
}
AZURE = {"container": "recordings", "account_name": "account", "account_key": "a2V5a2V5", "prefix": ""}
TARGETS = {"s3": StorageDestination("s3", S3), "azure": StorageDestination("azure", AZURE)}
START = "Egress/StartRoomCompositeEgress"


@pytest.fixture
def provider(make_provider, livekit_standin):
    return make_provider(livekit_standin)


@pytest.fixture
def session(provider):
    return provider.ensure_session(SessionRequest("m1"))


@pytest.fixture
def ann(provider, session, livekit_standin):
    request = TokenRequest(Role.PUBLISHER, datetime.now(UTC) + timedelta(minutes=10), "ann")
    return livekit_standin.join(provider.issue_token(session, request).token)


def told(provider, standin):
    """Return what the webhooks of recordings say, in order."""
    events = []
    for webhook in standin.webhooks.sent:
        if webhook.event.startswith("egress"):
            request = WebhookRequest("session", "POST", "https://x.example", {}, webhook.body, datetime.now(UTC))
            events += [event.archive for event in provider.parse_webhook(request)]
    return events


@pytest.mark.parametrize("kind", TARGETS)
def test_file_goes_to_the_target_of_the_request(provider, session, ann, livekit_standin, kind):
    started = provider.start_archive(session, ArchiveRequest(layout="speaker", storage=TARGETS[kind]))
    request = livekit_standin.egresses.secrets[started.archive_id]
    [output] = request.file_outputs
    if kind == "s3":
        assert (output.s3.access_key, output.s3.secret) == ("AKID", "storage-secret")
        assert (output.s3.bucket, output.s3.region, output.s3.force_path_style) == ("recordings", "eu-west-1", False)
    else:
        assert (output.azure.account_name, output.azure.container_name) == ("account", "recordings")
        assert output.azure.account_key == "a2V5a2V5"
    assert (request.layout, output.disable_manifest) == ("speaker", True)
    livekit_standin.egresses.activate(started.archive_id)
    provider.stop_archive(session, started.archive_id)
    livekit_standin.finish(started.archive_id, size=77)
    found = provider.get_archive(started.archive_id)
    assert (found.status, found.size_bytes) == (ArchiveStatus.UPLOADED, 77)
    prefix = f"{TARGETS[kind].configuration['prefix']}/".lstrip("/")
    assert output.filepath == prefix + found.object_key
    assert told(provider, livekit_standin)[-1] == found


def test_two_recordings_of_a_room_have_two_keys(provider, session, ann, livekit_standin):
    keys = set()
    for _ in range(2):
        started = provider.start_archive(session, ArchiveRequest(storage=TARGETS["s3"]))
        livekit_standin.finish(started.archive_id)
        keys.add(provider.get_archive(started.archive_id).object_key)
    assert len(keys) == 2


def test_states_are_reported_in_their_order(provider, session, ann, livekit_standin):
    started = provider.start_archive(session, ArchiveRequest(storage=TARGETS["s3"]))
    livekit_standin.egresses.activate(started.archive_id)
    provider.stop_archive(session, started.archive_id)
    livekit_standin.finish(started.archive_id)
    statuses = [one.status for one in told(provider, livekit_standin)]
    assert statuses == [
        ArchiveStatus.STARTED,
        ArchiveStatus.STARTED,
        ArchiveStatus.STOPPED,
        ArchiveStatus.UPLOADED,
    ]


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("complete", ArchiveStatus.UPLOADED),
        ("limit", ArchiveStatus.UPLOADED),
        ("backup", ArchiveStatus.AVAILABLE),
        ("failed", ArchiveStatus.FAILED),
        ("aborted", ArchiveStatus.FAILED),
    ],
)
def test_end_of_a_recording_has_its_status(provider, session, ann, livekit_standin, outcome, status):
    started = provider.start_archive(session, ArchiveRequest(storage=TARGETS["s3"]))
    livekit_standin.finish(started.archive_id, outcome)
    found = provider.get_archive(started.archive_id)
    assert found.status is status
    assert (found.object_key is not None) == (status is ArchiveStatus.UPLOADED)
    assert found == told(provider, livekit_standin)[-1]


def test_recording_without_a_target_is_the_recorders(provider, session, ann, livekit_standin):
    started = provider.start_archive(session, ArchiveRequest())
    livekit_standin.finish(started.archive_id)
    found = provider.get_archive(started.archive_id)
    assert (found.status, found.object_key) == (ArchiveStatus.AVAILABLE, None)


# --- refused --------------------------------------------------------------------------------------------------------


def test_encrypted_media_are_not_recorded(provider, session, ann, livekit_standin):
    livekit_standin.publish(ann.sid, encrypted=True)
    with pytest.raises(ProviderConflict) as raised:
        provider.start_archive(session, ArchiveRequest())
    assert raised.value.provider_code == "end_to_end_encrypted"
    assert livekit_standin.egresses.found == {}


def test_room_with_an_agent_alone_is_not_recorded(provider, session, livekit_standin):
    livekit_standin.world.enter_by_itself(session.session_id, "AGENT", "agent-AJ_1")
    with pytest.raises(ProviderConflict) as raised:
        provider.start_archive(session, ArchiveRequest())
    assert raised.value.provider_code == "no_connections"


@pytest.mark.parametrize("switch", [{"recorders": 0}])
def test_busy_recorders_do_not_open_the_breaker(provider, session, ann, livekit_standin, switch):
    vars(livekit_standin.switches).update(switch)
    for _ in range(30):
        with pytest.raises(ProviderBusy):
            provider.start_archive(session, ArchiveRequest())
    provider.check()


def test_server_without_redis_fails_clearly(provider, session, ann, livekit_standin):
    livekit_standin.switches.has_redis = False
    with pytest.raises(ProviderError) as raised:
        provider.start_archive(session, ArchiveRequest())
    assert raised.value.provider_message == "twirp error unknown: egress not connected (redis required)"


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("s3", {"fallback": "provider"}, "fallback"),
        ("azure", {"domain": "blob.core.chinacloudapi.cn"}, "domain"),
    ],
)
def test_target_that_livekit_cannot_use_is_refused(provider, session, ann, livekit_standin, kind, change, field):
    configuration = {**TARGETS[kind].configuration, **change}
    with pytest.raises(ProviderRejected) as raised:
        provider.apply_storage(kind, configuration)
    assert list(raised.value.errors) == [field]
    with pytest.raises(ProviderRejected):
        provider.start_archive(session, ArchiveRequest(storage=StorageDestination(kind, configuration)))
    assert livekit_standin.egresses.found == {}


def test_unknown_output_is_refused(provider, session, ann):
    with pytest.raises(ProviderRejected) as raised:
        provider.start_archive(session, ArchiveRequest(output="individual"))
    assert list(raised.value.errors) == ["output"]


def test_sound_alone_is_an_ogg_file(provider, session, ann, livekit_standin):
    started = provider.start_archive(session, ArchiveRequest(output="audio", storage=TARGETS["s3"]))
    request = livekit_standin.egresses.secrets[started.archive_id]
    assert request.audio_only
    livekit_standin.finish(started.archive_id)
    assert provider.get_archive(started.archive_id).object_key.endswith(".ogg")


@pytest.mark.parametrize(
    ("endpoint", "path_style", "expected"),
    [("", None, False), ("https://s3.x", None, True), ("https://s3.x", False, False)],
)
def test_path_style_follows_the_target(endpoint, path_style, expected):
    configuration = {**S3, "endpoint": endpoint, "path_style": path_style}
    assert upload(StorageDestination("s3", configuration))["s3"]["force_path_style"] is expected


# --- found again, and forgotten -------------------------------------------------------------------------------------


def test_start_whose_answer_was_lost_is_found_in_the_list(provider, session, ann, livekit_standin):
    fine = livekit_standin.api.answer

    def lossy(request):
        answer = fine(request)
        if START in request.path:
            raise ConnectionResetError
        return answer

    livekit_standin.api.answer = lossy
    with pytest.raises(ProviderError) as raised:
        provider.start_archive(session, ArchiveRequest(storage=TARGETS["s3"]))
    assert raised.value.outcome_unknown
    livekit_standin.api.answer = fine
    assert len(provider.list_archives(session)) == 1


def test_start_is_sent_once(provider, session, ann, livekit_standin):
    livekit_standin.faults[START] = [reset(), reset()]
    with pytest.raises(ProviderTimeout):
        provider.start_archive(session, ArchiveRequest())
    assert sum(START in request.path for request in livekit_standin.received) == 1


def test_stop_that_the_recorder_does_not_answer_is_unknown(provider, session, ann, livekit_standin):
    started = provider.start_archive(session, ArchiveRequest())
    livekit_standin.switches.recorder_answers = False
    with pytest.raises(ProviderTimeout):
        provider.stop_archive(session, started.archive_id)


def test_record_of_a_recording_is_gone_after_a_day(provider, session, ann, livekit_standin):
    started = provider.start_archive(session, ArchiveRequest())
    livekit_standin.finish(started.archive_id)
    livekit_standin.advance(25 * 3600)
    with pytest.raises(ProviderResourceNotFound):
        provider.get_archive(started.archive_id)
    provider.delete_archive(started.archive_id)


def test_end_of_the_session_ends_its_recordings(provider, session, ann, livekit_standin):
    waiting = provider.start_archive(session, ArchiveRequest())
    provider.end_session(session, [])
    assert provider.get_archive(waiting.archive_id).status is ArchiveStatus.FAILED
    running = provider.start_archive(*_again(provider, session, livekit_standin))
    livekit_standin.egresses.activate(running.archive_id)
    provider.end_session(session, [])
    livekit_standin.advance(40)
    livekit_standin.advance(2)
    assert provider.get_archive(running.archive_id).status is ArchiveStatus.AVAILABLE


def _again(provider, session, standin):
    standin.advance(40)
    request = TokenRequest(Role.PUBLISHER, datetime.now(UTC) + timedelta(minutes=10), "bob")
    standin.join(provider.issue_token(session, request).token)
    return session, ArchiveRequest()


def test_stream_without_a_file_is_not_an_archive(provider, session, ann, livekit_standin):
    from livekit.protocol.egress import RoomCompositeEgressRequest, StreamOutput

    request = RoomCompositeEgressRequest(room_name=session.session_id, stream_outputs=[StreamOutput()])
    found = livekit_standin.egresses.start(request)
    assert provider.list_archives(session) == []
    with pytest.raises(ProviderResourceNotFound):
        provider.get_archive(found.egress_id)
    assert json.loads(livekit_standin.webhooks.sent[-1].body)["event"] == "egress_started"


def test_recording_is_declared_where_it_is_configured(make_provider, livekit_standin):
    features = {on: make_provider(livekit_standin, recording=on).capabilities.features for on in (True, False)}
    assert features[True] - features[False] == {
        Capability.ARCHIVING,
        Capability.AUTOMATIC_ARCHIVING,
        Capability.STORES_ARCHIVES,
    }
