"""The whole service on a real Janus: attendance, moderation, restarts, hostile names, and Vonage beside it."""

import contextlib
import time

import pytest

from tests.plugins.janus.client import JanusClient, Refused
from tests.plugins.janus.server import JanusServer, needs_janus
from tests.support.media_service import present, service_with, wait_for
from tools.vonage_standin import faults
from tools.vonage_standin.fixtures import make_vonage_standin  # noqa: F401  # a fixture

pytestmark = needs_janus

RECONCILED_SECONDS = 15.0
"""Two rounds of the roster, and what the jobs take for them on a busy machine."""


@pytest.fixture(scope="module")
def running(tmp_path_factory, sqlite_template, headers):
    folder = tmp_path_factory.mktemp("service")
    janus = JanusServer(folder / "etc")
    with service_with(janus, folder, sqlite_template, headers) as api:
        yield api, janus


@pytest.fixture
def api(running):
    return running[0]


@pytest.fixture
def janus(running):
    return running[1]


@pytest.fixture
def enter(api, janus):
    """Give a function that lets an attendee join a meeting; keywords replace members of Janus's request."""
    with contextlib.ExitStack() as stack:

        def enter(link, attendee, **members):
            issued = api.token(link, attendee=attendee, name=attendee.title())
            client = JanusClient(janus.client_url, issued["token"], issued["connect"])
            stack.callback(client.close)
            client.join(**members)
            return client

        yield enter


def test_attendance_follows_participants(api, enter):
    link = api.create()
    ann, bob = enter(link, "ann"), enter(link, "bob")
    wait_for(lambda: present(api, link), {"ann": True, "bob": True})
    assert [one["name"] for one in api.attendees(link)] == ["Ann", "Bob"]

    bob.close()
    wait_for(lambda: present(api, link), {"ann": True, "bob": False})
    again = enter(link, "bob")
    wait_for(lambda: present(api, link), {"ann": True, "bob": True})
    assert [len(one["connections"]) for one in api.attendees(link)] == [1, 2]

    ann.publish("0")
    assert api("POST", f"/session/{link}/attendees/{ann.id}/mute").status == 204
    assert ann.muted() == {"0"}
    again.publish("0")
    assert api("POST", f"/session/{link}/mute").status == 204
    assert again.muted() == {"0"}

    assert api("DELETE", f"/session/{link}/attendees/{again.id}").status == 204
    wait_for(lambda: present(api, link), {"ann": True, "bob": False})
    assert [one["reason"] for one in api.attendees(link)[1]["connections"]] == [None, "kicked"]

    assert api("PATCH", f"/session/{link}/end").status == 204
    wait_for(lambda: present(api, link), {"ann": False, "bob": False})
    with pytest.raises(Refused, match="426"):
        ann.again().join()


def test_meetings_of_one_server_stay_apart(api, enter):
    first, second = api.create(), api.create()
    ann, bob = enter(first, "ann"), enter(second, "bob")
    wait_for(lambda: (present(api, first), present(api, second)), ({"ann": True}, {"bob": True}))
    assert api("DELETE", f"/session/{first}/attendees/{bob.id}").problem == (404, "connection_not_found")
    assert api("PATCH", f"/session/{first}/end").status == 204
    wait_for(lambda: present(api, first), {"ann": False})
    assert present(api, second) == {"bob": True}
    assert ann.connect["room"] != bob.connect["room"]


def test_forged_event_changes_nothing(api):
    link = api.create()
    room = api.read(link)["sessionId"]
    event = {
        "emitter": "janus-dev",
        "type": 64,
        "timestamp": time.time_ns() // 1000,
        "event": {"plugin": "janus.plugin.videoroom", "data": {"event": "joined", "room": room, "id": "x"}},
    }
    for authorization in ("Basic amFudXM6d3Jvbmc=", "Bearer x", "Basic é", ""):
        answer = api("POST", "/webhooks/janus/session", event, Authorization=authorization)
        assert answer.problem == (401, "webhook_rejected")
    assert present(api, link) == {}


