"""Sessions, people and archives, at a stand-in for Vonage in both environments."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from marshmallow import ValidationError

from tools.vonage_standin import faults
from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderConflict,
    ProviderError,
    ProviderRejected,
    ProviderResourceNotFound,
    ProviderTimeout,
)
from videoconf.providers import (
    ArchiveRequest,
    ArchiveStatus,
    GuardedClient,
    ProviderContext,
    Role,
    Secret,
    SessionRef,
    SessionRequest,
    TokenRequest,
)
from videoconf_vonage.provider import Options, VonageProvider
from videoconf_vonage.settings import VonageSettings

UNKNOWN_ARCHIVE = "00000000-0000-4000-8000-000000000000"
OPENTOK = pytest.mark.parametrize("vonage_standin", ["opentok"], indirect=True)


def provider_at(standin, **client):
    """Make the provider for a stand-in."""
    names = ("api_key", "api_secret") if standin.environment == "opentok" else ("application_id", "private_key")
    given = {names[0]: standin.account, names[1]: Secret(standin.secret), "api_url": standin.url + "/"}
    settings = VonageSettings(**given, signature_secrets=(Secret("x" * 32),))

    def http(account):
        return GuardedClient(provider="vonage", account=account, **client)

    return VonageProvider.create(settings, ProviderContext(lambda: datetime.now(UTC), http))


@pytest.fixture
def standin(vonage_standin):
    return vonage_standin


@pytest.fixture
def provider(standin):
    with closing(provider_at(standin)) as provider:
        yield provider


@pytest.fixture
def session(provider):
    return provider.ensure_session(SessionRequest("m"))


def requests(standin, method, ending):
    return [one for one in standin.received if one.method == method and one.path.endswith(ending)]


def join(standin, provider, session, **who):
    wish = TokenRequest(Role.PUBLISHER, datetime.now(UTC) + timedelta(hours=1), **who)
    return standin.connect(provider.issue_token(session, wish).token)


def in_world(standin, session):
    return standin.world.sessions[session.session_id]


# --- sessions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "form"),
    [
        (SessionRequest("m"), {"p2p.preference": "disabled", "archiveMode": "manual", "e2ee": "false"}),
        (
            SessionRequest("m", options={"mediaMode": "relayed", "location": "192.0.2.7"}),
            {"p2p.preference": "enabled", "archiveMode": "manual", "e2ee": "false", "location": "192.0.2.7"},
        ),
        (
            SessionRequest("m", options={"mediaMode": "routed"}, archiving=True),
            {"p2p.preference": "disabled", "archiveMode": "always", "e2ee": "false"},
        ),
        (
            SessionRequest("m", end_to_end_encryption=True),
            {"p2p.preference": "disabled", "archiveMode": "manual", "e2ee": "true"},
        ),
    ],
    ids=["plain", "relayed", "archived", "encrypted"],
)
def test_a_session_is_what_was_asked_for(standin, provider, request_, form):
    ref = provider.ensure_session(request_)
    assert ref.account == standin.account
    assert ref.session_id in standin.world.sessions
    (sent,) = requests(standin, "POST", "/session/create")
    assert {name: values[0] for name, values in parse_qs(sent.body.decode()).items()} == form
    assert sent.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    "request_",
    [
        SessionRequest("m", options={"mediaMode": "relayed"}, archiving=True),
        SessionRequest("m", options={"mediaMode": "relayed"}, end_to_end_encryption=True),
        SessionRequest("m", archiving=True, end_to_end_encryption=True),
    ],
)
def test_a_contradiction_is_refused_before_anything_is_sent(standin, provider, request_):
    with pytest.raises(ProviderRejected):
        provider.ensure_session(request_)
    assert standin.received == []


WRONG_OPTIONS = [{"mediaMode": "p2p"}, {"location": "vienna"}, {"location": "::1"}, {"location": 7}, {"e2ee": True}]


@pytest.mark.parametrize("wrong", WRONG_OPTIONS, ids=str)
def test_other_options_are_refused(wrong):
    with pytest.raises(ValidationError):
        Options().load(wrong)


def test_a_content_type_with_a_charset_is_json_too(standin, provider):
    standin.faults.add("POST", "/session/create$", faults.charset_suffix())
    assert provider.ensure_session(SessionRequest("m")).session_id in standin.world.sessions


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"7", b"[7]", b"[{}]", b'[{"session_id":7}]', b'[{"session_id":"a/../b"}]',
             b'[{"session_id":"a"},{"session_id":"b"}]', b'{"session_id":"a"}']
)  # fmt: skip
def test_an_answer_without_a_usable_id_is_a_bad_one(standin, provider, body):
    standin.faults.add(
        "POST", "/session/create$", faults.Fault(change=lambda answer: type(answer)(200, body, answer.content_type))
    )
    with pytest.raises(ProviderBadResponse) as caught:
        provider.ensure_session(SessionRequest("m"))
    assert caught.value.outcome_unknown


# --- people ---------------------------------------------------------------------------------------------------------


def test_a_token_lets_its_bearer_in_and_says_who_that_is(standin, provider, session):
    connection = join(standin, provider, session, attendee="u-7", name="Ada")
    assert connection.data == 'videoconf:1:{"attendee":"u-7","name":"Ada"}'
    assert join(standin, provider, session, data="role=doctor").data == "role=doctor"


def test_the_roster_lists_who_is_there(standin, provider, session):
    assert (list(provider.list_connections(session).connections), provider.list_connections(session).complete) == (
        [],
        True,
    )
    stays, leaves = (join(standin, provider, session) for _ in range(2))
    standin.disconnect(leaves)
    roster = provider.list_connections(session)
    assert [one.connection_id for one in roster.connections] == [stays.connection_id]
    assert roster.connections[0].connected_at == datetime.fromtimestamp(stays.created_ms / 1000, UTC)
    assert roster.complete


def test_the_roster_leaves_out_who_is_disconnected_and_says_when_it_is_not_whole(standin, provider, session):
    stays, fades = (join(standin, provider, session) for _ in range(2))
    stays.state, fades.state = "Connecting", "Disconnected"
    assert [one.connection_id for one in provider.list_connections(session).connections] == [stays.connection_id]

    def miss_one(answer):
        document = json.loads(answer.body)
        return type(answer)(200, json.dumps({**document, "items": document["items"][:1]}).encode(), answer.content_type)

    standin.faults.add("GET", "/connection$", faults.Fault(change=miss_one))
    assert not provider.list_connections(session).complete


def test_a_session_that_vonage_does_not_know_has_nobody_in_it(provider, session):
    unknown = SessionRef(session.account, session.session_id + "x")
    assert provider.list_connections(unknown).connections == []
    provider.end_session(unknown, ["c"])
    provider.disconnect(unknown, "c")
    provider.mute(unknown, None, {})
    provider.mute(unknown, "c", {"c": ["s"]})
    assert provider.list_archives(unknown) == []


def test_disconnecting_twice_is_success(standin, provider, session):
    connection = join(standin, provider, session)
    for _ in range(2):
        provider.disconnect(session, connection.connection_id)
    assert in_world(standin, session).connections == {}


def test_everybody_is_muted_for_the_moment(standin, provider, session):
    people = [join(standin, provider, session) for _ in range(2)]
    streams = [standin.publish(one) for one in people]
    provider.mute(session, None, {})
    assert all(stream.muted for stream in streams)
    assert not standin.publish(people[0], video_type="screen").muted


@pytest.fixture
def ann(standin, provider, session):
    return join(standin, provider, session)


@pytest.fixture
def bob(standin, provider, session):
    return join(standin, provider, session)


def told_of(*streams):
    """Give streams as the core knows them when their callbacks have come."""
    known = {}
    for stream in streams:
        known.setdefault(stream.connection.connection_id, []).append(stream.stream_id)
    return known


def test_all_that_one_publishes_is_muted_and_nothing_else(standin, provider, session, ann, bob):
    camera, screen = standin.publish(ann), standin.publish(ann, video_type="screen")
    other = standin.publish(bob)
    for _ in range(2):
        provider.mute(session, ann.connection_id, told_of(camera, screen, other))
        assert (camera.muted, screen.muted, other.muted) == (True, True, False)
    path = f"/session/{session.session_id}/stream/{camera.stream_id}/mute"
    assert [one.body for one in requests(standin, "POST", path)] == [b"", b""]
    assert not standin.publish(bob).muted, "nobody is muted in advance"


@pytest.mark.parametrize("status", [404, 400])
def test_a_stream_that_is_gone_is_success_and_the_next_one_is_muted(standin, provider, session, ann, status):
    standin.switches.mute_of_gone_stream_status = status
    gone, camera = standin.publish(ann), standin.publish(ann)
    known = told_of(gone, camera)
    standin.unpublish(gone)
    provider.mute(session, ann.connection_id, known)
    assert camera.muted


def test_a_stream_that_is_there_and_refused_is_an_error(standin, provider, session, ann):
    camera = standin.publish(ann)
    standin.faults.add("POST", "/mute$", faults.error(400))
    with pytest.raises(ProviderRejected):
        provider.mute(session, ann.connection_id, told_of(camera))


def test_a_stream_that_is_not_listed_yet_is_muted(standin, provider, session, ann):
    camera = standin.publish(ann)
    nothing = faults.Fault(change=lambda answer: type(answer)(200, b'{"count":0,"items":[]}', answer.content_type))
    standin.faults.add("GET", "/stream$", nothing)
    provider.mute(session, ann.connection_id, told_of(camera))
    assert camera.muted


def test_whoever_publishes_nothing_is_muted_already(standin, provider, session, ann, bob):
    other = standin.publish(bob)
    for connection_id in (ann.connection_id, "left-long-ago", "no/id"):
        provider.mute(session, connection_id, told_of(other))
    assert not other.muted
    assert requests(standin, "POST", "/mute") == []


def test_streams_of_which_no_callback_told_make_it_no_silent_success(standin, provider, session, ann, bob):
    camera = standin.publish(ann)
    late = standin.publish(bob)
    with pytest.raises(ProviderConflict, match="not told yet") as nothing_done:
        provider.mute(session, bob.connection_id, told_of(camera))
    assert not nothing_done.value.outcome_unknown
    assert (camera.muted, late.muted) == (False, False)
    with pytest.raises(ProviderConflict, match="is known to publish is muted") as partly:
        provider.mute(session, ann.connection_id, told_of(camera))
    assert partly.value.outcome_unknown, "so that the audit trail tells of it"
    assert (camera.muted, late.muted) == (True, False)
    provider.mute(session, bob.connection_id, told_of(camera, late))
    assert late.muted


def test_a_list_of_streams_that_misses_some_proves_nothing(standin, provider, session, ann, bob):
    camera = standin.publish(ann)

    def miss_one(answer):
        document = json.loads(answer.body)
        return type(answer)(200, json.dumps({**document, "count": 2}).encode(), answer.content_type)

    standin.faults.add("GET", "/stream$", faults.Fault(change=miss_one))
    with pytest.raises(ProviderConflict):
        provider.mute(session, bob.connection_id, told_of(camera))


@pytest.mark.parametrize("id", [None, 7, [], {}, "new"], ids=repr)
def test_a_listed_stream_without_a_usable_id_is_unknown(standin, provider, session, ann, id):
    body = json.dumps({"count": 1, "items": [{"id": id}]}).encode()
    listed = faults.Fault(change=lambda answer: type(answer)(200, body, answer.content_type))
    standin.faults.add("GET", "/stream$", listed)
    with pytest.raises(ProviderConflict):
        provider.mute(session, ann.connection_id, {})


# --- the end --------------------------------------------------------------------------------------------------------


def test_the_end_puts_everybody_out_and_stops_what_is_recorded(standin, provider, session):
    people = [join(standin, provider, session) for _ in range(3)]
    archive = provider.start_archive(session, ArchiveRequest())
    told = [people[0].connection_id, "left-long-ago"]
    provider.end_session(session, told)
    assert in_world(standin, session).connections == {}
    assert standin.archives.get(archive.archive_id).status == "stopped"
    sent = len(requests(standin, "DELETE", ""))
    assert sent == 4  # each once, whether told, listed or both
    provider.end_session(session, told)  # and again, as a job does
    assert standin.archives.get(archive.archive_id).status == "stopped"


def test_the_end_leaves_an_automatic_archive_to_stop_by_itself(standin, provider):
    session = provider.ensure_session(SessionRequest("m", archiving=True))
    join(standin, provider, session)
    assert [one.status for one in provider.list_archives(session)] == [ArchiveStatus.STARTED]
    provider.end_session(session, [])
    standin.advance(61)
    assert [one.status for one in provider.list_archives(session)] == [ArchiveStatus.STOPPED]


def test_one_failure_does_not_keep_the_end_from_the_others(standin, provider, session):
    people = [join(standin, provider, session) for _ in range(3)]
    standin.faults.add("DELETE", f"/{people[0].connection_id}$", faults.html(500))
    with pytest.raises(Exception) as caught:
        provider.end_session(session, [])
    assert caught.value.status == 502
    assert list(in_world(standin, session).connections) == [people[0].connection_id]
    provider.end_session(session, [])
    assert in_world(standin, session).connections == {}


def test_of_several_failures_of_the_end_one_that_can_be_mended_is_told(standin, provider, session):
    people = [join(standin, provider, session) for _ in range(2)]
    standin.faults.add("DELETE", f"/{people[0].connection_id}$", faults.error(400))
    standin.faults.add("DELETE", f"/{people[1].connection_id}$", faults.html(500))
    with pytest.raises(ProviderError) as caught:
        provider.end_session(session, [])
    assert caught.value.status == 502, "after a rejection the job would be given up, and people stay connected"


def test_without_the_list_those_are_put_out_that_webhooks_told_of(standin, provider, session):
    connection = join(standin, provider, session)
    standin.faults.add("GET", "/connection$", faults.html(500))
    with pytest.raises(ProviderError):
        provider.end_session(session, [connection.connection_id])
    assert in_world(standin, session).connections == {}


# --- archives -------------------------------------------------------------------------------------------------------


def test_an_archive_is_started_stopped_read_and_deleted(standin, provider, session):
    join(standin, provider, session)
    started = provider.start_archive(session, ArchiveRequest(name="visit 7", layout="pip", output="composed"))
    (sent,) = requests(standin, "POST", "/archive")
    body = {"sessionId": session.session_id, "name": "visit 7", "outputMode": "composed", "layout": {"type": "pip"}}
    assert json.loads(sent.body) == body
    assert (started.status, started.name, started.session_id) == (ArchiveStatus.STARTED, "visit 7", session.session_id)

    stopped = provider.stop_archive(session, started.archive_id)
    assert (stopped.status, stopped.reason) == (ArchiveStatus.STOPPED, "user initiated")
    assert provider.stop_archive(session, started.archive_id).status is ArchiveStatus.STOPPED
    with pytest.raises(ProviderConflict):
        provider.delete_archive(started.archive_id)

    standin.finish_archive(started.archive_id)
    ready = provider.get_archive(started.archive_id)
    assert (ready.status, ready.object_key) == (ArchiveStatus.AVAILABLE, None)
    assert ready.size_bytes > 0
    assert "url" not in repr(ready)
    assert provider.stop_archive(session, started.archive_id).status is ArchiveStatus.AVAILABLE  # 409 there
    assert provider.list_archives(session) == [ready]

    for _ in range(2):
        provider.delete_archive(started.archive_id)
    assert provider.list_archives(session) == []


def test_an_archive_is_downloaded_while_vonage_has_it(standin, provider, session):
    join(standin, provider, session)
    archive_id = provider.start_archive(session, ArchiveRequest()).archive_id
    for read in (provider.archive_url, provider.open_archive):
        with pytest.raises(ProviderConflict):
            read(archive_id)
        with pytest.raises(ProviderResourceNotFound):
            read(UNKNOWN_ARCHIVE)
    provider.stop_archive(session, archive_id)
    standin.finish_archive(archive_id)
    signed = provider.archive_url(archive_id)
    assert signed.url.startswith(standin.url)
    assert timedelta(minutes=9) < signed.expires_at - datetime.now(UTC) <= timedelta(minutes=10)
    with provider.open_archive(archive_id) as stream:
        assert stream.read() == standin.archives.get(archive_id).content
    (download,) = [one for one in standin.received if one.path.startswith("/downloads/")]
    assert not {"authorization", "x-opentok-auth"} & download.headers.keys()

    standin.faults.add("GET", "^/downloads/", faults.Fault(change=lambda answer: type(answer)(403, b"")))
    with pytest.raises(ProviderConflict):
        provider.open_archive(archive_id)


@OPENTOK
def test_an_uploaded_archive_says_under_which_key(standin, provider, session):
    join(standin, provider, session)
    provider.apply_storage("azure", AZURE[0])
    for output, name in (("composed", "archive.mp4"), ("individual", "archive.zip")):
        archive_id = provider.start_archive(session, ArchiveRequest(output=output)).archive_id
        provider.stop_archive(session, archive_id)
        standin.finish_archive(archive_id)
        state = provider.get_archive(archive_id)
        assert (state.status, state.object_key) == (ArchiveStatus.UPLOADED, f"{standin.account}/{archive_id}/{name}")
        assert state.object_key == standin.archives.object_key(standin.archives.get(archive_id))


@pytest.mark.parametrize("status", [404, 400])
def test_nobody_connected_is_a_conflict_of_its_own_whichever_way_it_is_told(standin, provider, session, status):
    standin.switches.no_clients_status = status
    with pytest.raises(ProviderConflict) as caught:
        provider.start_archive(session, ArchiveRequest())
    assert caught.value.provider_code == "no_connections"


def test_other_conflicts_of_a_start_have_their_own_codes(standin, provider, session):
    join(standin, provider, session)
    provider.start_archive(session, ArchiveRequest())
    with pytest.raises(ProviderConflict) as caught:
        provider.start_archive(session, ArchiveRequest())
    assert caught.value.provider_code == "already_recording"
    relayed = provider.ensure_session(SessionRequest("m", options={"mediaMode": "relayed"}))
    join(standin, provider, relayed)
    with pytest.raises(ProviderConflict) as caught:
        provider.start_archive(relayed, ArchiveRequest())
    assert caught.value.provider_code == "session_relayed"
    with pytest.raises(ProviderResourceNotFound):
        provider.start_archive(SessionRef(session.account, session.session_id + "x"), ArchiveRequest())
    with pytest.raises(ProviderRejected):
        provider.start_archive(session, ArchiveRequest(output="cinema"))


def test_an_automatic_archive_is_not_stopped(standin, provider):
    session = provider.ensure_session(SessionRequest("m", archiving=True))
    join(standin, provider, session)
    (archive,) = provider.list_archives(session)
    with pytest.raises(ProviderConflict):
        provider.stop_archive(session, archive.archive_id)


@pytest.mark.parametrize("outcome", ["failed", "expired"])
def test_deleting_what_vonage_has_no_file_of_is_success(standin, provider, session, outcome):
    join(standin, provider, session)
    archive_id = provider.start_archive(session, ArchiveRequest()).archive_id
    provider.stop_archive(session, archive_id)
    standin.finish_archive(archive_id, "failed" if outcome == "failed" else "ready")
    standin.advance(72 * 3600 + 60)
    assert provider.get_archive(archive_id).provider_status == outcome
    provider.delete_archive(archive_id)


@pytest.mark.parametrize("counts", ["total", "page"])
def test_all_archives_of_a_session_are_listed_over_its_pages(standin, provider, session, counts):
    standin.switches.list_count_is = counts
    join(standin, provider, session)
    made = []
    with standin.lock:
        for number in range(205):
            wanted = {"sessionId": session.session_id, "multiArchiveTag": str(number)}
            made.append(standin.archives.start(in_world(standin, session), wanted).archive_id)
    other = provider.ensure_session(SessionRequest("m"))
    join(standin, provider, other)
    provider.start_archive(other, ArchiveRequest())
    assert [one.archive_id for one in provider.list_archives(session)] == made[::-1]


BAD_IDS = [
    "",
    ".",
    "..",
    "../../x?y=1",
    "a/b",
    "a?b",
    "a%2fb",
    "a b",
    "ä",
    "a\nb",
    "x" * 256,
    UNKNOWN_ARCHIVE + "/stop",
]


@pytest.mark.parametrize("bad", BAD_IDS, ids=ascii)
def test_no_id_becomes_another_path(standin, provider, session, bad):
    before = len(standin.received)
    for call in (
        lambda: provider.get_archive(bad),
        lambda: provider.stop_archive(session, bad),
        lambda: provider.archive_url(bad),
    ):
        with pytest.raises(ProviderResourceNotFound):
            call()
    provider.delete_archive(bad)
    provider.disconnect(session, bad)
    odd = SessionRef(session.account, bad)
    assert provider.list_connections(odd).connections == []
    provider.end_session(odd, [bad])
    provider.mute(odd, "c", {"c": [bad]})
    assert len(standin.received) == before
    provider.mute(session, bad, {bad: [bad]})
    assert [one.method for one in standin.received[before:]] == ["GET"]  # the list of streams


def test_the_sessions_of_another_account_are_not_taken_for_gone(standin, provider, session):
    other = SessionRef("123", session.session_id)
    for call in (
        lambda: provider.end_session(other, []),
        lambda: provider.list_connections(other),
        lambda: provider.list_archives(other),
        lambda: provider.start_archive(other, ArchiveRequest()),
        lambda: provider.disconnect(other, "c"),
        lambda: provider.mute(other, None, {}),
        lambda: provider.mute(other, "c", {}),
    ):
        with pytest.raises(ProviderAuthFailed):
            call()


# --- storage --------------------------------------------------------------------------------------------------------

BUCKET = {"access_key": "AK", "secret_key": "SK", "bucket": "meetings", "region": "eu-west-1", "endpoint": None}
S3_CONFIG = {"accessKey": "AK", "secretKey": "SK", "bucket": "meetings"}
S3 = (
    {**BUCKET, "path_style": None, "prefix": "", "fallback": "none"},
    {"type": "s3", "config": {**S3_CONFIG, "endpoint": "https://s3.eu-west-1.amazonaws.com"}, "fallback": "none"},
)
OTHER_S3 = (
    {**BUCKET, "endpoint": "https://minio.example", "prefix": "", "fallback": "provider"},
    {"type": "s3", "config": {**S3_CONFIG, "endpoint": "https://minio.example"}, "fallback": "opentok"},
)
CONTAINER = {"account_name": "acc", "account_key": "KEY==", "container": "recordings"}
AZURE_CONFIG = {"accountName": "acc", "accountKey": "KEY==", "container": "recordings"}
AZURE = (
    {**CONTAINER, "domain": None, "prefix": "", "fallback": "none"},
    {"type": "azure", "config": AZURE_CONFIG, "fallback": "none"},
)
OTHER_AZURE = (
    {**CONTAINER, "domain": "blob.core.usgovcloudapi.net", "fallback": "provider"},
    {
        "type": "azure",
        "config": {**AZURE_CONFIG, "domain": "blob.core.usgovcloudapi.net"},
        "fallback": "opentok",
    },
)


@OPENTOK
@pytest.mark.parametrize(("configuration", "documented"), [S3, OTHER_S3, AZURE, OTHER_AZURE])
def test_a_storage_target_arrives_as_documented(standin, provider, configuration, documented):
    provider.apply_storage(documented["type"], configuration)
    (sent,) = requests(standin, "PUT", "/archive/storage")
    assert sent.path == f"/v2/project/{standin.account}/archive/storage"
    assert sent.headers["content-type"] == "application/json"
    assert json.loads(sent.body) == documented
    assert standin.archives.target.body == documented
    for _ in range(2):
        provider.clear_storage()
    assert standin.archives.target is None


@OPENTOK
def test_a_storage_target_that_vonage_cannot_have_is_refused(standin, provider, caplog):
    for kind, configuration in (("s3", {**S3[0], "prefix": "a/b"}), ("gcs", S3[0])):
        with pytest.raises(ProviderRejected):
            provider.apply_storage(kind, configuration)
    assert standin.received == []
    with pytest.raises(ProviderRejected) as caught:
        provider.apply_storage("s3", {**S3[0], "bucket": " ", "secret_key": "tops3cret"})
    assert standin.archives.target is None
    assert "tops3cret" not in caplog.text + repr(vars(caught.value))


# --- the account ----------------------------------------------------------------------------------------------------


def test_the_check_needs_the_credentials(standin, provider):
    provider.check()
    standin.credentials.skew_seconds = -3600
    with pytest.raises(ProviderAuthFailed):
        provider.check()


def test_a_refusal_tells_when_the_clocks_are_apart(standin, provider):
    page = faults.reply(403, b"{}", headers={"Date": "Wed, 01 Jan 2020 00:00:00 GMT"})
    standin.faults.add("GET", "/archive$", faults.Fault(processed=False, behaviour=page))
    with pytest.raises(ProviderAuthFailed, match="clock is"):
        provider.check()


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 01 Jan 2020 00:00:00 -0000"])
def test_a_refusal_without_a_time_is_one_all_the_same(standin, provider, date):
    page = faults.reply(401, b"", headers={"Date": date})
    standin.faults.add("GET", "/archive$", faults.Fault(processed=False, behaviour=page))
    with pytest.raises(ProviderAuthFailed):
        provider.check()


def test_a_silent_vonage_is_a_time_out(standin):
    with closing(provider_at(standin, attempt_seconds=0.2, connect_seconds=0.1)) as provider:
        standin.faults.add("GET", "/archive$", *[faults.silence()] * 3)
        with pytest.raises(ProviderTimeout):
            provider.check()
