"""The life cycle of archives on the clock, their errors, their list, and where they go."""

from __future__ import annotations

import base64
import hashlib
import urllib.error
import urllib.request
import uuid
from typing import Any

import pytest

from tools.vonage_standin import Refused, VonageStandin
from tools.vonage_standin.archives import Archive
from tools.vonage_standin.callers import call
from tools.vonage_standin.storage import Target
from tools.vonage_standin.world import Session

MINUTE, HOUR = 60, 3600
S3 = {"type": "s3", "config": {"accessKey": "AK", "secretKey": "SK", "bucket": "b"}, "fallback": "none"}
AZURE = {"type": "azure", "config": {"accountName": "a", "accountKey": "K==", "container": "c"}, "fallback": "opentok"}


def start(standin: VonageStandin, session: Session, **wanted: Any) -> Archive:
    got = call(standin, "POST", "{p}/archive", {"sessionId": session.session_id, **wanted})
    assert got.status == 200, got.body
    return standin.archives.get(got.json["id"])


def statuses(standin: VonageStandin) -> list[str]:
    return [one.body["status"] for one in standin.callbacks.sent if one.name == "archive_status"]


@pytest.fixture
def told(vonage_standin: VonageStandin) -> VonageStandin:
    """Give the stand-in with callbacks registered."""
    vonage_standin.callbacks.register("http://127.0.0.1:9/s", "http://127.0.0.1:9/a")
    return vonage_standin


def test_archive_has_the_documented_members(vonage_standin: VonageStandin, session: Session) -> None:
    vonage_standin.advance(0.123 - vonage_standin.clock.now() % 1 + 1)
    wanted = {"sessionId": session.session_id, "name": None, "resolution": None, "maxBitrate": 200_000}
    started = call(vonage_standin, "POST", "{p}/archive", wanted).json
    assert started["createdAt"] % 1000 == 123
    read = call(vonage_standin, "GET", f"{{p}}/archive/{started['id']}").json
    assert read["createdAt"] == started["createdAt"] // 1000 * 1000
    assert (read["size"], read["duration"], read["sha256sum"], read["url"], read["reason"]) == (0, 0, "", None, "")
    assert (read["event"], read["maxBitrate"], read["resolution"]) == ("archive", 200_000, "640x480")
    if vonage_standin.environment == "opentok":
        assert read["projectId"] == read["partnerId"] == int(vonage_standin.account)
        assert "applicationId" not in read
    else:
        assert read["applicationId"] == vonage_standin.account
        assert "projectId" not in read


def test_stopped_archive_becomes_available_and_expires(told: VonageStandin, session: Session) -> None:
    archive = start(told, session)
    told.advance(90)
    assert call(told, "POST", f"{{p}}/archive/{archive.archive_id}/stop").json["reason"] == "user initiated"
    told.advance(told.archives.processing_seconds)
    body = call(told, "GET", f"{{p}}/archive/{archive.archive_id}").json
    assert (body["status"], body["duration"]) == ("available", 90)
    with urllib.request.urlopen(body["url"], timeout=5) as download:
        content = download.read()
    assert body["sha256sum"] == base64.b64encode(hashlib.sha256(content).digest()).decode()
    told.advance(10 * MINUTE + 1)
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(body["url"], timeout=5)
    refused.value.close()
    fresh = call(told, "GET", f"{{p}}/archive/{archive.archive_id}").json["url"]
    urllib.request.urlopen(fresh, timeout=5).close()
    told.advance(72 * HOUR)
    body = call(told, "GET", f"{{p}}/archive/{archive.archive_id}").json
    assert (body["status"], body["url"]) == ("expired", None)
    assert statuses(told) == ["started", "stopped", "available", "expired"]


