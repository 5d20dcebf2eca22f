"""A real LiveKit server in its development mode, with real participants and a receiver of its webhooks.

``LIVEKIT_SERVER`` names the server's binary; participants need ``pip install livekit``. Without either the tests that
use this are left out, and say so.
"""

import asyncio
import json
import os
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3

API_KEY, API_SECRET = "APIrealserver", "livekit-real-server-secret-0123456789abcdef"
START_SECONDS = 20
JOIN_SECONDS = 20
EVENT_SECONDS = 15


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


MISSING = "LIVEKIT_SERVER names no livekit-server; the tests at a real server are left out"
needs_livekit_server = pytest.mark.skipif(not os.environ.get("LIVEKIT_SERVER"), reason=MISSING)


def needs_a_real_server():
    """Leave a test out that lacks a server, or a client for it."""
    if not os.environ.get("LIVEKIT_SERVER"):
        pytest.skip(MISSING)
    pytest.importorskip("livekit.rtc", reason="participants at a real server need `pip install livekit`")


class Receiver:
    """Takes webhooks over HTTP and keeps them as they came."""

    def __init__(self):
        received = self.received = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def wait_for(self, event, room=None, **members):
        """Return the first webhook of an event, about a room of this name, whose participant has these members."""
        return self._find(lambda said: _is_about(said, event, room, members), event)

    def wait_for_track(self, sid):
        """Wait until the server has published a track: it lists none before media come."""
        self._find(lambda said: said["event"] == "track_published" and said["track"]["sid"] == sid, "track_published")

    def _find(self, is_wanted, event):
        until = time.monotonic() + EVENT_SECONDS
        while time.monotonic() < until:
            for headers, body in list(self.received):
                if is_wanted(json.loads(body)):
                    return headers, body
            time.sleep(0.05)
        raise AssertionError(f"no {event} came: {[json.loads(body)['event'] for _, body in self.received]}")

    def close(self):
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _is_about(said, event, room, members):
    named = room in (None, said.get("room", {}).get("name"))
    return said["event"] == event and named and members.items() <= said.get("participant", {}).items()


class People:
    """Participants, by LiveKit's client in a thread of its own."""

    def __init__(self, url, receiver):
        self._url = url
        self._receiver = receiver
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.rooms = {}
        """By connection id."""

    @property
    def refusal(self):
        """What joining raises where the server refuses it."""
        from livekit import rtc

        return rtc.ConnectError

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(JOIN_SECONDS)

    def join(self, token):
        """Join and return the connection's id."""

        async def connect():
            from livekit import rtc

            room = rtc.Room()
            await room.connect(self._url, token)
            return room

        room = self._run(connect())
        self.rooms[room.local_participant.sid] = room
        return room.local_participant.sid

    def publish(self, sid):
        """Send video frames; return the track's id."""

        async def publish():
            from livekit import rtc

            source = rtc.VideoSource(64, 64)
            track = rtc.LocalVideoTrack.create_video_track("camera", source)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
            publication = await self.rooms[sid].local_participant.publish_track(track, options)
            source.capture_frame(rtc.VideoFrame(64, 64, rtc.VideoBufferType.RGBA, bytes(64 * 64 * 4)))
            return publication.sid

        track_sid = self._run(publish())
        self._receiver.wait_for_track(track_sid)
        return track_sid

    def leave(self, sid):
        self._run(self.rooms.pop(sid).disconnect())

    def close(self):
        for sid in list(self.rooms):
            self.leave(sid)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(JOIN_SECONDS)
        self._loop.close()


class LiveKitServer:
    """One server process and its configuration, which outlives the process.

    :param room: members of ``room`` in the configuration.
    """

    provider = "livekit"
    api_key, api_secret = API_KEY, API_SECRET

    def __init__(self, folder: Path, **room):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.websocket_url = f"ws://127.0.0.1:{port}"
        self._configuration = {
            "port": port,
            "bind_addresses": ["127.0.0.1"],
            "rtc": {
                "tcp_port": free_port(),
                "udp_port": free_port(),
                "node_ip": "127.0.0.1",
                "enable_loopback_candidate": True,
                "use_external_ip": False,
                "stun_servers": ["127.0.0.1:9"],
            },
            "keys": {API_KEY: API_SECRET},
            "room": room,
            "logging": {"level": "warn"},
        }
        self._log_path = folder / "livekit.log"
        self._process = None

    def environment(self):
        """Return the service's variables for this server."""
        return {
            "VIDEOCONF_LIVEKIT_URL": self.websocket_url,
            "VIDEOCONF_LIVEKIT_API_KEY": API_KEY,
            "VIDEOCONF_LIVEKIT_API_SECRET": API_SECRET,
        }

    def send_events_to(self, service_url):
        """Set the service to which the server sends its webhooks from its next start on."""
        self._configuration["webhook"] = {"api_key": API_KEY, "urls": [f"{service_url}/webhooks/livekit/session"]}

    def start(self):
        """Start the server and wait until it answers."""
        body = json.dumps(self._configuration)  # which YAML reads too
        with self._log_path.open("ab") as log:
            command = [os.environ["LIVEKIT_SERVER"], "--dev", "--config-body", body]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                if urllib3.request("GET", self.url, retries=False, timeout=1).status == 200:
                    return
            except urllib3.exceptions.HTTPError:
                pass
            assert self._process.poll() is None, self._log_path.read_text()
            time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def stop(self):
        """End the server without a word."""
        self._process.kill()
        self._process.wait()

    def close(self):
        if self._process is not None and self._process.poll() is None:
            self.stop()


class RealServer(LiveKitServer):
    """A server with participants, and a receiver of its webhooks; a context manager."""

    def __init__(self, folder: Path, **room):
        super().__init__(folder, **room)
        self.receiver = Receiver()
        self.send_events_to(self.receiver.url)
        self.people = None

    def __enter__(self):
        self.start()
        self.people = People(self.websocket_url, self.receiver)
        return self

    def __exit__(self, *how):
        self.people.close()
        self.close()
        self.receiver.close()
