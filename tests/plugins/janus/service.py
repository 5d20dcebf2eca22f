"""A whole service in front of a Janus: gunicorn, a database, jobs, and real events."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.plugins.janus.server import JanusServer
from tests.support.servers import start_gunicorn
from tests.support.service import Caller, over_http
from tests.support.settings import JWT_SECRET

ROOT = Path(__file__).parents[3]
WITHIN_SECONDS = 2.0
"""How soon the service shows what participants did."""


@contextmanager
def service_with(
    janus: JanusServer, folder: Path, database: Path, headers: Callable[..., Any], **environment: str
) -> Iterator[Caller]:
    """Start a service and the Janus that sends its events there; give a caller with every permission.

    :param database: a migrated SQLite database, which is copied.
    :param environment: variables on top of those that the service needs.
    """
    variables: Mapping[str, str] = {
        **janus.environment(),
        "VIDEOCONF_PROVIDERS": "janus",
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
        janus.send_events_to(server.url)
        janus.start()
        with over_http(server.url) as send:
            yield Caller(send, headers())
    finally:
        janus.close()
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