def test_archive_without_streams_pauses_and_goes_on(told: VonageStandin, session: Session) -> None:
    archive = start(told, session)
    (stream,) = session.streams.values()
    told.unpublish(stream, "mediaStopped")
    told.advance(59 * MINUTE)
    told.publish(stream.connection)
    told.advance(59 * MINUTE)
    assert archive.status == "started"
    assert statuses(told) == ["started", "paused", "started"]
    told.unpublish(next(iter(session.streams.values())))
    told.advance(60 * MINUTE)
    assert (archive.status, archive.reason) == ("stopped", "session ended")
    told.advance(told.archives.processing_seconds)
    assert archive.duration_seconds == 59 * MINUTE  # the pauses do not count


def test_archive_of_an_empty_session_stops_after_a_minute(told: VonageStandin, session: Session) -> None:
    archive = start(told, session)
    told.disconnect(next(iter(session.connections.values())))
    assert archive.status == "paused"
    told.advance(59)
    assert archive.status == "paused"
    told.advance(1)
    assert (archive.status, archive.reason) == ("stopped", "session ended")


def test_archive_goes_on_if_a_person_returns_in_a_minute(told: VonageStandin, session: Session) -> None:
    archive = start(told, session)
    told.disconnect(next(iter(session.connections.values())))
    told.advance(30)
    told.publish(told.connect_to(session.session_id))
    told.advance(10 * MINUTE)
    assert archive.status == "started"


def test_archive_that_never_had_a_stream_stops_in_a_minute(vonage_standin: VonageStandin) -> None:
    session = vonage_standin.world.create_session(routed=True)
    silent = vonage_standin.connect_to(session.session_id)
    archive = start(vonage_standin, session)
    vonage_standin.advance(MINUTE)
    assert archive.status == "stopped"
    archive = start(vonage_standin, session)
    vonage_standin.advance(59)
    vonage_standin.publish(silent)
    vonage_standin.advance(MINUTE)
    assert archive.status == "started"


def test_archive_records_at_most_four_hours(told: VonageStandin, session: Session) -> None:
    archive = start(told, session)
    told.advance(3 * HOUR)
    (stream,) = session.streams.values()
    told.unpublish(stream)
    told.advance(HOUR - 1)
    told.publish(stream.connection)
    told.advance(HOUR - 1)
    assert archive.status == "started"
    told.advance(1)
    assert (archive.status, archive.reason) == ("stopped", "maximum duration exceeded")


def test_archive_lasts_at_most_twelve_hours_with_pauses(told: VonageStandin, session: Session) -> None:
    archive = start(told, session)
    (stream,) = session.streams.values()
    for _ in range(12):
        told.unpublish(stream)
        told.advance(HOUR - 1)
        stream = told.publish(stream.connection)
    told.advance(12)
    assert (archive.status, archive.reason) == ("stopped", "maximum duration exceeded")


def test_automatic_archive_cannot_be_stopped_and_rolls(told: VonageStandin) -> None:
    session = told.world.create_session(routed=True, always_archived=True, archive_name="all")
    told.publish(told.connect_to(session.session_id))
    (first,) = told.archives.newest_first(session.session_id)
    assert call(told, "POST", f"{{p}}/archive/{first.archive_id}/stop").json["code"] == 15002
    told.advance(4 * HOUR)
    second, _ = told.archives.newest_first(session.session_id)
    assert (first.status, second.status, second.name) == ("stopped", "started", "all")
    connection = next(iter(session.connections.values()))
    told.disconnect(connection)
    told.connect_to(session.session_id)  # one that runs is not doubled
    assert len(told.archives.newest_first(session.session_id)) == 2


def test_failed_archive_reports_its_reason(told: VonageStandin, session: Session) -> None:
    archive = start(told, session)
    told.archives.fail(archive)
    assert (archive.status, archive.reason) == ("failed", "system failure")
    with pytest.raises(Refused):
        told.archives.fail(archive)
    told.archives.next_outcome = "failed"
    second = start(told, session)
    call(told, "POST", f"{{p}}/archive/{second.archive_id}/stop")
    told.advance(told.archives.processing_seconds)
    assert (second.status, second.reason) == ("failed", "failure")