def test_oversized_name_delays_no_other_event(api, enter):
    """The event is over the limit of a webhook's body, so the roster tells of that participant, and removes it."""
    link = api.create()
    ann = enter(link, "ann")
    wait_for(lambda: present(api, link), {"ann": True})
    enter(link, "mallory", display="M" * 2_000_000)
    enter(link, "bob")
    ann.close()
    wait_for(lambda: {"ann": False, "bob": True}.items() <= present(api, link).items(), True)
    wait_for(lambda: present(api, link).get(""), False, RECONCILED_SECONDS)
    assert present(api, link) == {"ann": False, "bob": True, "": False}


@pytest.mark.parametrize("stop", [JanusServer.terminate, JanusServer.kill], ids=["TERM", "KILL"])
def test_restart_of_janus_ends_connections_and_no_meeting(api, janus, enter, stop):
    link = api.create()
    ann = enter(link, "ann")
    wait_for(lambda: present(api, link), {"ann": True})
    stop(janus)
    assert api("DELETE", f"/session/{link}/attendees/{ann.id}").problem == (503, "provider_unavailable")
    janus.start()
    wait_for(lambda: present(api, link), {"ann": False}, RECONCILED_SECONDS)

    again = ann.again()
    again.join()
    wait_for(lambda: present(api, link), {"ann": True})
    again.close()
    assert api("PATCH", f"/session/{link}/end").status == 204


# --- Vonage beside it -----------------------------------------------------------------------------------------------


@pytest.fixture
def vonage(make_vonage_standin):  # noqa: F811  # the fixture
    return make_vonage_standin("opentok")


@pytest.fixture
def both(tmp_path, sqlite_template, headers, vonage):
    """Give a service with Vonage as the default and Janus beside it."""
    janus = JanusServer(tmp_path / "etc")
    environment = {
        "VIDEOCONF_PROVIDERS": "vonage,janus",
        "VIDEOCONF_VONAGE_API_KEY": vonage.account,
        "VIDEOCONF_VONAGE_API_SECRET": vonage.secret,
        "VIDEOCONF_VONAGE_API_URL": vonage.url,
        "VIDEOCONF_VONAGE_SIGNATURE_SECRETS": "tests-sign-callbacks-with-this-secret",
    }
    with service_with(janus, tmp_path, sqlite_template, headers, **environment) as api:
        yield api, janus


def test_failure_of_vonage_moves_a_meeting_to_janus(both, vonage):
    api, janus = both
    vonage.faults.add("POST", "/session/create", faults.error(503))
    link = api.create()
    assert api.read(link)["provider"] == "janus"
    [entry] = api("GET", f"/audit?meetingLink={link}").json
    assert entry["after"]["failedOver"] == {"vonage": "provider_unavailable"}
    issued = api.token(link, attendee="ann")
    with contextlib.closing(JanusClient(janus.client_url, issued["token"], issued["connect"])) as ann:
        ann.join()
        wait_for(lambda: present(api, link), {"ann": True})
    wait_for(lambda: present(api, link), {"ann": False})


def test_vonage_and_janus_serve_side_by_side(both, vonage):
    api, janus = both
    at_vonage, at_janus = api.create(), api.create(provider="janus")
    assert [api.read(link)["provider"] for link in (at_vonage, at_janus)] == ["vonage", "janus"]
    vonage.connect(api.token(at_vonage, attendee="bob")["token"])
    issued = api.token(at_janus, attendee="ann")
    with contextlib.closing(JanusClient(janus.client_url, issued["token"], issued["connect"])) as ann:
        ann.join()
        wait_for(
            lambda: (present(api, at_vonage), present(api, at_janus)), ({"": True}, {"ann": True}), RECONCILED_SECONDS
        )
        assert api("PATCH", f"/session/{at_vonage}/end").status == 204
        assert present(api, at_janus) == {"ann": True}
    janus.kill()
    assert api("POST", "/session", {"provider": "janus"}).problem == (503, "provider_unavailable")
    assert api.read(api.create())["provider"] == "vonage"
