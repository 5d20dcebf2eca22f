"""Pages that take part in meetings by a client of the tests' own."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

PAGE = Path(__file__).parent / "page"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def served_page() -> Iterator[str]:
    """Serve the page; give its URL. Browsers give a camera to pages of the loopback without TLS."""
    handler = functools.partial(_Quiet, directory=str(PAGE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


class Participant:
    """A page that takes part in a meeting.

    :param members: replace those of its request to join.
    """

    def __init__(self, page: Page, issued: Mapping[str, Any], **members: Any) -> None:
        self.page = page
        page.evaluate("issued => { window.meeting = new Meeting(issued) }", dict(issued))
        page.evaluate("members => { window.joining = meeting.join(members) }", members)

    def wait_until_it_sends(self) -> None:
        self.page.evaluate("joining")

    @property
    def id(self) -> str:
        return str(self.page.evaluate("meeting.id"))

    @property
    def state(self) -> str:
        return str(self.page.evaluate("meeting.state"))

    @property
    def log(self) -> dict[str, float]:
        """What happened, and when in Unix seconds."""
        return {what: at / 1000 for what, at in self.page.evaluate("meeting.log")}

    def frames(self) -> dict[str, int]:
        """Return how many frames of each other participant were decoded."""
        return dict(self.page.evaluate("meeting.frames()"))

    def error_of_watching(self, id: str, private_id: int) -> str:
        """Subscribe to a participant as a client that has another private id; return Janus's error."""
        script = """async ([id, privateId]) => {
            const other = Object.assign(Object.create(meeting), { privateId, feeds: new Map() });
            try { await other.subscribe(id); return ""; } catch (error) { return error.message; }
        }"""
        return str(self.page.evaluate(script, [id, private_id]))

    def close(self) -> None:
        """Close the tab."""
        self.page.close()


def described(participants: Mapping[str, Participant]) -> str:
    """Say what each page has noted, for a test that fails."""
    return json.dumps({name: one.log for name, one in participants.items() if not one.page.is_closed()}, indent=1)