def test_archive_that_runs_is_not_finished(vonage_standin: VonageStandin, session: Session) -> None:
    archive = start(vonage_standin, session)
    with pytest.raises(Refused):
        vonage_standin.finish_archive(archive.archive_id)


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    [
        {"sessionId": None},
        {"sessionId": ""},
        {"sessionId": "nonsense"},
        {"hasAudio": False, "hasVideo": False},
        {"hasAudio": "yes"},
        {"outputMode": "mixed"},
        {"streamMode": "some"},
        {"resolution": "1x1"},
        {"resolution": "640x480", "outputMode": "individual"},
        {"maxBitrate": 99_999},
        {"maxBitrate": True},
        {"quantizationParameter": 41},
        {"layout": {"type": "round"}},
        {"layout": {"type": "custom"}},
        {"layout": {"type": "pip", "stylesheet": "a{}"}},
    ],
)
def test_start_refuses_with_400(vonage_standin: VonageStandin, session: Session, wanted: dict[str, Any]) -> None:
    got = call(vonage_standin, "POST", "{p}/archive", {"sessionId": session.session_id, **wanted})
    assert (got.status, got.json["code"]) == (400, -1)


def test_impossible_start_answers_409(vonage_standin: VonageStandin, session: Session) -> None:
    start(vonage_standin, session)
    again = call(vonage_standin, "POST", "{p}/archive", {"sessionId": session.session_id})
    assert (again.status, again.json["code"], again.json["message"]) == (409, 15001, "HTTP 409 Conflict")
    start(vonage_standin, session, multiArchiveTag="second")
    relayed = vonage_standin.world.create_session(routed=False)
    vonage_standin.connect_to(relayed.session_id)
    got = call(vonage_standin, "POST", "{p}/archive", {"sessionId": relayed.session_id})
    assert (got.status, got.json["code"]) == (409, 15008)
    assert got.json["message"] == "Only routed sessions are allowed to initiate archives."


def test_stop_and_delete_by_state(vonage_standin: VonageStandin, session: Session) -> None:
    archive = start(vonage_standin, session)
    path = f"{{p}}/archive/{archive.archive_id}"
    early = call(vonage_standin, "DELETE", path)
    assert (early.status, early.json["code"]) == (409, 15004)
    assert "available OR uploaded OR deleted" in early.json["message"]
    assert [call(vonage_standin, "POST", f"{path}/stop").status for _ in range(2)] == [200, 200]
    vonage_standin.finish_archive(archive.archive_id)
    late = call(vonage_standin, "POST", f"{path}/stop")
    assert (late.status, late.json["code"]) == (409, 15002)
    assert "started OR paused OR stopped" in late.json["message"]
    url = call(vonage_standin, "GET", path).json["url"]
    assert [call(vonage_standin, "DELETE", path).status for _ in range(2)] == [204, 204]
    assert call(vonage_standin, "GET", url.removeprefix(vonage_standin.url)).status == 403
    assert call(vonage_standin, "GET", path).json["status"] == "deleted"
    assert call(vonage_standin, "GET", "{p}/archive").json == {"count": 0, "items": []}


@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("DELETE", ""), ("POST", "/stop"), ("PATCH", "/streams")])
def test_unknown_archive_id_is_404_and_malformed_400(vonage_standin: VonageStandin, method: str, suffix: str) -> None:
    body = {"addStream": "s"}
    assert call(vonage_standin, method, f"{{p}}/archive/{uuid.uuid4()}{suffix}", body).status == 404
    assert call(vonage_standin, method, f"{{p}}/archive/no-uuid{suffix}", body).status == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "connection"),
        ("GET", "stream"),
        ("GET", "stream/x"),
        ("DELETE", "connection/x"),
        ("POST", "mute"),
        ("POST", "stream/x/mute"),
        ("POST", "signal"),
    ],
)
def test_unknown_session_id_is_404_and_malformed_400(vonage_standin: VonageStandin, method: str, path: str) -> None:
    assert call(vonage_standin, method, f"{{p}}/session/2_MX4xfg/{path}", {"data": ""}).status == 404
    assert call(vonage_standin, method, f"{{p}}/session/nonsense/{path}", {"data": ""}).status == 400


