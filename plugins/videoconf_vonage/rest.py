"""Vonage's REST API on the guarded client: signed for each attempt, with ids checked before they become part of a path.

Vonage's SDK does none of this: it waits without a limit, puts ids into paths as they are, hides what was answered, and
lacks the list of connections and the storage target.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from videoconf.errors import ProviderBadResponse, ProviderResourceNotFound
from videoconf.providers import Answer, GuardedClient
from videoconf_vonage.tokens import Credentials

SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
CONNECTION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
STREAM_ID = CONNECTION_ID
ARCHIVE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
ARCHIVES_PER_PAGE = 100
MOST_ARCHIVES = 1000

Found = dict[str, Any]
"""A JSON object."""


class VonageRest:
    """One account's calls. Thread-safe. Every error is one of :mod:`videoconf.errors`.

    An id that cannot be one of Vonage's is as unknown there as any other that it does not know, and is not sent.
    """

    def __init__(self, credentials: Credentials, base_url: str, http: GuardedClient) -> None:
        self._credentials = credentials
        self._base_url = base_url.rstrip("/")
        self._http = http

    def create_session(self, form: Mapping[str, str]) -> str:
        """Make a session and return its id. Not idempotent: sent once at most."""
        answer = self._call("POST", "/session/create", "session.create", idempotent=False, form=form)
        sessions = answer.json()
        session = sessions[0] if isinstance(sessions, list) and len(sessions) == 1 else None
        session_id = session.get("session_id") if isinstance(session, dict) else None
        if not isinstance(session_id, str) or not SESSION_ID.fullmatch(session_id):
            raise _unusable(answer)
        return session_id

    def list_connections(self, session_id: str) -> tuple[list[Found], int]:
        """Return who is connected, and how many there are by Vonage's count."""
        return self._list(f"{self._session(session_id)}/connection", "connection.list")

    def disconnect(self, session_id: str, connection_id: str) -> None:
        path = f"{self._session(session_id)}/connection/{_checked(connection_id, CONNECTION_ID)}"
        self._call("DELETE", path, "connection.delete")

    def mute_session(self, session_id: str) -> None:
        """Mute all current streams. Vonage also mutes later ones, until the mute is lifted."""
        for active in (True, False):
            how = {"active": active, "excludedStreamIds": list[str]()}
            self._call("POST", f"{self._session(session_id)}/mute", "session.mute", json=how)

    def list_streams(self, session_id: str) -> tuple[list[Found], int]:
        """Return the streams of a session, and how many there are by Vonage's count. Whose one is, it does not say."""
        return self._list(f"{self._session(session_id)}/stream", "stream.list")

    def mute_stream(self, session_id: str, stream_id: str) -> None:
        path = f"{self._session(session_id)}/stream/{_checked(stream_id, STREAM_ID)}/mute"
        self._call("POST", path, "stream.mute")

    def start_archive(self, body: Mapping[str, Any]) -> Found:
        """Start recording. Not idempotent: sent once at most."""
        return self._object("POST", self._project("/archive"), "archive.start", idempotent=False, json=dict(body))

    def stop_archive(self, archive_id: str) -> Found:
        return self._object("POST", f"{self._archive(archive_id)}/stop", "archive.stop")

    def get_archive(self, archive_id: str) -> Found:
        return self._object("GET", self._archive(archive_id), "archive.get")

    def list_archives(self, session_id: str) -> list[Found]:
        """Return a session's archives, newest first, a thousand at most."""
        _checked(session_id, SESSION_ID)
        found: list[Found] = []
        while len(found) < MOST_ARCHIVES:
            query = urlencode({"offset": len(found), "count": ARCHIVES_PER_PAGE, "sessionId": session_id})
            # What ``count`` counts, the page or all, differs: the end is a page that is not full.
            page, _ = self._list(self._project(f"/archive?{query}"), "archive.list")
            found += page
            if len(page) < ARCHIVES_PER_PAGE:
                break
        return found

    def delete_archive(self, archive_id: str) -> None:
        self._call("DELETE", self._archive(archive_id), "archive.delete")

    def set_storage(self, body: Mapping[str, Any]) -> None:
        """Set where archives go. The answer repeats the credentials, and is not read."""
        self._call("PUT", self._project("/archive/storage"), "storage.set", json=dict(body))

    def clear_storage(self) -> None:
        self._call("DELETE", self._project("/archive/storage"), "storage.clear", accept=(404,))

    def probe(self, accept: Container[int] = ()) -> Answer:
        """Ask for one archive: the cheapest request that needs the credentials."""
        return self._call("GET", self._project("/archive?count=1"), "probe", accept=accept)

    # --- within ---------------------------------------------------------------------------------------------------

    def _project(self, path: str) -> str:
        return f"/v2/project/{self._credentials.account}{path}"

    def _session(self, session_id: str) -> str:
        return self._project(f"/session/{_checked(session_id, SESSION_ID)}")

    def _archive(self, archive_id: str) -> str:
        return self._project(f"/archive/{_checked(archive_id, ARCHIVE_ID)}")

    def _call(self, method: str, path: str, operation: str, *, idempotent: bool = True, **how: Any) -> Answer:
        return self._http.request(
            method,
            self._base_url + path,
            operation=operation,
            idempotent=idempotent,
            headers=self._credentials.headers,
            **how,
        )

    def _object(self, method: str, path: str, operation: str, **how: Any) -> Found:
        answer = self._call(method, path, operation, **how)
        found = answer.json()
        if not isinstance(found, dict):
            raise _unusable(answer)
        return found

    def _list(self, path: str, operation: str) -> tuple[list[Found], int]:
        answer = self._call("GET", path, operation)
        found = answer.json()
        items = found.get("items") if isinstance(found, dict) else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise _unusable(answer)
        count = found.get("count")
        return items, count if isinstance(count, int) else len(items)


def _checked(text: str, form: re.Pattern[str]) -> str:
    if not form.fullmatch(text):
        raise ProviderResourceNotFound("Vonage has no such id.")
    return text


def _unusable(answer: Answer) -> ProviderBadResponse:
    return ProviderBadResponse("Vonage's answer has an unexpected shape.", provider_status=answer.status)


def seconds_ahead(date: str | None, now: datetime) -> float | None:
    """Return how far our clock is ahead of an answer's; None if the answer does not tell."""
    try:
        return (now - parsedate_to_datetime(date or "")).total_seconds()
    except (ValueError, TypeError, OverflowError):  # a year of twenty digits
        return None
