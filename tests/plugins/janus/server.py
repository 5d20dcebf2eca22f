"""A Janus server for the tests: the configuration of deploy/janus, on free ports of the loopback."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from videoconf.providers import Secret
from videoconf_janus.settings import JanusSettings
from videoconf_janus.tokens import derived_key

CONFIGURATION = Path(__file__).parents[3] / "deploy/janus"
JANUS = shutil.which("janus")
needs_janus = pytest.mark.skipif(JANUS is None, reason="Janus is not installed (Debian package janus)")
SECRETS = {
    "SERVER_NAME": "janus-dev",
    "ADMIN_SECRET": "test-admin-secret-of-janus",
    "ADMIN_KEY": "test-admin-key-of-videoroom",
    "TOKEN_SECRET": "test-token-secret-of-32-characters",
    "EVENT_PASSWORD": "test-event-password",
}
ROOM_KEY = "test-room-key-of-the-service"
START_SECONDS = 10.0


def configure(folder: Path, settings: Mapping[str, str]) -> None:
    """Write the configuration as an operator does."""
    environment = {"PATH": os.environ["PATH"], **settings}
    subprocess.run([CONFIGURATION / "configure.sh", folder], env=environment, check=True)


class JanusServer:
    """One Janus process and its configuration, which outlives the process.

    :param event_url: the service to which Janus sends its events.
    :param interface: the network interface for media; None: all but the loopback.
    :param options: variables of configure.sh.
    """

    provider = "janus"

    def __init__(
        self,
        folder: Path,
        *,
        event_url: str = "http://127.0.0.1:9",
        interface: str | None = None,
        **options: str,
    ) -> None:
        self.folder = folder
        self.log_path = folder.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None
        admin_port, http_port, websocket_port = _free_ports(3)
        self.admin_url = f"http://127.0.0.1:{admin_port}/admin"
        self.client_url = f"http://127.0.0.1:{http_port}/janus"
        self.websocket_url = f"ws://127.0.0.1:{websocket_port}/"
        configure(folder, {**self.environment(), "VIDEOCONF_PUBLIC_URL": event_url, **options})
        replaced = {
            "admin_port = 7088": f"admin_port = {admin_port}",
            "ws_port = 8188": f"ws_port = {websocket_port}",
            # The tests' client without media speaks HTTP, which needs no library.
            "http = false  ": f'http = true\n\tport = {http_port}\n\tip = "127.0.0.1"  ',
        }
        if interface is not None:
            replaced['# ice_enforce_list = "eth0"'] = f'ice_enforce_list = "{interface}"'
        for old, new in replaced.items():
            [path] = [path for path in folder.iterdir() if old in path.read_text()]
            path.write_text(path.read_text().replace(old, new))

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "Janus was not started"
        return self._process

    def settings(self, **changed: Any) -> JanusSettings:
        """Return the provider's settings for this server."""
        return JanusSettings(
            **{
                "server_name": SECRETS["SERVER_NAME"],
                "admin_url": self.admin_url,
                "websocket_url": self.websocket_url,
                "admin_secret": Secret(SECRETS["ADMIN_SECRET"]),
                "admin_key": Secret(SECRETS["ADMIN_KEY"]),
                "token_secret": Secret(SECRETS["TOKEN_SECRET"]),
                "room_key": Secret(ROOM_KEY),
                "event_passwords": (Secret(SECRETS["EVENT_PASSWORD"]),),
                **changed,
            }
        )

    def send_events_to(self, service_url: str) -> None:
        """Set the service to which Janus sends its events from its next start on."""
        path = self.folder / "janus.eventhandler.sampleevh.jcfg"
        url = f"{service_url}/webhooks/janus/session"
        path.write_text(re.sub(r'backend = "[^"]+"', f'backend = "{url}"', path.read_text()))

    def environment(self) -> dict[str, str]:
        """Return the service's variables for this server."""
        return {
            "VIDEOCONF_JANUS_ADMIN_URL": self.admin_url,
            "VIDEOCONF_JANUS_WEBSOCKET_URL": self.websocket_url,
            "VIDEOCONF_JANUS_ROOM_KEY": ROOM_KEY,
            "VIDEOCONF_JANUS_EVENT_PASSWORDS": SECRETS["EVENT_PASSWORD"],
            **{
                f"VIDEOCONF_JANUS_{name}": SECRETS[name]
                for name in ("SERVER_NAME", "ADMIN_SECRET", "ADMIN_KEY", "TOKEN_SECRET")
            },
        }

    def ask(self, **request: Any) -> Any:
        """Make a request of the VideoRoom plugin by the Admin API."""
        plugin, secret = "janus.plugin.videoroom", SECRETS["ADMIN_SECRET"]
        body = {"janus": "message_plugin", "transaction": "t", "admin_secret": secret, "plugin": plugin}
        with urllib.request.urlopen(self.admin_url, json.dumps({**body, "request": request}).encode()) as answer:
            return json.load(answer)["response"]

    def list_rooms(self) -> list[str]:
        return [room["room"] for room in self.ask(request="list", admin_key=SECRETS["ADMIN_KEY"])["list"]]

    def remove_rooms(self) -> None:
        """Destroy all rooms, whoever is in them."""
        for room in self.list_rooms():
            self.ask(request="destroy", room=room, secret=derived_key(Secret(ROOM_KEY), f"room:{room}"), permanent=True)

    def start(self) -> None:
        """Start Janus and wait until it answers."""
        assert JANUS is not None
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen([JANUS, "-F", str(self.folder)], stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, self.log_path.read_text()
            assert time.monotonic() < deadline, self.log_path.read_text()
            time.sleep(0.02)

    def terminate(self) -> int:
        """Stop Janus as an operator does; return its exit code."""
        self.process.terminate()
        return self.process.wait(20)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.client_url}/info", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
