"""The stand-in as a process of its own, steered over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from opentok import MediaModes

from tools.vonage_standin import VonageStandin
from tools.vonage_standin.__main__ import keep_going, main, settings_of
from tools.vonage_standin.callers import call, sdk_client
from tools.vonage_standin.clock import Clock
from videoconf.testing.faulty_server import FaultyServer, reply

ROOT = Path(__file__).parents[3]


def act(standin: VonageStandin, name: str, **body: Any) -> Any:
    got = call(standin, "POST", f"/standin/{name}", body, authorized=False)
    assert got.status == 200, got.body
    return got.json


def test_standin_is_controlled_over_http(vonage_standin: VonageStandin, tmp_path: Path) -> None:
    standin, sdk = vonage_standin, sdk_client(vonage_standin, tmp_path)
    act(standin, "callbacks", session="http://127.0.0.1:9/s", archive="http://127.0.0.1:9/a", policy="legacy")
    session_id = sdk.create_session(media_mode=MediaModes.routed).session_id
    connection_id = act(standin, "connect", token=sdk.generate_token(session_id, data="d"))["connectionId"]
    stream_id = act(standin, "publish", connectionId=connection_id)["streamId"]
    archive_id = sdk.start_archive(session_id).id
    state = call(standin, "GET", "/standin/state", authorized=False).json
    there = {"connections": {connection_id: "d"}, "streams": {stream_id: connection_id}}
    assert state["sessions"][session_id] == {**there, "muted": []}
    sdk.mute_stream(session_id, stream_id)
    state = call(standin, "GET", "/standin/state", authorized=False).json
    assert state["sessions"][session_id] == {**there, "muted": [stream_id]}
    act(standin, "tick", seconds=30)
    assert act(standin, "archive", archiveId=archive_id)["duration"] == 30
    act(standin, "unpublish", streamId=stream_id, reason="mediaStopped")
    act(standin, "disconnect", connectionId=connection_id, reason="networkDisconnected")
    act(standin, "switch", no_clients_status=400)
    act(standin, "fault", method="GET", path="/archive$", fault="html", argument=503)
    assert call(standin, "GET", "{p}/archive").status == 503
    state = call(standin, "GET", "/standin/state", authorized=False).json
    assert (state["archives"], state["switches"]["no_clients_status"]) == ({archive_id: "available"}, 400)
    told = [one["name"] for one in state["callbacks"]]
    assert told[-3:] == ["stream_destroyed", "connection_destroyed", "session_destroyed"]
    act(standin, "connect", token=sdk.generate_token(session_id))
    act(standin, "break-off", sessionId=session_id)
    assert not standin.world.sessions[session_id].connections
    assert not any(one.path.startswith("/standin/") for one in standin.received)


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("connect", {"token": "nonsense"}, 403),
        ("connect", {}, 400),
        ("connect", [], 400),
        ("disconnect", {"connectionId": "x"}, 404),
        ("unpublish", {"streamId": "x"}, 404),
        ("archive", {"archiveId": "x"}, 404),
        ("fault", {"method": "GET", "path": "x", "fault": "fire"}, 400),
        ("switch", {"lights": "on"}, 400),
        ("dance", {}, 404),
    ],
)
def test_invalid_order_is_refused(opentok: VonageStandin, name: str, body: Any, status: int) -> None:
    assert call(opentok, "POST", f"/standin/{name}", body, authorized=False).status == status


def test_standin_runs_a_command_and_passes_its_exit_code_on(capfd: pytest.CaptureFixture[str]) -> None:
    """The command finds the stand-in by its environment, and its exit code is passed on."""
    code = (
        "import json, os, sys, urllib.request as r;"
        "print(r.urlopen(os.environ['VIDEOCONF_VONAGE_API_URL'] + '/standin/state', timeout=5).read().decode());"
        "print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('VIDEOCONF_')}));"
        "sys.exit(3)"
    )
    assert main(["--environment", "opentok", "--", sys.executable, "-c", code]) == 3
    *told, state, environment = capfd.readouterr().out.splitlines()
    given = json.loads(environment)
    assert all(line.startswith("# ") for line in told), "what a shell does not read"
    assert given["VIDEOCONF_VONAGE_API_URL"] in told[-1]
    assert json.loads(state)["account"] == given["VIDEOCONF_VONAGE_API_KEY"]
    assert given["VIDEOCONF_PROVIDERS"] == "vonage"
    assert len(given["VIDEOCONF_VONAGE_SIGNATURE_SECRETS"]) >= 32


def test_command_gets_the_settings_of_unified(make_vonage_standin: Any) -> None:
    standin = make_vonage_standin("unified")
    settings = settings_of(standin, None, "http://127.0.0.1:8000")
    assert settings["VIDEOCONF_VONAGE_PRIVATE_KEY"].startswith("-----BEGIN PRIVATE KEY-----")
    assert "VIDEOCONF_VONAGE_SIGNATURE_SECRETS" not in settings
    assert "VIDEOCONF_VONAGE_API_KEY" not in settings


def test_module_runs_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.vonage_standin", "--", sys.executable, "-c", "pass"],
        cwd=ROOT,
        env=dict(os.environ),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "serves at http://127.0.0.1:" in done.stdout


def test_running_clock_delivers_due_callbacks(make_vonage_standin: Any) -> None:
    """With a clock that runs, what is due is done and told without anybody's hand."""
    standin = make_vonage_standin(clock=Clock(running=True))
    stopping = threading.Event()
    with FaultyServer() as service:

        def seen(exchange: Any) -> bool:
            stopping.set()
            return reply(200)(exchange)

        service.on("/a", seen)
        session = standin.world.create_session(routed=True)
        standin.connect_to(session.session_id)
        standin.callbacks.register(archive_url=service.url("/a"))
        assert call(standin, "POST", "{p}/archive", {"sessionId": session.session_id}).status == 200
        worker = threading.Thread(target=keep_going, args=(standin, stopping))
        worker.start()
        worker.join(timeout=10)
        assert not worker.is_alive()
        assert service.count("/a") == 1


def test_clock_stops_at_every_action_on_the_way() -> None:
    clock = Clock(1000.0)
    seen: list[tuple[str, float]] = []

    def note(name: str) -> None:
        seen.append((name, clock.now()))
        if name == "a":
            clock.after(1, lambda: note("c"))

    clock.after(10, lambda: note("b"))
    clock.after(5, lambda: note("a"))
    clock.after(20.5, lambda: note("late"))
    clock.advance(20)
    assert seen == [("a", 1005.0), ("c", 1006.0), ("b", 1010.0)]
    assert clock.now() == 1020.0
