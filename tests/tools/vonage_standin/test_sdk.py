"""The unmodified opentok SDK works against the stand-in in both environments."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import parse_qs

import pytest
from opentok import ArchiveModes, MediaModes, OutputModes, Roles, StreamModes
from opentok.exceptions import (
    ArchiveError,
    AuthError,
    ForceDisconnectError,
    NotFoundError,
    OpenTokException,
    RequestError,
)

from tools.vonage_standin import Refused, Unauthorized, VonageStandin
from tools.vonage_standin.callers import call, sdk_client
from tools.vonage_standin.world import Session


def test_sdk_holds_a_meeting_from_beginning_to_end(vonage_standin: VonageStandin, sdk: Any) -> None:
    standin = vonage_standin
    session = sdk.create_session(media_mode=MediaModes.routed, location="10.1.2.3")
    token = sdk.generate_token(session.session_id, role=Roles.moderator, data="role=host")
    connection = standin.connect(token)
    assert (connection.data, connection.role) == ("role=host", "moderator")
    stream = standin.publish(connection, video_type="screen", name="slides")

    streams = sdk.list_streams(session.session_id)
    assert (streams.count, streams.items[0].id, streams.items[0].videoType) == (1, stream.stream_id, "screen")
    assert sdk.get_stream(session.session_id, stream.stream_id).name == "slides"

    archive = sdk.start_archive(session.session_id, name="visit 7", resolution="1280x720")
    assert (archive.status, archive.name, archive.duration) == ("started", "visit 7", 0)
    standin.advance(328)
    stopped = sdk.stop_archive(archive.id)
    assert (stopped.status, stopped.duration, stopped.size) == ("stopped", 0, 0)
    standin.advance(standin.archives.processing_seconds)
    ready = sdk.get_archive(archive.id)
    assert (ready.status, ready.duration) == ("available", 328)
    assert ready.size > 0
    assert ready.url.startswith(standin.url)
    assert [one.id for one in sdk.list_archives(session_id=session.session_id)] == [archive.id]
    sdk.delete_archive(archive.id)
    assert sdk.list_archives().count == 0

    assert sdk.mute_stream(session.session_id, stream.stream_id).status_code == 200
    assert stream.muted
    sdk.send_signal(session.session_id, {"type": "chat", "data": "hello"})
    assert standin.api.signals[0]["data"] == "hello"
    sdk.force_disconnect(session.session_id, connection.connection_id)
    assert sdk.list_streams(session.session_id).count == 0


def test_session_properties_arrive_as_the_sdk_sends_them(vonage_standin: VonageStandin, sdk: Any) -> None:
    made = sdk.create_session(
        media_mode=MediaModes.routed,
        archive_mode=ArchiveModes.always,
        archive_name="all",
        archive_resolution="1920x1080",
    )
    kept = vonage_standin.world.sessions[made.session_id]
    assert (kept.routed, kept.always_archived, kept.archive_name) == (True, True, "all")
    assert not vonage_standin.world.sessions[sdk.create_session().session_id].routed
    assert parse_qs(vonage_standin.received[0].body.decode())["archiveMode"] == ["always"]


def test_session_create_answers_the_content_type_of_the_sdk(vonage_standin: VonageStandin) -> None:
    got = call(vonage_standin, "POST", "/session/create", b"e2ee=false")
    assert got.headers["Content-Type"] == "application/json"
    assert got.json[0]["session_id"].startswith("2_")
    assert got.json[0]["project_id"] == vonage_standin.account


def test_session_create_answers_xml_where_json_is_not_asked_for(vonage_standin: VonageStandin) -> None:
    got = call(vonage_standin, "POST", "/session/create", b"", headers={"Accept": "*/*"})
    assert got.headers["Content-Type"] == "text/xml"
    assert b"<Session><session_id>2_" in got.body


@pytest.mark.parametrize(
    "form",
    [
        b"p2p.preference=maybe",
        b"archiveMode=always",
        b"archiveMode=sometimes",
        b"archiveName=x",
        b"p2p.preference=disabled&archiveMode=always&archiveName=" + b"x" * 81,
        b"p2p.preference=disabled&archiveMode=always&archiveResolution=1x1",
        b"location=here",
        b"e2ee=true",
        b"e2ee=yes",
        b"p2p.preference=disabled&e2ee=true&archiveMode=always",
    ],
)
def test_invalid_session_create_is_refused(vonage_standin: VonageStandin, form: bytes) -> None:
    got = call(vonage_standin, "POST", "/session/create", form)
    assert (got.status, got.json["code"]) == (400, -1)
    assert not vonage_standin.world.sessions


def test_muting_a_session_spares_excluded_streams_only(
    vonage_standin: VonageStandin, sdk: Any, session: Session
) -> None:
    spared = vonage_standin.publish(vonage_standin.connect_to(session.session_id))
    assert sdk.mute_all(session.session_id, [spared.stream_id]).status_code == 200
    late = vonage_standin.publish(vonage_standin.connect_to(session.session_id))
    assert [one.muted for one in session.streams.values()] == [True, False, True]
    unknown = {"active": True, "excludedStreamIds": ["unknown"]}
    assert call(vonage_standin, "POST", f"{{p}}/session/{session.session_id}/mute", unknown).status == 404
    sdk.disable_force_mute(session.session_id)
    assert late.muted  # it unmutes no stream
    assert not vonage_standin.publish(vonage_standin.connect_to(session.session_id)).muted


def test_manual_streams_are_chosen(vonage_standin: VonageStandin, sdk: Any, session: Session) -> None:
    (stream_id,) = session.streams
    archive = sdk.start_archive(session.session_id, stream_mode=StreamModes.manual)
    sdk.add_archive_stream(archive.id, stream_id, has_video=False)
    chosen = call(vonage_standin, "GET", f"{{p}}/archive/{archive.id}").json["streams"]
    assert chosen == [{"streamId": stream_id, "hasAudio": True, "hasVideo": False}]
    sdk.remove_archive_stream(archive.id, stream_id)
    assert call(vonage_standin, "GET", f"{{p}}/archive/{archive.id}").json["streams"] == []
    automatic = sdk.start_archive(session.session_id, multi_archive_tag="second")
    path = f"{{p}}/archive/{automatic.id}/streams"
    assert call(vonage_standin, "PATCH", path, {"addStream": stream_id}).status == 405


def test_individual_archive_has_no_resolution(vonage_standin: VonageStandin, sdk: Any, session: Session) -> None:
    archive = sdk.start_archive(session.session_id, output_mode=OutputModes.individual)
    body = call(vonage_standin, "GET", f"{{p}}/archive/{archive.id}").json
    assert "resolution" not in body
    assert vonage_standin.archives.object_key(vonage_standin.archives.get(archive.id)).endswith("/archive.zip")


def test_sdk_raises_its_own_errors(vonage_standin: VonageStandin, sdk: Any, session: Session) -> None:
    unknown = str(uuid.uuid4())
    relayed = vonage_standin.world.create_session(routed=False)
    vonage_standin.connect_to(relayed.session_id)
    empty = vonage_standin.world.create_session(routed=True)
    archive = sdk.start_archive(session.session_id)
    with pytest.raises(NotFoundError):
        sdk.get_archive(unknown)
    with pytest.raises(NotFoundError):
        sdk.stop_archive(unknown)
    with pytest.raises(NotFoundError):
        sdk.start_archive(empty.session_id)
    with pytest.raises(ArchiveError, match="Only routed sessions"):
        sdk.start_archive(relayed.session_id)
    with pytest.raises(ArchiveError, match="409 Conflict"):
        sdk.start_archive(session.session_id)
    with pytest.raises(RequestError) as refused:
        sdk.delete_archive(archive.id)
    assert refused.value.args[1] == 409
    with pytest.raises(ForceDisconnectError):
        sdk.force_disconnect(session.session_id, unknown)
    with pytest.raises(OpenTokException):
        sdk.mute_stream(session.session_id, unknown)


def test_sdk_raises_its_error_for_a_wrong_secret(opentok: VonageStandin, tmp_path: Any) -> None:
    client = sdk_client(opentok, tmp_path)
    client.api_secret = "another-secret-that-is-long-enough-for-hmac"
    with pytest.raises(AuthError):
        client.list_archives()


def test_old_token_format_works_in_the_opentok_environment_alone(
    make_vonage_standin: Any, opentok: VonageStandin, tmp_path: Any
) -> None:
    client = sdk_client(opentok, tmp_path)
    session_id = client.create_session().session_id
    token = client.generate_token(session_id, use_jwt=False, data="a=b&c", role=Roles.subscriber)
    assert opentok.connect(token).data == "a=b&c"
    with pytest.raises(Unauthorized):
        opentok.connect(token[:-4] + "AAAA")
    with pytest.raises(Unauthorized):
        make_vonage_standin("unified").connect(token)


def test_subscriber_cannot_publish(vonage_standin: VonageStandin, sdk: Any) -> None:
    session_id = sdk.create_session().session_id
    watcher = vonage_standin.connect(sdk.generate_token(session_id, role=Roles.subscriber))
    with pytest.raises(Refused):
        vonage_standin.publish(watcher)
