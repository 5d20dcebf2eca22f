"""Callbacks: what they say, how they are signed, and how they are tried again."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
import pytest

from tools.vonage_standin import VonageStandin
from tools.vonage_standin.callbacks import Callback
from tools.vonage_standin.callers import call
from tools.vonage_standin.world import Session
from videoconf.testing.faulty_server import FaultyServer, hang, reply

SECRET = "signature-secret-of-at-least-32-characters"


class Receiver:
    """Takes callbacks without HTTP and answers as told; the last answer stays."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = itertools.chain(statuses, itertools.repeat(statuses[-1]))
        self.got: list[tuple[str, bytes, Mapping[str, str]]] = []

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float) -> int:
        self.got.append((url, body, headers))
        return next(self._statuses)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body, _ in self.got]


@pytest.fixture
def told(vonage_standin: VonageStandin) -> VonageStandin:
    """Give the stand-in with callbacks registered, not signed."""
    vonage_standin.callbacks.register("http://127.0.0.1:9/s", "http://127.0.0.1:9/a")
    return vonage_standin


def one_event(standin: VonageStandin) -> Callback:
    """Let one thing happen that has a callback."""
    standin.switches.session_events = False
    standin.connect_to(standin.world.create_session(routed=True).session_id, data="d")
    return standin.callbacks.sent[-1]


def test_monitoring_bodies_are_as_documented(told: VonageStandin) -> None:
    session = told.world.create_session(routed=True)
    connection = told.connect_to(session.session_id, data="role=host")
    stream = told.publish(connection, video_type="screen", name="slides")
    told.publish(connection, video_type=None)
    told.unpublish(stream, "mediaStopped")
    told.disconnect(connection, "networkDisconnected")
    receiver = Receiver(200)
    told.deliver(post=receiver)
    now = told.clock.now_ms()
    common = {"sessionId": session.session_id, "projectId": told.account, "timestamp": now}
    who = {"id": connection.connection_id, "createdAt": now, "data": "role=host"}
    what = {"id": stream.stream_id, "connection": who, "createdAt": now, "name": "slides", "videoType": "screen"}
    lost = {"reason": "networkDisconnected"}
    created, joined, published, sound, stopped, sound_ended, left, destroyed = receiver.bodies
    assert created == {**common, "event": "sessionCreated"}
    assert joined == {**common, "event": "connectionCreated", "connection": who}
    assert published == {**common, "event": "streamCreated", "stream": what}
    assert "videoType" not in sound["stream"]
    assert stopped == {**common, "event": "streamDestroyed", "reason": "mediaStopped", "stream": what}
    assert (sound_ended["event"], sound_ended["reason"]) == ("streamDestroyed", "networkDisconnected")
    assert left == {**common, **lost, "event": "connectionDestroyed", "connection": who}
    assert destroyed == {**common, **lost, "event": "sessionDestroyed"}


def test_disconnecting_by_api_is_reported(told: VonageStandin, session: Session) -> None:
    told.callbacks.sent.clear()
    connection_id = next(iter(session.connections))
    path = f"{{p}}/session/{session.session_id}/connection/{connection_id}"
    assert [call(told, "DELETE", path).status for _ in range(2)] == [204, 404]
    told_of = [(one.body["event"], one.body["reason"]) for one in told.callbacks.sent]
    assert told_of == [
        ("streamDestroyed", "forceDisconnected"),
        ("connectionDestroyed", "forceDisconnected"),
        ("sessionDestroyed", "forceDisconnected"),
    ]


@pytest.mark.parametrize("silently", [False, True])
def test_rotation_reports_the_end_of_the_session(told: VonageStandin, session: Session, silently: bool) -> None:
    archive_id = call(told, "POST", "{p}/archive", {"sessionId": session.session_id}).json["id"]
    told.callbacks.sent.clear()
    told.world.notify_rotation(session)
    told.world.break_off(session, silently=silently)
    assert not session.connections
    events = [str(one.body["event"]) for one in told.callbacks.sent if one.name != "archive_status"]
    ended = [] if silently else ["streamDestroyed", "connectionDestroyed"]
    assert events == ["sessionNotification", *ended, "sessionDestroyed"]
    assert told.callbacks.sent[-1].body["reason"] == "serverRotation"
    told.advance(60)
    assert told.archives.get(archive_id).status == "stopped"


def test_archive_callbacks_are_the_archive(told: VonageStandin, session: Session) -> None:
    told.callbacks.sent.clear()
    archive_id = call(told, "POST", "{p}/archive", {"sessionId": session.session_id}).json["id"]
    receiver = Receiver(200)
    told.deliver(post=receiver)
    assert receiver.bodies == [call(told, "GET", f"{{p}}/archive/{archive_id}").json]
    assert receiver.got[0][0].endswith("/a")
    assert "timestamp" not in receiver.bodies[0]


