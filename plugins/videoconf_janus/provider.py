"""The Janus provider: what the core asks for, in terms of Janus's VideoRoom plugin."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from videoconf.errors import (
    ProviderAuthFailed,
    ProviderConflict,
    ProviderRejected,
    ProviderResourceNotFound,
)
from videoconf.providers import (
    BrowserClient,
    Capabilities,
    Capability,
    HasRoster,
    JoinToken,
    Moderation,
    Provider,
    ProviderContext,
    ProviderEvent,
    Role,
    Roster,
    RosterConnection,
    SessionRef,
    SessionRequest,
    TokenRequest,
    WebhookAuthentication,
    WebhookRequest,
    source_of,
)
from videoconf_janus import tokens, webhooks
from videoconf_janus.admin import Found, JanusAdmin, members_of
from videoconf_janus.settings import PREFIX, JanusSettings

logger = logging.getLogger(__name__)

BROWSER_MODULE = Path(__file__).with_name("browser.js")
STORED_TOKENS_OFF = 490
"""Janus's answer to a request for stored tokens where its tokens are signed."""
LONGEST_DISPLAY_NAME = 10_000
"""Characters. Every participant receives the display names of all others, and so does every reading of the roster."""
LONGEST_PARTICIPANT_ID = 200
MOST_STREAMS = 64
CAPABILITIES = Capabilities(
    features=frozenset({Capability.ROSTER, Capability.MODERATION, Capability.ATTENDEE_NAMES}),
    roles=frozenset({Role.PUBLISHER}),
    idempotent_create=True,
    webhook_authentication=WebhookAuthentication.SHARED_SECRET,
    webhook_success_status=200,
    retry_horizon=timedelta(hours=1),
    repeats_refused_webhooks=False,
)


class PartlyMuted(ProviderConflict):
    """Streams were muted, and a participant may send others."""

    outcome_unknown = True  # so that the audit trail has an entry


