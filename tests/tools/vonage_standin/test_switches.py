"""What no public source settles, both ways."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools.vonage_standin import Switches, Unauthorized, VonageStandin
from tools.vonage_standin.callers import call, sdk_client
from tools.vonage_standin.world import Session

S3 = {"type": "s3", "config": {"accessKey": "AK", "secretKey": "SK", "bucket": "b"}, "fallback": "none"}


def test_every_switch_is_tested() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    untested = [one.name for one in dataclasses.fields(Switches) if f"switches.{one.name} = " not in tests]
    assert not untested


@pytest.mark.parametrize("status", [404, 400])
def test_start_without_a_client_answers_the_set_status(vonage_standin: VonageStandin, status: Any) -> None:
    vonage_standin.switches.no_clients_status = status
    session = vonage_standin.world.create_session(routed=True)
    got = call(vonage_standin, "POST", "{p}/archive", {"sessionId": session.session_id})
    assert got.status == status
    assert "No clients are actively connected" in got.json["message"]


@pytest.mark.parametrize("status", [405, 404, 200])
def test_get_of_storage_answers_the_set_status(opentok: VonageStandin, status: Any) -> None:
    opentok.switches.storage_get_status = status
    call(opentok, "PUT", "{p}/archive/storage", S3)
    assert call(opentok, "GET", "{p}/archive/storage").status == status


@pytest.mark.parametrize(("any_case", "status"), [(True, 200), (False, 400)])
def test_storage_type_may_have_any_case(opentok: VonageStandin, any_case: bool, status: int) -> None:
    opentok.switches.storage_type_any_case = any_case
    assert call(opentok, "PUT", "{p}/archive/storage", {**S3, "type": "S3"}).status == status


@pytest.mark.parametrize("fallback", ["none", "opentok"])
def test_omitted_fallback_has_the_set_default(opentok: VonageStandin, fallback: Any) -> None:
    opentok.switches.storage_default_fallback = fallback
    got = call(opentok, "PUT", "{p}/archive/storage", {"type": "s3", "config": S3["config"]})
    assert got.json["fallback"] == fallback


@pytest.mark.parametrize(("probes", "status"), [(True, 400), (False, 200)])
def test_storage_target_is_probed_if_set(opentok: VonageStandin, probes: bool, status: int) -> None:
    def unreachable(*_: object) -> None:
        raise OSError

    opentok.archives.upload = unreachable
    opentok.switches.storage_put_probes_target = probes
    assert call(opentok, "PUT", "{p}/archive/storage", S3).status == status


@pytest.mark.parametrize(("has", "status"), [(True, 200), (False, 404)])
def test_storage_in_the_unified_environment(
    make_vonage_standin: Callable[..., VonageStandin], has: bool, status: int
) -> None:
    standin = make_vonage_standin("unified")
    standin.switches.unified_has_storage_endpoint = has
    assert call(standin, "PUT", "{p}/archive/storage", S3).status == status


def test_count_over_1000_is_refused_if_set(vonage_standin: VonageStandin) -> None:
    assert call(vonage_standin, "GET", "{p}/archive?count=1001").status == 200
    vonage_standin.switches.list_count_over_1000 = "refuse"
    assert call(vonage_standin, "GET", "{p}/archive?count=1001").status == 400
    assert call(vonage_standin, "GET", "{p}/archive?count=1000").status == 200


def test_list_counts_all_or_one_page(vonage_standin: VonageStandin, session: Session) -> None:
    for tag in "abc":
        call(vonage_standin, "POST", "{p}/archive", {"sessionId": session.session_id, "multiArchiveTag": tag})
    assert call(vonage_standin, "GET", "{p}/archive?count=2").json["count"] == 3
    vonage_standin.switches.list_count_is = "page"
    assert call(vonage_standin, "GET", "{p}/archive?count=2").json["count"] == 2


def test_list_shows_the_tag_if_set(vonage_standin: VonageStandin, session: Session) -> None:
    wanted = {"sessionId": session.session_id, "multiArchiveTag": "t"}
    assert call(vonage_standin, "POST", "{p}/archive", wanted).json["multiArchiveTag"] == "t"
    assert "multiArchiveTag" not in call(vonage_standin, "GET", "{p}/archive").json["items"][0]
    vonage_standin.switches.lists_multi_archive_tag = True
    assert call(vonage_standin, "GET", "{p}/archive").json["items"][0]["multiArchiveTag"] == "t"


@pytest.mark.parametrize("status", [200, 415])
def test_wrong_content_type_answers_the_set_status(
    vonage_standin: VonageStandin, session: Session, status: Any
) -> None:
    vonage_standin.switches.wrong_content_type_status = status
    wanted = {"sessionId": session.session_id}
    assert call(vonage_standin, "POST", "{p}/archive", wanted, headers={"Content-Type": "text/plain"}).status == status


def test_refused_session_has_an_empty_body_if_set(vonage_standin: VonageStandin) -> None:
    assert call(vonage_standin, "POST", "/session/create", b"e2ee=x").json["code"] == -1
    vonage_standin.switches.session_create_error_body = "empty"
    got = call(vonage_standin, "POST", "/session/create", b"e2ee=x")
    assert (got.status, got.body) == (400, b"")


@pytest.mark.parametrize("prefix", ["1_", "2_"])
def test_session_id_has_the_set_prefix(vonage_standin: VonageStandin, tmp_path: Path, prefix: Any) -> None:
    vonage_standin.switches.session_id_prefix = prefix
    sdk = sdk_client(vonage_standin, tmp_path)
    session_id = sdk.create_session().session_id
    assert session_id.startswith(prefix)
    assert vonage_standin.connect(sdk.generate_token(session_id))


def test_connection_data_limit_counts_bytes_if_set(vonage_standin: VonageStandin, tmp_path: Path) -> None:
    sdk = sdk_client(vonage_standin, tmp_path)
    token = sdk.generate_token(sdk.create_session().session_id, data="ü" * 1000)
    assert vonage_standin.connect(token)
    vonage_standin.switches.token_data_limit_counts = "bytes"
    with pytest.raises(Unauthorized):
        vonage_standin.connect(token)


@pytest.mark.parametrize(("accepts", "muted"), [("both", False), ("excludedStreamIds", True)])
def test_mute_accepts_the_set_name_of_excluded_streams(
    vonage_standin: VonageStandin, session: Session, accepts: Any, muted: bool
) -> None:
    vonage_standin.switches.mute_accepts = accepts
    (stream,) = session.streams.values()
    path = f"{{p}}/session/{session.session_id}/mute"
    call(vonage_standin, "POST", path, {"active": True, "excludedStreamIds": [stream.stream_id]})
    assert not stream.muted
    call(vonage_standin, "POST", path, {"active": True, "excludedStreams": [stream.stream_id]})
    assert stream.muted == muted


@pytest.mark.parametrize("status", [404, 400])
def test_mute_of_a_gone_stream_answers_the_set_status(
    vonage_standin: VonageStandin, session: Session, status: Any
) -> None:
    vonage_standin.switches.mute_of_gone_stream_status = status
    (stream,) = session.streams.values()
    vonage_standin.unpublish(stream)
    path = f"{{p}}/session/{session.session_id}/stream/{stream.stream_id}/mute"
    assert call(vonage_standin, "POST", path).status == status


def told(standin: VonageStandin) -> list[str]:
    return [str(one.body["event"]) for one in standin.callbacks.sent]


def test_session_events_are_sent_if_set(vonage_standin: VonageStandin) -> None:
    vonage_standin.callbacks.register("http://127.0.0.1:9/s")
    session = vonage_standin.world.create_session(routed=True)
    vonage_standin.disconnect(vonage_standin.connect_to(session.session_id))
    assert told(vonage_standin) == ["sessionCreated", "connectionCreated", "connectionDestroyed", "sessionDestroyed"]
    vonage_standin.callbacks.sent.clear()
    vonage_standin.switches.session_events = False
    vonage_standin.world.notify_rotation(session)
    vonage_standin.disconnect(vonage_standin.connect_to(session.session_id))
    assert told(vonage_standin) == ["connectionCreated", "connectionDestroyed"]


def test_session_event_body_is_nested_if_set(vonage_standin: VonageStandin) -> None:
    vonage_standin.callbacks.register("http://127.0.0.1:9/s")
    session = vonage_standin.world.create_session(routed=True)
    vonage_standin.world.notify_rotation(session)
    vonage_standin.switches.session_event_body = "nested"
    vonage_standin.world.notify_rotation(session)
    flat, nested = (one.body for one in vonage_standin.callbacks.sent)
    assert set(flat) == {"sessionId", "projectId", "event", "reason", "timestamp"}
    assert nested["session"] == {"id": session.session_id, "createdAt": session.created_ms}


@pytest.mark.parametrize("field", ["projectId", "applicationId"])
def test_account_has_the_set_name_in_monitoring(vonage_standin: VonageStandin, field: Any) -> None:
    vonage_standin.callbacks.register("http://127.0.0.1:9/s")
    vonage_standin.switches.unified_account_field = field
    vonage_standin.connect_to(vonage_standin.world.create_session(routed=True).session_id)
    body = vonage_standin.callbacks.sent[0].body
    expected = "projectId" if vonage_standin.environment == "opentok" else field
    assert body[expected] == vonage_standin.account
    assert len({"projectId", "applicationId"} & set(body)) == 1


@pytest.mark.parametrize(("sends", "last"), [(True, "deleted"), (False, "available")])
def test_deletion_is_reported_if_set(vonage_standin: VonageStandin, session: Session, sends: bool, last: str) -> None:
    vonage_standin.callbacks.register(archive_url="http://127.0.0.1:9/a")
    vonage_standin.switches.retention_callbacks = sends
    archive_id = call(vonage_standin, "POST", "{p}/archive", {"sessionId": session.session_id}).json["id"]
    call(vonage_standin, "POST", f"{{p}}/archive/{archive_id}/stop")
    vonage_standin.finish_archive(archive_id)
    call(vonage_standin, "DELETE", f"{{p}}/archive/{archive_id}")
    assert vonage_standin.callbacks.sent[-1].body["status"] == last
