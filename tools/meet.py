"""``make meet``: a real meeting on this machine, with camera and microphone, by Janus and ``videoconf dev``.

Everything that it writes is in the folder ``instance``: Janus's configuration and its secrets in ``instance/janus``,
and the service's database. Media take any network interface but the loopback, which Janus never uses.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONFIGURE = ROOT / "deploy/janus/configure.sh"
ADMIN_OFFSET, WEBSOCKET_OFFSET = 2, 3
"""Ports of Janus on the loopback, from that of the service on."""
RTP_PORTS = "20000-20200"
START_SECONDS = 10.0
SECRETS = ("ADMIN_SECRET", "ADMIN_KEY", "TOKEN_SECRET", "ROOM_KEY", "EVENT_PASSWORDS")
MISSING = """Janus is not installed, and a real meeting needs it.

  Debian and Ubuntu   apt-get install --no-install-recommends janus
                      systemctl disable --now janus     (it starts by itself, with a configuration open to everyone)
  elsewhere           https://janus.conf.meetecho.com/docs/README.html

`make run` shows a simulated meeting without it.
"""


class Janus:
    """A Janus of the service's own, with a configuration in a folder that keeps its secrets and rooms.

    :param port: of the service; Janus's follow it.
    :param interface: the network interface for media; None: all but the loopback.
    """

    def __init__(self, folder: Path, port: int, interface: str | None = None) -> None:
        self._folder = folder
        self._interface = interface
        self._ports = {"admin_port = 7088": port + ADMIN_OFFSET, "ws_port = 8188": port + WEBSOCKET_OFFSET}
        self._admin_url = f"http://127.0.0.1:{port + ADMIN_OFFSET}/admin"
        self._process: subprocess.Popen[bytes] | None = None
        self._service_url = f"http://127.0.0.1:{port}"
        self.settings: Mapping[str, str] = {
            "VIDEOCONF_PROVIDERS": "janus",
            "VIDEOCONF_JANUS_SERVER_NAME": "janus-meet",
            "VIDEOCONF_JANUS_ADMIN_URL": self._admin_url,
            "VIDEOCONF_JANUS_WEBSOCKET_URL": f"ws://127.0.0.1:{port + WEBSOCKET_OFFSET}/",
            "VIDEOCONF_ROSTER_SECONDS": "5",
            **{f"VIDEOCONF_JANUS_{name}": self._secret(name) for name in SECRETS},
        }

    def _secret(self, name: str) -> str:
        """Return a secret, which is made once."""
        path = self._folder / "secrets" / name.lower()
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(secrets.token_urlsafe(32))
            path.chmod(0o600)
        return path.read_text()

    def start(self) -> None:
        """Write the configuration, start Janus and wait until it answers."""
        folder = self._folder / "etc"
        environment = {
            "PATH": os.environ["PATH"],
            "VIDEOCONF_PUBLIC_URL": self._service_url,
            "JANUS_RTP_PORTS": RTP_PORTS,
            **self.settings,
        }
        subprocess.run([CONFIGURE, folder], env=environment, check=True)
        replaced = {old: f"{old.split(' = ')[0]} = {port}" for old, port in self._ports.items()}
        if self._interface is not None:
            replaced['# ice_enforce_list = "eth0"'] = f'ice_enforce_list = "{self._interface}"'
        for path in folder.glob("*.jcfg"):
            text = path.read_text()
            for old, new in replaced.items():
                text = text.replace(old, new)
            path.write_text(text)
        log_path = self._folder / "janus.log"
        with log_path.open("wb") as log:
            # Not in this process group: Ctrl-C stops the service first, which still asks Janus for something.
            command = ["janus", "--disable-colors", f"--configs-folder={folder}"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SystemExit(f"Janus does not start. Its log is {log_path}. Is a port taken? Try PORT=9000.")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._admin_url}/info", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)


def check_installed() -> None:
    if shutil.which("janus") is None:
        raise SystemExit(MISSING)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--interface", help="network interface for media; default: all but the loopback")
    arguments = parser.parse_args()
    check_installed()
    os.umask(0o077)
    janus = Janus(Path("instance/janus").absolute(), arguments.port, arguments.interface)
    janus.start()
    command = [Path(sys.executable).with_name("videoconf"), "dev", "--port", str(arguments.port)]
    try:
        with subprocess.Popen(command, env={**os.environ, **janus.settings}) as service:
            while True:
                try:
                    return service.wait()
                except KeyboardInterrupt:  # the service has received it, too, and stops
                    continue
    finally:
        janus.stop()


if __name__ == "__main__":
    sys.exit(main())
