"""A whole service in front of a real media server: gunicorn, a database, jobs, and the server's own webhooks."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from tests.support.servers import start_gunicorn
from tests.support.service import Caller, over_http
from tests.support.settings import JWT_SECRET

ROOT = Path(__file__).parents[2]
WITHIN_SECONDS = 2.0
"""How soon the service shows what participants did."""


class MediaServer(Protocol):
    """A media server that a test starts: Janus, or LiveKit."""

    provider: str
    """The key of its provider."""

    def environment(self) -> Mapping[str, str]:
        """Return the service's variables for this server."""

    def send_events_to(self, service_url: str) -> None:
        """Set the service that gets the server's webhooks from its next start on."""

    def start(self) -> None: ...

    def close(self) -> None: ...


@contextmanager
def service_with(
    media: MediaServer, folder: Path, database: Path, headers: Callable[..., Any], **environment: str
) -> Iterator[Caller]:
    """Start a service and the media server that sends its events there; give a caller with every permission.

    :param database: a migrated SQLite database, which is copied.
    :param environment: variables on top of those that the service needs.
    """
    variables: Mapping[str, str] = {
        **media.environment(),
        "VIDEOCONF_PROVIDERS": media.provider,
        "VIDEOCONF_DATABASE_URL": f"sqlite:///{shutil.copy(database, folder / 'videoconf.sqlite')}",
        "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
        "VIDEOCONF_PUBLIC_URL": "{url}",
        "VIDEOCONF_ROSTER_SECONDS": "1",
        **environment,
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "--threads=8", "wsgi:app"]
    server = start_gunicorn(command, folder / "gunicorn.log", ROOT, variables)
    try:
        server.wait_until_up()
        media.send_events_to(server.url)
        media.start()
        with over_http(server.url) as send:
            yield Caller(send, headers())
    finally:
        media.close()
        server.close()


def present(api: Caller, link: str) -> dict[str, bool]:
    """Return who has been in a meeting, by attendee or ``""``, and who of them is there now."""
    return {one["attendee"] or "": one["active"] for one in api.attendees(link)}


def wait_for(read: Callable[[], Any], expected: Any, within_seconds: float = WITHIN_SECONDS) -> float:
    """Wait until a reading is what is expected; return the seconds that it took."""
    started = time.monotonic()
    while (found := read()) != expected:
        assert time.monotonic() - started < within_seconds, f"{found} after {within_seconds} s, not {expected}"
        time.sleep(0.02)
    return time.monotonic() - started
