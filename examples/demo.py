"""``make demo``: one meeting from its creation to its recording, each request and answer printed in order.

It serves videoconf on a free port from a new folder, walks through the life of a meeting, fails if any answer is not
the expected one, and leaves nothing behind. ``PROVIDER`` names the provider: for each there is a driver that makes
people do what an API cannot (:data:`PROVIDERS`); the calls are the same for all.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import urllib3
from rich.console import Console

console = Console(highlight=False, soft_wrap=True)


# --- the people at a provider ---------------------------------------------------------------------------------------


class People(ABC):
    """What happens at a provider without the service's doing. Each call returns when its webhook was delivered."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url

    @abstractmethod
    def settings(self) -> Mapping[str, str]:
        """Return the provider's settings for the server."""

    @abstractmethod
    def join(self, token: str) -> str:
        """Join with a token; return the connection's id."""

    @abstractmethod
    def drop(self, connection: str) -> None:
        """Let a connection's network fail."""

    @abstractmethod
    def finish_recording(self, archive: str) -> None:
        """Let the provider make a stopped recording ready."""


class FakePeople(People):
    """Those of the fake provider act by ``flask videoconf fake``, in a process of their own."""

    def settings(self) -> Mapping[str, str]:
        return self._settings

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, url)
        self._settings = {
            "VIDEOCONF_FAKE_STATE": str(folder / "fake.sqlite"),
            "VIDEOCONF_FAKE_WEBHOOK_URL": url,
            "VIDEOCONF_FAKE_TOKEN_SECRET": secrets.token_urlsafe(48),
            "VIDEOCONF_FAKE_WEBHOOK_SECRETS": "whsec_" + b64encode(secrets.token_bytes(32)).decode(),
        }

    def join(self, token: str) -> str:
        return str(self._act("join", token)["connection"])

    def drop(self, connection: str) -> None:
        self._act("drop", connection)

    def finish_recording(self, archive: str) -> None:
        self._act("archive", archive, "available")

    def _act(self, *args: str) -> dict[str, Any]:
        command = ("videoconf", "fake", *args)
        console.print(f"\n[magenta]$ flask {shortened(shlex.join(command))}[/]")
        report = json.loads(flask(self.folder, *command, "--json"))
        if report["waiting"]:
            raise SystemExit(f"A webhook was not taken: {report['problem']}")
        console.print(f"  [dim]{report.get('said', '')} Webhooks delivered: {report['delivered']}.[/]")
        return dict(report)


class VonagePeople(People):
    """Those of Vonage act at a stand-in for it: no account is needed, and everything is checked as Vonage does."""

    environment: Literal["opentok", "unified"] = "opentok"

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, url)
        sys.path.insert(0, str(Path(__file__).parents[1]))
        from tools.vonage_standin import Clock, VonageStandin

        self._secret = secrets.token_urlsafe(32)
        # Its threads end with this process.
        self._standin = VonageStandin(self.environment, clock=Clock(running=True)).__enter__()
        self._standin.callbacks.register(
            f"{url}/webhooks/vonage/session", f"{url}/webhooks/vonage/archive", secret=self._secret
        )

    def settings(self) -> Mapping[str, str]:
        return {
            **self._credentials(),
            "VIDEOCONF_VONAGE_API_URL": self._standin.url,
            "VIDEOCONF_VONAGE_SIGNATURE_SECRETS": self._secret,
        }

    def _credentials(self) -> Mapping[str, str]:
        return {
            "VIDEOCONF_VONAGE_API_KEY": self._standin.account,
            "VIDEOCONF_VONAGE_API_SECRET": self._standin.secret,
        }

    def join(self, token: str) -> str:
        connection = self._standin.connect(token)
        self._standin.publish(connection)
        self._tell(f"Connection {connection.connection_id} joined and publishes.")
        return str(connection.connection_id)

    def drop(self, connection: str) -> None:
        self._standin.disconnect(connection, "networkDisconnected")
        self._tell(f"Connection {connection} was lost.")

    def finish_recording(self, archive: str) -> None:
        self._standin.finish_archive(archive)
        self._tell(f"Archive {archive} is available.")

    def _tell(self, said: str) -> None:
        delivered = self._standin.deliver()
        if any(one.state != "delivered" for one in delivered):
            raise SystemExit(f"A callback was not taken: {[one.statuses for one in delivered]}")
        console.print(
            f"\n[magenta]At the stand-in for Vonage[/]\n  [dim]{said} Callbacks delivered: {len(delivered)}.[/]"
        )


class UnifiedVonagePeople(VonagePeople):
    """The same in Vonage's unified environment."""

    environment = "unified"

    def _credentials(self) -> Mapping[str, str]:
        return {
            "VIDEOCONF_VONAGE_APPLICATION_ID": self._standin.account,
            "VIDEOCONF_VONAGE_PRIVATE_KEY": self._standin.secret,
        }


PROVIDERS: dict[str, list[type[People]]] = {"fake": [FakePeople], "vonage": [VonagePeople, UnifiedVonagePeople]}


# --- the service ----------------------------------------------------------------------------------------------------


