"""Run the stand-in by itself, or around a command that is to find it.

``python -m tools.vonage_standin --service http://127.0.0.1:8000 -- command …`` starts the command with the
``VIDEOCONF_VONAGE_…`` settings of the stand-in in its environment, and ends with it. Without a command it prints the
settings as a shell reads them, and runs until it is interrupted. Time goes on by itself; callbacks are sent at once.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import subprocess
import sys
import threading

from tools.vonage_standin.clock import Clock
from tools.vonage_standin.standin import VonageStandin
from tools.vonage_standin.uploads import upload

TICK_SECONDS = 0.1


def settings_of(standin: VonageStandin, signature_secret: str | None, service: str) -> dict[str, str]:
    """Return the environment variables with which videoconf uses the stand-in."""
    if standin.environment == "opentok":
        names = ("VIDEOCONF_VONAGE_API_KEY", "VIDEOCONF_VONAGE_API_SECRET")
    else:
        names = ("VIDEOCONF_VONAGE_APPLICATION_ID", "VIDEOCONF_VONAGE_PRIVATE_KEY")
    settings = {
        "VIDEOCONF_PROVIDERS": "vonage",
        "VIDEOCONF_VONAGE_API_URL": standin.url,
        names[0]: standin.account,
        names[1]: standin.secret,
        "VIDEOCONF_PUBLIC_URL": service,
    }
    if signature_secret is not None:
        settings["VIDEOCONF_VONAGE_SIGNATURE_SECRETS"] = signature_secret
    return settings


def keep_going(standin: VonageStandin, stopping: threading.Event) -> None:
    """Do what time brings, and send the callbacks that are due."""
    while not stopping.wait(TICK_SECONDS):
        standin.advance(0)
        standin.deliver()


def main(arguments: list[str]) -> int:
    """Run; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.vonage_standin", description="A stand-in for Vonage Video.")
    parser.add_argument("--environment", choices=("opentok", "unified"), default="opentok")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--service", default="http://127.0.0.1:8000", help="where videoconf will serve")
    parser.add_argument("--path", default="/webhooks/vonage/", help="of its webhooks, before the channel")
    parser.add_argument("--query", default="", help="of its webhooks: the secret of callbacks that are not signed")
    parser.add_argument("--unsigned", action="store_true", help="do not sign callbacks")
    parser.add_argument("--policy", choices=("current", "legacy"), default="current", help="of trying callbacks again")
    parser.add_argument("--processing-seconds", type=float, default=2.0, help="from stopped to available or uploaded")
    parser.add_argument("command", nargs="*", help="after --: what is to find the stand-in")
    given = parser.parse_args(arguments)

    signature_secret = None if given.unsigned else secrets.token_urlsafe(32)
    clock = Clock(running=True)
    with VonageStandin(given.environment, clock=clock, host=given.host, port=given.port) as standin:
        standin.archives.processing_seconds = given.processing_seconds
        standin.archives.upload = upload
        standin.callbacks.policy = given.policy
        urls = [f"{given.service.rstrip('/')}{given.path}{channel}{given.query}" for channel in ("session", "archive")]
        standin.callbacks.register(*urls, secret=signature_secret)
        stopping = threading.Event()
        worker = threading.Thread(target=keep_going, args=(standin, stopping), daemon=True)
        worker.start()
        settings = settings_of(standin, signature_secret, given.service)
        try:
            return _run(given.command, settings, standin)
        except KeyboardInterrupt:
            return 0
        finally:
            stopping.set()
            worker.join()


def _run(command: list[str], settings: dict[str, str], standin: VonageStandin) -> int:
    print(f"# A stand-in for Vonage Video serves at {standin.url}. {standin.url}/standin/state shows what is there.")
    print("# Its people act by HTTP. Join with the token of POST /session/{id}/token:")
    print(f'#   curl -sS {standin.url}/standin/connect -d \'{{"token": "…"}}\'')
    if command:
        sys.stdout.flush()
        return subprocess.run(command, env={**os.environ, **settings}, check=False).returncode
    for name, value in settings.items():
        print(f"export {name}={shlex.quote(value)}")
    sys.stdout.flush()
    threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
