"""The LiveKit provider: what the core asks for, in terms of LiveKit's rooms, participants and egresses."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from marshmallow import RAISE, Schema, fields, validate

from videoconf.errors import (
    ConfigurationError,
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderError,
    ProviderResourceNotFound,
    WebhookRejected,
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
    Roster,
    SessionRef,
    SessionRequest,
    TokenRequest,
    WebhookRequest,
)
from videoconf_livekit import webhooks
from videoconf_livekit.identity import new_identity
from videoconf_livekit.participants import find_connection, find_person, tracks_to_mute
from videoconf_livekit.settings import LEAST_SECRET_CHARACTERS, PREFIX, LiveKitSettings
from videoconf_livekit.tokens import Signer
from videoconf_livekit.twirp import Twirp, unavailable_means

logger = logging.getLogger(__name__)

MAX_TOKEN_TTL = timedelta(hours=24)
RETRY_HORIZON = timedelta(seconds=30)
MAX_DATA_CHARACTERS = 1000
MUTES_AT_ONCE = 6
BROWSER_MODULE = Path(__file__).with_name("browser.js")
NO_ROOM = "videoconf-check"
"""A room that does not exist, for a request that has to find nothing."""


class Options(Schema):
    """What ``providerOptions`` may hold."""

    class Meta:
        unknown = RAISE

    maxParticipants = fields.Integer(strict=True, validate=validate.Range(min=1, max=2**31 - 1))
    """Largest number of participants in the room at once."""
    emptyTimeoutSeconds = fields.Integer(strict=True, validate=validate.Range(min=1, max=86_400))
    """How long a room stays open before its first participant."""
    departureTimeoutSeconds = fields.Integer(strict=True, validate=validate.Range(min=1, max=86_400))
    """How long a room stays open after its last participant has left."""


ROOM_FIELDS = {
    "maxParticipants": ("max_participants", "maxParticipants"),
    "emptyTimeoutSeconds": ("empty_timeout", "emptyTimeout"),
    "departureTimeoutSeconds": ("departure_timeout", "departureTimeout"),
}
"""By our option: LiveKit's field of a room in requests, and in the ``roomConfig`` of tokens."""


class PartlyMuted(ProviderError):
    """Some tracks were muted, and then LiveKit failed."""

    outcome_unknown = True  # so that the audit trail reports the mute