def test_uploaded_may_be_reported_before_stopped(told: VonageStandin, session: Session) -> None:
    told.callbacks.sent.clear()
    told.callbacks.uploaded_before_stopped = True
    receiver = Receiver(200)
    archive_id = call(told, "POST", "{p}/archive", {"sessionId": session.session_id}).json["id"]
    call(told, "POST", f"{{p}}/archive/{archive_id}/stop")
    told.deliver(post=receiver)
    told.finish_archive(archive_id)
    told.deliver(post=receiver)
    assert [body["status"] for body in receiver.bodies] == ["started", "available", "stopped"]
    assert receiver.bodies[2]["size"] == 0  # told as it was then


def test_only_registered_callbacks_are_sent(vonage_standin: VonageStandin, session: Session) -> None:
    assert not vonage_standin.callbacks.sent
    vonage_standin.callbacks.register(archive_url="http://127.0.0.1:9/a")
    vonage_standin.connect_to(session.session_id)
    assert not vonage_standin.callbacks.sent


# --- signatures -------------------------------------------------------------------------------------------------------


def claims_of(headers: Mapping[str, str]) -> dict[str, Any]:
    token = headers["Authorization"].removeprefix("Bearer ")
    claims: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], options={"verify_iat": False})
    return claims


def test_signature_has_the_documented_claims(vonage_standin: VonageStandin) -> None:
    vonage_standin.callbacks.register("http://127.0.0.1:9/s", secret=SECRET)
    receiver = Receiver(200)
    one_event(vonage_standin)
    vonage_standin.deliver(post=receiver)
    ((_, body, headers),) = receiver.got
    claims = claims_of(headers)
    assert (claims["iss"], claims["iat"]) == ("Vonage", int(vonage_standin.clock.now()))
    assert claims["payload_hash"] == hashlib.sha256(body).hexdigest()
    assert "exp" not in claims
    if vonage_standin.environment == "opentok":
        assert claims["api_key"] == vonage_standin.account
    else:
        assert claims["application_id"] == vonage_standin.account


def test_callback_without_a_secret_is_unsigned(told: VonageStandin) -> None:
    receiver = Receiver(200)
    one_event(told)
    told.deliver(post=receiver)
    assert "Authorization" not in receiver.got[0][2]


@pytest.mark.parametrize("covers", ["raw", "compact"])
def test_hash_covers_the_raw_or_the_compact_body(vonage_standin: VonageStandin, covers: Any) -> None:
    vonage_standin.callbacks.register("http://127.0.0.1:9/s", secret=SECRET)
    vonage_standin.switches.payload_hash_covers = covers
    vonage_standin.switches.callback_body_has_spaces = True
    receiver = Receiver(200)
    one_event(vonage_standin)
    vonage_standin.deliver(post=receiver)
    ((_, body, headers),) = receiver.got
    compact = json.dumps(json.loads(body), separators=(",", ":")).encode()
    assert body != compact
    expected = body if covers == "raw" else compact
    assert claims_of(headers)["payload_hash"] == hashlib.sha256(expected).hexdigest()


@pytest.mark.parametrize("again", [True, False])
def test_retry_may_be_signed_again(vonage_standin: VonageStandin, again: bool) -> None:
    vonage_standin.callbacks.register("http://127.0.0.1:9/s", secret=SECRET)
    vonage_standin.switches.retries_are_signed_again = again
    receiver = Receiver(500)
    one_event(vonage_standin)
    vonage_standin.deliver(post=receiver)
    vonage_standin.advance(5)
    vonage_standin.deliver(post=receiver)
    first, second = (claims_of(headers) for _, _, headers in receiver.got)
    assert (first["jti"] != second["jti"]) == again
    assert second["iat"] - first["iat"] == (5 if again else 0)


# --- retries ----------------------------------------------------------------------------------------------------------


def attempts(standin: VonageStandin, receiver: Receiver, step_seconds: float, until_seconds: float) -> list[float]:
    """Deliver all the time; return after how many seconds each attempt was made."""
    begin, made = standin.clock.now(), []
    while standin.clock.now() - begin <= until_seconds:
        made += [standin.clock.now() - begin] * len(standin.deliver(post=receiver))
        standin.advance(step_seconds)
    return made