def test_mute_reaches_one_stream(vonage_standin: VonageStandin, session: Session) -> None:
    there = next(iter(session.connections.values()))
    first, second = next(iter(session.streams.values())), vonage_standin.publish(there, video_type="screen")
    path = f"{{{{p}}}}/session/{session.session_id}/stream/{{}}/mute"
    for _ in range(2):
        got = call(vonage_standin, "POST", path.format(first.stream_id))
        account = "applicationId" if vonage_standin.environment == "unified" else "id"
        assert (got.status, got.json[account]) == (200, vonage_standin.account)
        assert (first.muted, second.muted) == (True, False)
    other = vonage_standin.world.create_session(routed=True)
    elsewhere = vonage_standin.publish(vonage_standin.connect_to(other.session_id))
    for unknown in (elsewhere.stream_id, str(uuid.uuid4())):
        assert call(vonage_standin, "POST", path.format(unknown)).status == 404
    assert call(vonage_standin, "POST", path.format("no-uuid")).status == 400
    assert call(vonage_standin, "GET", path.format(first.stream_id)).status == 405
    refused = call(vonage_standin, "POST", path.format(second.stream_id), authorized=False).status
    assert refused == (401 if vonage_standin.environment == "unified" else 403)
    assert not second.muted
    assert not elsewhere.muted


def test_bodies_other_than_json_objects_answer_400(vonage_standin: VonageStandin, session: Session) -> None:
    for raw in (b"", b"{", b"[]", b'"x"'):
        assert call(vonage_standin, "POST", "{p}/archive", raw).status == 400
        assert call(vonage_standin, "POST", f"{{p}}/session/{session.session_id}/mute", raw).status == 400


def test_signals_have_limits(vonage_standin: VonageStandin, session: Session) -> None:
    path = f"{{p}}/session/{session.session_id}/signal"
    assert call(vonage_standin, "POST", path, {"type": "t", "data": "d"}).status == 204
    assert call(vonage_standin, "POST", path, {"type": "t" * 129, "data": "d"}).json["code"] == 15202
    assert call(vonage_standin, "POST", path, {"data": "d" * 8193}).status == 413
    there = next(iter(session.connections))
    to = f"{{p}}/session/{session.session_id}/connection/{{}}/signal"
    assert call(vonage_standin, "POST", "{p}" + to[3:].format(there), {"data": "d"}).status == 204
    assert call(vonage_standin, "POST", "{p}" + to[3:].format("x"), {"data": "d"}).status == 404


def test_unknown_path_is_404_and_unknown_method_405(vonage_standin: VonageStandin) -> None:
    assert call(vonage_standin, "GET", "/v2/projects").status == 404
    assert call(vonage_standin, "PUT", "{p}/archive", {}).status == 405


def test_connections_are_listed_as_documented(vonage_standin: VonageStandin, session: Session) -> None:
    got = call(vonage_standin, "GET", f"{{p}}/session/{session.session_id}/connection").json
    account = "projectId" if vonage_standin.environment == "opentok" else "applicationId"
    (connection,) = session.connections.values()
    assert got == {
        "count": 1,
        account: vonage_standin.account,
        "sessionId": session.session_id,
        "items": [
            {
                "connectionId": connection.connection_id,
                "connectionState": "Connected",
                "createdAt": connection.created_ms,
            }
        ],
    }


# --- list -------------------------------------------------------------------------------------------------------------