class JanusProvider(Provider, HasRoster, Moderation):
    """Rooms of the VideoRoom plugin of one Janus server. A room's name is the meeting's id."""

    key = "janus"
    label = "Janus"
    Settings = JanusSettings

    def __init__(self, settings: JanusSettings, context: ProviderContext) -> None:
        super().__init__(settings, context)
        self._http = context.http(self.account)
        self._admin = JanusAdmin(settings, self._http)
        self._identity_key = tokens.derived_key(settings.room_key, "identity")

    @property
    def account(self) -> str:
        return str(self.settings.server_name)

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    @property
    def browser_client(self) -> BrowserClient:
        return BrowserClient(BROWSER_MODULE, connect=(source_of(self.settings.websocket_url),))

    # --- sessions and tokens ----------------------------------------------------------------------------------------

    def ensure_session(self, request: SessionRequest) -> SessionRef:
        """Create the meeting's room, or find it again.

        :raises ProviderConflict: there is a room of this name that another service has created.
        """
        room, secret = request.meeting_id, self._room_secret(request.meeting_id)
        try:
            if not self._admin.create_room(room, secret):
                logger.warning(
                    "Janus cannot store the room %s, so a restart of Janus loses it: make the folder of its"
                    " configuration writable",
                    room,
                )
        except ProviderConflict:
            self._admin.ask_plugin("edit", "session.find", room=room, secret=secret)  # changes nothing
        return SessionRef(self.account, room)

    def end_session(self, session: SessionRef, connections: Sequence[str]) -> None:
        """Destroy the room, which disconnects all participants."""
        with suppress(ProviderResourceNotFound):
            self._ask_room(session, "destroy", "session.end", permanent=True)

    def issue_token(self, session: SessionRef, request: TokenRequest) -> JoinToken:
        """Sign a session token, a room token and a statement of identity, joined by ``~``. Makes no call."""
        if request.role not in CAPABILITIES.roles:
            raise ProviderRejected(f"Janus cannot enforce the role {request.role}.")
        room, secret = self._own(session), self.settings.token_secret
        expires_at = int(request.expires_at.timestamp())
        leaves_by = expires_at + int(tokens.SESSION_LIFE.total_seconds())
        id_prefix = tokens.new_id_prefix()
        parts = (
            tokens.session_token(room, leaves_by, secret),
            tokens.room_token(room, expires_at - 1, secret),  # Janus accepts it until that second is over
            tokens.sign_identity(id_prefix, room, request, leaves_by, self._identity_key),
        )
        connect: dict[str, Any] = {
            "url": self.settings.websocket_url,
            "room": room,
            "idPrefix": id_prefix,
            "iceServers": self._ice_servers(leaves_by, id_prefix),
        }
        if request.name is not None:
            connect["display"] = request.name
        return JoinToken("~".join(parts), datetime.fromtimestamp(expires_at, UTC), connect)

    def _ice_servers(self, expires_at: int, user: str) -> list[dict[str, Any]]:
        if not self.settings.turn_urls:
            return []
        username = f"{expires_at}:{user}"
        credential = tokens.turn_password(username, self.settings.turn_secret)
        return [{"urls": list(self.settings.turn_urls), "username": username, "credential": credential}]

    # --- webhooks ---------------------------------------------------------------------------------------------------

    def verify_webhook(self, request: WebhookRequest) -> None:
        webhooks.verify(request, self.settings.event_user, self.settings.event_passwords)

    def parse_webhook(self, request: WebhookRequest) -> list[ProviderEvent]:
        return webhooks.parse(request, self.account, self._identity_key)

    # --- participants -----------------------------------------------------------------------------------------------

    def list_connections(self, session: SessionRef) -> Roster:
        """List who has joined. Janus knows display names but not attendees; events have said who they are.

        Janus limits neither the ids nor the names that clients choose. Removes participants whose id cannot be stored,
        or whose name is so long that a few of them would make the list unreadable.
        """
        people = self._participants(session)
        for person in people:
            if not _is_storable(person["id"]) or len(str(person.get("display", ""))) > LONGEST_DISPLAY_NAME:
                logger.warning("removing a participant of room %s with an invalid id or name", session.session_id)
                self._kick(session, person["id"])
        return Roster([RosterConnection(one["id"]) for one in people if _is_storable(one["id"])], complete=True)

    def hides_attendee(self, connection_id: str) -> bool:
        """Janus lets clients choose their ids and leave out the statement that says whose token they use."""
        return not webhooks.is_proven(connection_id)

    def disconnect(self, session: SessionRef, connection_id: str) -> None:
        for participant in webhooks.participants_of(connection_id):
            if self._kick(session, participant):
                return

    def mute(self, session: SessionRef, connection_id: str | None, streams: Mapping[str, Sequence[str]]) -> None:
        """Mute the streams that events have reported, and those that are numbered from 0, as browsers do.

        :raises ProviderConflict: a participant sends, and Janus knows its streams under other names;
            :class:`PartlyMuted` where other streams were muted.
        """
        people = {person["id"]: person for person in self._participants(session)}
        if connection_id is not None:
            found = next((one for one in webhooks.participants_of(connection_id) if one in people), None)
            people = {} if found is None else {found: people[found]}
        reported: dict[str, list[str]] = {}
        for connection, mids in streams.items():
            for participant in webhooks.participants_of(connection):
                reported.setdefault(participant, []).extend(mids)
        counts = {one: self._mute_streams(session, one, reported.get(one, ())) for one in people}
        if any(person.get("publisher") and not counts[one] for one, person in people.items()):
            raise (PartlyMuted if any(counts.values()) else ProviderConflict)(
                "Janus has not reported yet what a participant sends. Try again in a moment."
            )

    def _mute_streams(self, session: SessionRef, participant: str, reported: Sequence[str]) -> int:
        """Mute what one participant sends; return how many streams it was."""
        count = sum(self._mute_stream(session, participant, mid) for mid in dict.fromkeys(reported))
        for mid in map(str, range(MOST_STREAMS)):
            if mid not in reported:
                if not self._mute_stream(session, participant, mid):
                    break
                count += 1
        return count

    def _mute_stream(self, session: SessionRef, participant: str, mid: str) -> bool:
        try:
            self._ask_room(session, "moderate", "stream.mute", id=participant, mid=mid, mute=True)
        except ProviderResourceNotFound:
            return False
        return True

    def _participants(self, session: SessionRef) -> list[Found]:
        try:
            return self._admin.list_participants(self._own(session))
        except ProviderResourceNotFound:
            return []

    def _kick(self, session: SessionRef, participant: str) -> bool:
        try:
            self._ask_room(session, "kick", "connection.delete", id=participant)
        except ProviderResourceNotFound:
            return False
        return True

    # --- the server -------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check the secrets, and that Janus is configured as the tokens and the rooms need it.

        :raises ProviderAuthFailed: a secret is wrong, or rooms stand open because Janus does not check signed tokens.
        """
        status = members_of(self._admin.ask("get_status", "check.status"), "status")
        stored_tokens = self._admin.ask("list_tokens", "check.tokens", expected_error=STORED_TOKENS_OFF)
        if status.get("token_auth") is not True or stored_tokens.get("janus") != "error":
            raise ProviderAuthFailed(
                "Janus does not check signed tokens: set token_auth and token_auth_secret in its configuration."
            )
        admin_key = self.settings.admin_key.reveal()
        self._admin.ask_plugin("list", "check.rooms", large=True, admin_key=admin_key)
        self._admin.ask_plugin("exists", "check.ids", room="videoconf-check")  # refused unless string_ids is set
        info = self._admin.ask("info", "check.info")
        if info.get("server-name") != self.account:
            raise ProviderAuthFailed(f"{PREFIX}SERVER_NAME is not the server_name of Janus's configuration.")
        if not info.get("event_handlers") or not info.get("events"):
            raise ProviderAuthFailed("Janus sends no events: set broadcast and enable an event handler.")

    def close(self) -> None:
        self._http.close()

    def _ask_room(self, session: SessionRef, request: str, operation: str, **members: Any) -> Found:
        room = self._own(session)
        return self._admin.ask_plugin(request, operation, room=room, secret=self._room_secret(room), **members)

    def _room_secret(self, room: str) -> str:
        return tokens.derived_key(self.settings.room_key, f"room:{room}")

    def _own(self, session: SessionRef) -> str:
        """Return a session's room; refuse another server's, whose rooms would all seem to be gone."""
        if session.account != self.account:
            raise ProviderAuthFailed("The session belongs to another Janus server than the one that is configured.")
        return session.session_id


def _is_storable(participant: str) -> bool:
    return 0 < len(participant) <= LONGEST_PARTICIPANT_ID and participant.isprintable()