class LiveKitProvider(Provider, HasRoster, Moderation):
    """LiveKit without recording; :class:`~videoconf_livekit.recording.RecordingLiveKitProvider` records too.

    A room's name is derived from the meeting, and is what lasts: the room itself closes when it is empty, and whoever
    joins next opens it again. Nothing of a room outlives it, nor a restart of a self-hosted server.

    :raises ConfigurationError: the secret is too short to serve real meetings.
    """

    key = "livekit"
    label = "LiveKit"
    Settings = LiveKitSettings
    options_schema = Options

    @classmethod
    def create(cls, settings: LiveKitSettings, context: ProviderContext) -> Provider:
        from videoconf_livekit.recording import RecordingLiveKitProvider  # which extends this class

        return (RecordingLiveKitProvider if settings.recording else LiveKitProvider)(settings, context)

    def __init__(self, settings: LiveKitSettings, context: ProviderContext) -> None:
        super().__init__(settings, context)
        if settings.has_short_secret:
            message = f"A secret of LiveKit has fewer than {LEAST_SECRET_CHARACTERS} characters and can be guessed."
            if not context.development:
                raise ConfigurationError(f"{PREFIX}API_SECRET, {PREFIX}WEBHOOK_KEYS: {message}")
            logger.warning(message)
        self._signer = Signer(settings.api_key, settings.api_secret)
        self._http = context.http(self.account)
        self.twirp = Twirp(settings.http_url, self._signer, self._http)

    @property
    def account(self) -> str:
        return self.settings.account_name  # type: ignore[no-any-return]  # the base class has no type for it

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    @property
    def browser_client(self) -> BrowserClient | None:
        """LiveKit's SDK from the configured URL, behind a module of ours."""
        if not self.settings.sdk_url:
            return None
        return BrowserClient(
            BROWSER_MODULE,
            connect=self.settings.browser_sources,
            scripts=(self.settings.sdk_url,),
            options={"sdkUrl": self.settings.sdk_url, "sdkIntegrity": self.settings.sdk_integrity},
        )

    # --- sessions and tokens ----------------------------------------------------------------------------------------

    def ensure_session(self, request: SessionRequest) -> SessionRef:
        """Create the meeting's room, or find it: LiveKit's CreateRoom is idempotent by name.

        The room may well have closed when people come. Creating it shows that the server answers.
        """
        room = f"{self.settings.room_prefix}{request.meeting_id}"
        body = {"name": room, **_room_fields(request.options, 0)}
        found = self.twirp.call("RoomService/CreateRoom", "room.create", body, {"roomCreate": True})
        if found.get("name") != room:
            raise ProviderBadResponse("LiveKit created another room than the one that was asked for.")
        return SessionRef(self.account, room)

    def end_session(self, session: SessionRef, connections: Sequence[str]) -> None:
        """Delete the room, which disconnects everybody and ends its recordings."""
        try:
            self.twirp.call("RoomService/DeleteRoom", "room.delete", {"room": self.own(session)}, {"roomCreate": True})
        except ProviderResourceNotFound:
            return

    def issue_token(self, session: SessionRef, request: TokenRequest) -> JoinToken:
        """Sign a token. No call. The first participant opens the room, so each token has the room's settings."""
        identity, attributes = new_identity(request.attendee)
        token = self._signer.join_token(
            room=self.own(session),
            identity=identity,
            role=request.role,
            not_before=self.context.clock(),
            expires_at=request.expires_at,
            name=request.name,
            metadata=request.data,
            attributes=attributes,
            room_config=_room_fields(request.options, 1),
        )
        connect: dict[str, Any] = {"url": self.settings.websocket_url}
        if request.end_to_end_encryption:
            connect["endToEndEncryption"] = True
        return JoinToken(token, datetime.fromtimestamp(int(request.expires_at.timestamp()), UTC), connect)

    # --- webhooks ---------------------------------------------------------------------------------------------------

    def verify_webhook(self, request: WebhookRequest) -> None:
        try:
            webhooks.verify(request, self.settings.signers)
        except WebhookRejected:
            raise
        except Exception as error:  # forgeries make parsers raise all sorts of things
            raise WebhookRejected(f"The verifier raised {type(error).__name__}.") from None

    def parse_webhook(self, request: WebhookRequest) -> list[ProviderEvent]:
        return webhooks.parse(request, self.settings.room_prefix)

    def storable_body(self, request: WebhookRequest) -> bytes:
        return webhooks.storable_body(request.body)

    # --- people -----------------------------------------------------------------------------------------------------

    def list_connections(self, session: SessionRef) -> Roster:
        """List who is connected. LiveKit's list is complete; recorders, agents and telephones are left out."""
        people = self.people(session)
        return Roster([connection for one in people if (connection := find_connection(one)) is not None], complete=True)

    def disconnect(self, session: SessionRef, connection_id: str) -> None:
        """Remove the participant of a connection. With LiveKit Cloud its token is revoked too."""
        room = self.own(session)
        for participant in self.participants(session):
            if participant.get("sid") == connection_id and isinstance(participant.get("identity"), str):
                body = {"room": room, "identity": participant["identity"]}
                try:
                    self.twirp.call("RoomService/RemoveParticipant", "participant.remove", body, _admin(room))
                except ProviderResourceNotFound:
                    return

    def mute(self, session: SessionRef, connection_id: str | None, streams: Mapping[str, Sequence[str]]) -> None:
        """Mute the tracks that LiveKit lists, those of one connection or all; people may unmute themselves.

        LiveKit mutes one track at a time. Stops at the first track that fails; repeating the call mutes the others.

        :raises PartlyMuted: not all were muted.
        """
        room = self.own(session)
        tracks = [
            {"room": room, "identity": participant.get("identity"), "track_sid": track["sid"], "muted": True}
            for participant in self.participants(session)
            if connection_id in (None, participant.get("sid"))
            for track in tracks_to_mute(participant)
        ]
        muted, failures = self._mute(room, tracks)
        if failures and muted:
            first = failures[0]
            raise PartlyMuted(
                provider_status=first.provider_status,
                provider_code=first.provider_code,
                provider_message=first.provider_message,
                retry_after_seconds=first.retry_after_seconds,
            ) from first
        if failures:
            raise failures[0]

    def _mute(self, room: str, tracks: Sequence[Mapping[str, Any]]) -> tuple[int, list[ProviderError]]:
        """Mute tracks, some at a time; return how many were muted, and the errors of the others."""

        def mute_one(track: Mapping[str, Any]) -> ProviderError | None:
            if failures:
                return None  # what follows would fail in the same way, and take its time
            try:
                # After 3 s the server answers 503 for a participant who has left.
                gone = unavailable_means(ProviderResourceNotFound)
                self.twirp.call("RoomService/MutePublishedTrack", "track.mute", track, _admin(room), read_error=gone)
            except ProviderResourceNotFound:
                return None  # its participant has left
            except ProviderError as error:
                failures.append(error)
                return error
            muted.append(True)
            return None

        muted: list[bool] = []
        failures: list[ProviderError] = []
        if len(tracks) <= 1:
            for track in tracks:
                mute_one(track)
        else:
            with ThreadPoolExecutor(min(MUTES_AT_ONCE, len(tracks)), thread_name_prefix="livekit-mute") as pool:
                # Each in a copy of the context, which holds the deadline and the trace.
                for waiting in [pool.submit(copy_context().run, mute_one, track) for track in tracks]:
                    waiting.result()
        return len(muted), failures

    def participants(self, session: SessionRef) -> list[dict[str, Any]]:
        """Read LiveKit's list of participants of every kind; empty for a room that does not exist."""
        room = self.own(session)
        try:
            found, _ = self.twirp.list(
                "participants", "RoomService/ListParticipants", "participant.list", {"room": room}, _admin(room)
            )
        except ProviderResourceNotFound:
            return []
        return found

    def people(self, session: SessionRef) -> list[dict[str, Any]]:
        """Read who has joined, by a token of ours."""
        return [
            one for one in self.participants(session) if one.get("state") == "ACTIVE" and find_person(one) is not None
        ]

    # --- the deployment ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        self.twirp.list("rooms", "RoomService/ListRooms", "check", {"names": [NO_ROOM]}, {"roomList": True})

    def close(self) -> None:
        self._http.close()

    def own(self, session: SessionRef) -> str:
        """Return a session's room; refuse another deployment's, whose rooms would all seem to be gone."""
        if session.account != self.account:
            raise ProviderAuthFailed("The session belongs to another LiveKit deployment than the configured one.")
        return session.session_id


CAPABILITIES = Capabilities(
    features=frozenset(
        {
            Capability.ROSTER,
            Capability.MODERATION,
            Capability.END_TO_END_ENCRYPTION,
            Capability.ATTENDEE_NAMES,
        }
    ),
    idempotent_create=True,
    max_token_ttl=MAX_TOKEN_TTL,
    max_data_characters=MAX_DATA_CHARACTERS,
    webhook_success_status=200,
    event_ids=True,
    retry_horizon=RETRY_HORIZON,
    caller_brings_encryption_key=True,
)


def _admin(room: str) -> dict[str, Any]:
    return {"roomAdmin": True, "room": room}


def _room_fields(options: Mapping[str, Any], form: int) -> dict[str, Any]:
    return {ROOM_FIELDS[name][form]: value for name, value in options.items() if name in ROOM_FIELDS}