@contextmanager
def service(provider: str, drivers: type[People]) -> Iterator[tuple[str, People]]:
    """Serve from a new folder on a free port; give the URL and the people."""
    with tempfile.TemporaryDirectory(prefix="videoconf-demo-") as name, socket.socket() as listener:
        folder = Path(name)
        listener.bind(("127.0.0.1", int(os.environ.get("PORT", "0"))))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        people = drivers(folder, url)
        for variable in [one for one in os.environ if one.startswith("VIDEOCONF_")]:
            del os.environ[variable]
        os.environ |= {
            "VIDEOCONF_DEVELOPMENT": "true",
            "VIDEOCONF_PROVIDERS": provider,
            "VIDEOCONF_DATABASE_URL": f"sqlite:///{folder / 'videoconf.sqlite'}",
            "VIDEOCONF_JWT_SECRETS": secrets.token_urlsafe(48),
            "VIDEOCONF_PUBLIC_URL": url,
            "VIDEOCONF_LOG_LEVEL": "WARNING",  # a line for each request would stand between what is shown
            **people.settings(),
        }
        flask(folder, "db", "upgrade")
        gunicorn = (sys.executable, "-m", "gunicorn", f"--bind=fd://{listener.fileno()}", "--no-control-socket")
        serving = ("--worker-class=gthread", "--threads=8", "--log-level=warning", "videoconf.app:create_app()")
        server = subprocess.Popen([*gunicorn, *serving], cwd=folder, pass_fds=[listener.fileno()])
        try:
            wait_until_ready(server, url)
            yield url, people
        finally:
            server.terminate()
            server.wait(30)


def wait_until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise SystemExit("The server ended; what it said stands above.")
        try:
            if urllib3.request("GET", f"{url}/readyz", retries=False, timeout=5).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.05)
    raise SystemExit("The server does not become ready.")


def flask(folder: Path, *args: str) -> str:
    command = [sys.executable, "-m", "flask", "--app", "videoconf.app", *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stderr or done.stdout}")
    return done.stdout.strip()


class Api:
    """Makes requests and prints them with their answers."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    def __call__(self, status: int, method: str, path: str, body: Any = None, accept: str | None = None) -> Any:
        console.print(f"\n[bold cyan]{method}[/] [bold]{path}[/]{f'   Accept: {accept}' if accept else ''}")
        headers = {**self._headers, **({"Accept": accept} if accept else {})}
        if body is not None:
            show(body)
        answer = urllib3.request(method, self._url + path, headers=headers, json=body, retries=False, timeout=30)
        console.print(f"[{'green' if answer.status < 400 else 'yellow'}]{answer.status} {answer.reason}[/]")
        text = answer.data.decode()
        said = json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text
        if text:
            show(said)
        if answer.status != status:
            raise SystemExit(f"{method} {path} answered {answer.status}, not {status}.")
        return said


def show(value: Any) -> None:
    """Print JSON without what is null, since it says nothing here; texts as they are."""
    text = value if isinstance(value, str) else json.dumps(without_nulls(value), indent=2, ensure_ascii=False)
    for line in shortened(text).strip().splitlines():
        console.print(f"  {line}", style="dim", markup=False)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def shortened(text: str) -> str:
    """Shorten tokens for display."""
    return re.sub(r"\b(eyJ[\w-]{8})[\w.=-]{40,}", r"\1…", text)


def heading(text: str) -> None:
    console.print()
    console.rule(f"[bold]{text}", align="left")


# --- one meeting ----------------------------------------------------------------------------------------------------


def main() -> None:
    provider = os.environ.get("PROVIDER", "fake")
    if provider not in PROVIDERS:
        raise SystemExit(f"PROVIDER is one of: {', '.join(PROVIDERS)}.")
    for drivers in PROVIDERS[provider]:
        with service(provider, drivers) as (url, people):
            token = flask(people.folder, "videoconf", "token", "--all", "--subject", "demo")
            console.print(f"videoconf serves at {url} with the provider {provider}. {drivers.__doc__}")
            walk(Api(url, token), people)
    console.print("\n[green]Every answer was the expected one.[/]")


def walk(api: Api, people: People) -> None:
    heading("A meeting is created, and two people get tokens")
    link = api(200, "POST", "/session", {"extId": "lesson-7"})
    ada, ben = (
        api(200, "POST", f"/session/{link}/token", {"attendee": who, "name": name, "role": role})["token"]
        for who, name, role in (("u-1", "Ada", "moderator"), ("u-2", "Ben", "publisher"))
    )

    heading("They join; the provider's webhooks tell of it")
    people.join(ada)
    connection = people.join(ben)
    api(200, "GET", f"/session/{link}/attendees")

    heading("A recording begins; Ben's network fails, and he comes back")
    archive = api(201, "POST", f"/session/{link}/archives", {"name": "Lesson 7"})["id"]
    people.drop(connection)
    api(200, "GET", f"/session/{link}/attendees?active=false")
    people.join(ben)
    there = api(200, "GET", f"/session/{link}/attendees?active=true")
    if [len(one["connections"]) for one in there] != [1, 2]:
        raise SystemExit("Ben is one attendee with two connections.")

    heading("The recording is stopped and becomes available")
    api(200, "POST", f"/archives/{archive}/stop")
    people.finish_recording(archive)
    if api(200, "GET", f"/archives/{archive}")["status"] != "available":
        raise SystemExit("The recording is not available.")

    heading("The meeting ends, for everybody")
    api(204, "PATCH", f"/session/{link}/end")
    api(409, "POST", f"/session/{link}/token", {"attendee": "u-3"})
    if any(one["active"] for one in api(200, "GET", f"/session/{link}/attendees")):
        raise SystemExit("An attendee is still connected.")

    heading("What stays: who attended, what was recorded, who did what")
    api(200, "GET", f"/session/{link}/attendance", accept="text/csv")
    api(200, "GET", f"/archives?meetingLink={link}")
    api(200, "GET", f"/audit?meetingLink={link}")


if __name__ == "__main__":
    main()
