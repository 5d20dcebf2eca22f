"""Muting one attendee on the whole service with Vonage."""

from __future__ import annotations

import random

import pytest

from tests.plugins.vonage.test_failures import TABLE
from tests.plugins.vonage.whole_service.vonage_service import PERSON
from tests.support.service import ON_SQLITE


def mute(service, link, connection):
    return service.api("POST", f"/session/{link}/attendees/{connection.connection_id}/mute")


def sent_to_mute(standin):
    return [one.path.split("/")[-2] for one in standin.received if one.path.endswith("/mute")]


def told(service, link):
    entries = service.api("GET", f"/audit?meetingLink={link}").json
    return [(entry["target"], entry["after"]) for entry in entries if entry["action"] == "attendee.muted"]


@pytest.mark.parametrize("seed", range(2))
def test_mute_covers_the_streams_of_one_attendee_alone(service, standin, seed):
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
    # The leave is reported, and the end of its stream arrives late.
    standin.deliver(post=lambda url, body, *how: 0 if b"streamDestroyed" in body else service.post(url, body, *how))
    assert mute(service, link, first).status == 204
    assert sent_to_mute(standin) == []
    assert mute(service, link, second).status == 204
    assert sent_to_mute(standin) == [camera.stream_id]
    standin.advance(10)
    assert [one.name for one in service.deliver()] == ["stream_destroyed"]
    assert mute(service, link, second).status == 204


def test_mute_without_the_streams_callback_reports_it(service, standin):
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
def test_failed_mute_is_reported(service, standin, name):
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