def test_current_policy_backs_off_for_a_day(told: VonageStandin) -> None:
    event = one_event(told)
    made = attempts(told, Receiver(500), 5, 25 * 3600)
    assert made[:9] == pytest.approx([0, 5, 15, 35, 75, 155, 315, 635, 1275])
    waits = [later - sooner for sooner, later in itertools.pairwise(made)]
    assert max(waits) == pytest.approx(15 * 60)
    assert 24 * 3600 - 15 * 60 < made[-1] <= 24 * 3600
    assert (event.state, told.callbacks.disabled) == ("abandoned", False)


def test_legacy_policy_tries_four_times_again(told: VonageStandin) -> None:
    told.callbacks.policy = "legacy"
    event = one_event(told)
    assert len(attempts(told, Receiver(500), 1, 60)) == 5
    assert event.state == "abandoned"


def test_legacy_policy_disables_after_50_failures_in_30_minutes(told: VonageStandin) -> None:
    told.callbacks.policy = "legacy"
    told.switches.session_events = False
    for _ in range(10):
        one_event(told)
    assert len(attempts(told, Receiver(500), 1, 60)) == 50
    assert not told.callbacks.disabled
    one_event(told)
    late = one_event(told)
    told.deliver(post=Receiver(500))
    assert told.callbacks.disabled
    assert late.attempts == 0
    before = len(told.callbacks.sent)
    told.connect_to(told.world.create_session(routed=True).session_id)
    assert len(told.callbacks.sent) == before


def test_legacy_policy_forgets_failures_after_30_minutes(told: VonageStandin) -> None:
    told.callbacks.policy = "legacy"
    for _ in range(10):
        one_event(told)
    attempts(told, Receiver(500), 1, 60)
    told.advance(30 * 60)
    one_event(told)
    told.deliver(post=Receiver(500))
    assert not told.callbacks.disabled


@pytest.mark.parametrize("policy", ["current", "legacy"])
def test_callback_is_delivered_at_the_third_attempt(told: VonageStandin, policy: Any) -> None:
    told.callbacks.policy = policy
    event = one_event(told)
    receiver = Receiver(500, 0, 200)
    attempts(told, receiver, 1, 60)
    assert (event.state, event.statuses) == ("delivered", [500, 0, 200])
    assert receiver.bodies[0] == receiver.bodies[2]


@pytest.mark.parametrize(("succeeds", "state"), [("200", "waiting"), ("2xx", "delivered")])
def test_switch_decides_which_answers_succeed(told: VonageStandin, succeeds: Any, state: str) -> None:
    told.switches.success_statuses = succeeds
    event = one_event(told)
    told.deliver(post=Receiver(204))
    assert event.state == state


def test_callbacks_may_be_duplicated_and_shuffled(told: VonageStandin) -> None:
    for _ in range(8):
        one_event(told)
    happened = [one.body for one in told.callbacks.sent]
    receiver = Receiver(200)
    told.deliver(post=receiver, shuffle=random.Random(1), times=2)
    assert receiver.bodies[::2] == receiver.bodies[1::2]
    assert receiver.bodies[::2] != happened
    assert sorted(map(str, receiver.bodies[::2])) == sorted(map(str, happened))


# --- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


def test_callback_is_posted_without_following_redirects(opentok: VonageStandin, receiver: FaultyServer) -> None:
    receiver.on("/hooks/session", reply(302, headers={"Location": receiver.url("/elsewhere")}), reply(200))
    opentok.callbacks.register(receiver.url("/hooks/session?token=t"), secret=SECRET)
    event = one_event(opentok)
    opentok.deliver()
    opentok.advance(5)
    opentok.deliver()
    assert event.statuses == [302, 200]
    assert receiver.count("/elsewhere") == 0
    received = receiver.requests("/hooks/session")[1]
    assert (received.method, received.query) == ("POST", "token=t")
    assert received.headers["content-type"] == "application/json"
    assert json.loads(received.body) == event.body


def test_unanswered_callback_is_a_failure(opentok: VonageStandin, receiver: FaultyServer) -> None:
    receiver.on("/slow", hang())
    opentok.switches.callback_timeout_seconds = 0.05
    opentok.callbacks.register(receiver.url("/slow"))
    event = one_event(opentok)
    opentok.deliver()
    opentok.callbacks.register("http://127.0.0.1:1/refused")
    opentok.advance(5)
    opentok.deliver()
    assert event.statuses == [0, 0]


def test_receiver_may_call_the_api_before_it_answers(opentok: VonageStandin) -> None:
    standin = opentok
    seen: list[int] = []

    def asks(*_: Any) -> int:
        seen.append(call(standin, "GET", "{p}/archive").status)
        return 200

    standin.callbacks.register("http://127.0.0.1:9/s")
    one_event(standin)
    standin.deliver(post=asks)
    assert seen == [200]
