"""Janus's Admin API on the guarded client: one stateless POST for each request.

Janus answers every request with HTTP status 200 and reports errors in the body: those of its core as
``{"janus": "error", "error": {"code": …}}``, those of the VideoRoom plugin inside ``"janus": "success"``.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any

from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderConflict,
    ProviderError,
    ProviderRejected,
    ProviderResourceNotFound,
    ProviderUnavailable,
)
from videoconf.providers import Answer, GuardedClient, VendorError
from videoconf_janus.settings import JanusSettings

PLUGIN = "janus.plugin.videoroom"
LARGE_ANSWER_BYTES = 16 << 20
"""For answers that hold what participants choose: a display name may have any length."""

Found = dict[str, Any]
"""A JSON object."""

_BY_CODE: dict[int, type[ProviderError]] = {
    403: ProviderAuthFailed,  # of the core: the secret or the token
    423: ProviderRejected,  # unknown request
    426: ProviderResourceNotFound,  # room
    427: ProviderConflict,  # the room exists
    428: ProviderResourceNotFound,  # participant or stream
    429: ProviderRejected,  # missing element
    430: ProviderRejected,  # invalid element
    433: ProviderAuthFailed,  # of the plugin: admin_key
    436: ProviderConflict,  # the participant id is taken
    458: ProviderResourceNotFound,  # session
    460: ProviderUnavailable,  # the VideoRoom plugin is not loaded
}


_BY_CODE_OF_A_ROOM = _BY_CODE | {433: ProviderConflict}
"""The room has another secret, so another service has created it. Our credentials for the server are good."""


class JanusAdmin:
    """The Admin API of one Janus server. Thread-safe."""

    def __init__(self, settings: JanusSettings, http: GuardedClient) -> None:
        self._settings = settings
        self._http = http

    def ask(
        self,
        janus: str,
        operation: str,
        /,
        *,
        large: bool = False,
        expected_error: int | None = None,
        by_code: Mapping[int, type[ProviderError]] = _BY_CODE,
        **members: Any,
    ) -> Found:
        """Make a request of the Janus core and return its answer.

        :param expected_error: code of an error that is returned, not raised.
        :param by_code: which error each code stands for.
        """
        body = {
            "janus": janus,
            "transaction": secrets.token_hex(8),
            "admin_secret": self._settings.admin_secret.reveal(),
            **members,
        }
        answer = self._http.request(
            "POST",
            self._settings.admin_url,
            operation=operation,
            idempotent=True,
            json=body,
            read_error=partial(_read_error, expected=expected_error, by_code=by_code),
            answer_cap_bytes=LARGE_ANSWER_BYTES if large else None,
        )
        found: Found = answer.json()
        return found

    def ask_plugin(self, request: str, operation: str, /, *, large: bool = False, **members: Any) -> Found:
        """Make a request of the VideoRoom plugin and return its response. All that are used here are idempotent."""
        message = {"request": request, **members}
        by_code = _BY_CODE_OF_A_ROOM if "secret" in members and "admin_key" not in members else _BY_CODE
        answer = self.ask("message_plugin", operation, large=large, by_code=by_code, plugin=PLUGIN, request=message)
        return members_of(answer, "response")

    def create_room(self, room: str, secret: str) -> bool:
        """Create a room that outlives a restart; return whether Janus could store it.

        :raises ProviderConflict: a room of this name exists.
        """
        created = self.ask_plugin(
            "create",
            "session.create",
            admin_key=self._settings.admin_key.reveal(),
            room=room,
            description=room,
            secret=secret,
            is_private=True,
            signed_tokens=True,
            require_pvtid=True,
            lock_record=True,
            publishers=self._settings.max_publishers,
            permanent=True,
        )
        return created.get("permanent") is True

    def list_participants(self, room: str) -> list[Found]:
        """Return those who joined a room, each with a string ``id``."""
        found = self.ask_plugin("listparticipants", "roster.list", large=True, room=room)
        people = found.get("participants")
        if not isinstance(people, list) or not all(
            isinstance(one, dict) and isinstance(one.get("id"), str) for one in people
        ):
            raise ProviderBadResponse("Janus did not return a list of participants.")
        return people


def members_of(answer: Found, name: str) -> Found:
    """Return an object inside an answer."""
    found = answer.get(name)
    if not isinstance(found, dict):
        raise ProviderBadResponse(f"Janus's answer has no {name}.")
    return found


def _read_error(answer: Answer, expected: int | None, by_code: Mapping[int, type[ProviderError]]) -> VendorError | None:
    """Read an error from an answer with a good status; for any other status the usual rules hold."""
    if answer.status >= 300:
        return None
    match answer.json():
        case {"janus": "error", "error": {"code": int(code), "reason": str(message)}}:
            pass
        case {"janus": "success", "response": {"error_code": int(code), "error": str(message)}}:
            pass
        case {"janus": "success" | "server_info"}:
            return None
        case _:
            return VendorError(ProviderBadResponse)
    if code == expected:
        return None
    return VendorError(by_code.get(code, ProviderBadResponse), str(code), message)