def test_archives_are_listed_in_pages(vonage_standin: VonageStandin, session: Session) -> None:
    other = vonage_standin.world.create_session(routed=True)
    vonage_standin.connect_to(other.session_id)
    archives = vonage_standin.archives
    started = [archives.start(session, {"multiArchiveTag": str(number)}).archive_id for number in range(60)]
    foreign = archives.start(other, {}).archive_id
    newest_first = [foreign, *reversed(started)]

    def page(query: str) -> tuple[int, list[str]]:
        body = call(vonage_standin, "GET", f"{{p}}/archive?{query}").json
        return body["count"], [item["id"] for item in body["items"]]

    assert page("") == (61, newest_first[:50])
    assert page("offset=50") == (61, newest_first[50:])
    assert page("offset=1&count=2") == (61, newest_first[1:3])
    assert page("offset=61") == (61, [])
    assert page(f"sessionId={session.session_id}&count=1000") == (60, newest_first[1:])
    for query in ("count=-1", "count=x", "offset=-1"):
        assert call(vonage_standin, "GET", f"{{p}}/archive?{query}").status == 400


# --- storage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [S3, AZURE])
def test_storage_target_receives_the_archive(opentok: VonageStandin, target: dict[str, Any]) -> None:
    got = call(opentok, "PUT", "{p}/archive/storage", target)
    assert (got.status, got.json) == (200, target)  # the echo tells the secret
    kept: list[tuple[Target, str, bytes]] = []
    opentok.archives.upload = lambda *put: kept.append(put)
    session = opentok.world.create_session(routed=True)
    opentok.connect_to(session.session_id)
    archive = start(opentok, session)
    call(opentok, "POST", f"{{p}}/archive/{archive.archive_id}/stop")
    opentok.finish_archive(archive.archive_id)
    body = call(opentok, "GET", f"{{p}}/archive/{archive.archive_id}").json
    assert (body["status"], body["url"]) == ("uploaded", None)
    ((used, key, content),) = kept
    assert (used.config, key) == (target["config"], f"{opentok.account}/{archive.archive_id}/archive.mp4")
    assert len(content) == body["size"]
    assert [call(opentok, "DELETE", "{p}/archive/storage").status for _ in range(2)] == [204, 404]


@pytest.mark.parametrize(("fallback", "status"), [("none", "failed"), ("opentok", "available")])
def test_failed_upload_follows_the_fallback(opentok: VonageStandin, fallback: str, status: str) -> None:
    def broken(*_: object) -> None:
        raise OSError

    call(opentok, "PUT", "{p}/archive/storage", {**S3, "fallback": fallback})
    opentok.archives.upload = broken
    session = opentok.world.create_session(routed=True)
    opentok.connect_to(session.session_id)
    archive = start(opentok, session)
    call(opentok, "POST", f"{{p}}/archive/{archive.archive_id}/stop")
    opentok.finish_archive(archive.archive_id)
    assert archive.status == status


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "Invalid JSON"),
        ([], "Invalid JSON"),
        ({**S3, "type": "gcs"}, "Is not one of the valid set"),
        ({"config": S3["config"]}, "Is not one of the valid set"),
        ({"type": "s3"}, "config may not be empty"),
        ({**S3, "config": {"accessKey": "", "secretKey": "SK"}}, "accessKey may not be empty, config.bucket may not"),
        ({**S3, "config": {**S3["config"], "sse": "aes"}}, "sse Is not one"),
        ({**S3, "config": AZURE["config"]}, "config.accountName unknown"),
        ({**S3, "fallback": "vonage"}, "fallback Is not one"),
    ],
)
def test_invalid_storage_target_is_refused(opentok: VonageStandin, body: Any, words: str) -> None:
    call(opentok, "PUT", "{p}/archive/storage", AZURE)
    got = call(opentok, "PUT", "{p}/archive/storage", body)
    assert got.status == 400
    assert words in got.json["message"]
    assert opentok.archives.target is not None
    assert opentok.archives.target.kind == "azure"  # what was in force stays so
