"""Rooms and participants, kept as the official protocol's own messages."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.json_format import ParseDict
from livekit.protocol.models import (
    DisconnectReason,
    Encryption,
    ParticipantInfo,
    Room,
    TrackInfo,
    TrackSource,
    TrackType,
)
from livekit.protocol.room import RoomConfiguration

from tools.livekit_standin.auth import Refused
from tools.livekit_standin.switches import Switches
from tools.vonage_standin.clock import Clock

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
EMPTY_SECONDS = 300
DEPARTURE_SECONDS = 20
DYING_SECONDS = 30
LONGEST_BYTES = 256
DEPENDENT_KINDS = (ParticipantInfo.Kind.AGENT, ParticipantInfo.Kind.EGRESS)
"""Participants that neither keep a room open nor are counted in it."""

Emit = Callable[..., None]


def new_id(prefix: str) -> str:
    """Return an id as the server makes them."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(12))


@dataclass
class LiveRoom:
    """A room that exists, with who is in it."""

    info: Room
    participants: dict[str, ParticipantInfo] = field(default_factory=dict)
    """By identity."""
    idle_since: float = 0.0
    was_entered: bool = False
    dying_until: float | None = None

    def people(self) -> list[ParticipantInfo]:
        """Return the participants who keep the room open."""
        return [one for one in self.participants.values() if one.kind not in DEPENDENT_KINDS]


class World:
    """What exists at the server. Not thread-safe; the stand-in holds a lock around each call."""

    def __init__(self, clock: Clock, switches: Switches, emit: Emit) -> None:
        self.rooms: dict[str, LiveRoom] = {}
        self.revoked: dict[tuple[str, str], float] = {}
        """With Cloud: by room and identity, since when older tokens are refused."""
        self.on_room_end: list[Callable[[str], None]] = []
        self._clock = clock
        self._switches = switches
        self._emit = emit

    # --- rooms ------------------------------------------------------------------------------------------------------

    def create(self, name: str, config: RoomConfiguration | Any) -> LiveRoom:
        """Return the room of a name. Where it exists, the configuration is ignored."""
        if len(name.encode()) > LONGEST_BYTES:
            raise Refused("invalid_argument", f"room name length exceeds limits: max length {LONGEST_BYTES}")
        found = self.rooms.get(name)
        if found is not None:
            return found
        now = self._clock.now()
        info = Room(
            sid=new_id("RM_"),
            name=name,
            empty_timeout=config.empty_timeout or EMPTY_SECONDS,
            departure_timeout=config.departure_timeout or DEPARTURE_SECONDS,
            max_participants=config.max_participants,
            metadata=config.metadata,
            creation_time=int(now),
            creation_time_ms=int(now * 1000),
            turn_password=f"turn-{secrets.token_hex(8)}",
        )
        room = self.rooms[name] = LiveRoom(info, idle_since=now)
        self._emit("room_started", room=info)
        return room

    def get(self, name: str) -> LiveRoom:
        """Return a room that exists."""
        if name not in self.rooms:
            raise Refused("not_found", "requested room does not exist")
        return self.rooms[name]

    def delete(self, name: str) -> None:
        """Delete a room. With Cloud it is given back under its name for a while, and then disconnects everybody."""
        room = self.get(name)
        for identity in list(room.participants):
            self.leave(name, identity, DisconnectReason.ROOM_DELETED)
        if self._switches.cloud:
            room.dying_until = self._clock.now() + DYING_SECONDS
        else:
            self._finish(name)

    def close_idle(self) -> None:
        """Close rooms whose time has run out."""
        now = self._clock.now()
        for name, room in list(self.rooms.items()):
            limit = room.info.departure_timeout if room.was_entered else room.info.empty_timeout
            is_dead = room.dying_until is not None and now >= room.dying_until
            if is_dead or (not room.people() and now - room.idle_since >= limit):
                for identity in list(room.participants):
                    self.leave(name, identity, DisconnectReason.ROOM_DELETED)
                self._finish(name)

    def restart(self) -> None:
        """Forget everything at once, as a server without Redis does. No webhook tells of it."""
        self.rooms.clear()

    def _finish(self, name: str) -> None:
        room = self.rooms.pop(name)
        self._emit("room_finished", room=room.info)
        for action in self.on_room_end:
            action(name)

    # --- participants -----------------------------------------------------------------------------------------------

    def join(self, claims: Mapping[str, Any], *, aborted: bool = False) -> ParticipantInfo:
        """Let a participant in by the claims of a join token."""
        grants, identity = claims.get("video") or {}, claims.get("sub") or ""
        name = grants.get("room") or ""
        if not grants.get("roomJoin") or not name:
            raise Refused("unauthenticated", "permissions denied")
        if not identity:
            raise Refused("invalid_argument", "identity cannot be empty")
        if len(identity.encode()) > LONGEST_BYTES:
            raise Refused("invalid_argument", f"participant identity length exceeds limits: max length {LONGEST_BYTES}")
        if claims.get("nbf", 0) < self.revoked.get((name, identity), 0):
            raise Refused("unauthenticated", "token is revoked")
        if name not in self.rooms and not self._switches.auto_create and not grants.get("roomCreate"):
            raise Refused("not_found", "requested room does not exist")
        config = ParseDict(claims.get("roomConfig") or {}, RoomConfiguration())
        room = self.create(name, config)
        if identity in room.participants:
            self.leave(name, identity, DisconnectReason.DUPLICATE_IDENTITY)
        if room.info.max_participants and len(room.people()) >= room.info.max_participants:
            raise Refused("resource_exhausted", "room has exceeded its max participants")
        kind = ParticipantInfo.Kind.Value(str(claims.get("kind") or "standard").upper())
        return self._enter(room, identity, kind, claims, aborted=aborted)

    def _enter(
        self, room: LiveRoom, identity: str, kind: Any, claims: Mapping[str, Any], *, aborted: bool = False
    ) -> ParticipantInfo:
        grants, now = claims.get("video") or {}, self._clock.now()
        sends = grants.get("canPublish", True)
        participant = ParticipantInfo(
            sid=new_id("PA_"),
            identity=identity,
            name=claims.get("name") or "",
            metadata=claims.get("metadata") or "",
            attributes=claims.get("attributes") or {},
            kind=kind,
            state=ParticipantInfo.State.JOINED if aborted else ParticipantInfo.State.ACTIVE,
            joined_at=int(now),
            joined_at_ms=int(now * 1000) if self._switches.sends_joined_at_ms else 0,
        )
        participant.permission.can_publish = sends
        participant.permission.can_subscribe = grants.get("canSubscribe", True)
        participant.permission.can_publish_data = grants.get("canPublishData", sends)
        participant.permission.hidden = bool(grants.get("hidden"))
        room.participants[identity] = participant
        room.was_entered = room.was_entered or kind not in DEPENDENT_KINDS
        room.info.num_participants = len(room.people())
        if not aborted:
            self._emit("participant_joined", room=room.info, participant=participant)
        return participant

    def enter_by_itself(self, name: str, kind: str, identity: str) -> ParticipantInfo:
        """Let in a participant that no token of a caller brings: a recorder, an agent, a telephone."""
        claims = {"video": {"canPublish": kind != "EGRESS", "hidden": kind == "EGRESS"}}
        return self._enter(self.get(name), identity, ParticipantInfo.Kind.Value(kind), claims)

    def leave(self, name: str, identity: str, reason: Any) -> None:
        """End a participant's connection."""
        room = self.get(name)
        participant = room.participants.pop(identity)
        was_active = participant.state == ParticipantInfo.State.ACTIVE
        for track in list(participant.tracks):
            self._emit_track("track_unpublished", room, participant, track)
        participant.ClearField("tracks")
        participant.state = ParticipantInfo.State.DISCONNECTED
        participant.disconnect_reason = reason
        room.info.num_participants = len(room.people())
        if not room.people():
            room.idle_since = self._clock.now()
        event = "participant_left" if was_active else "participant_connection_aborted"
        self._emit(event, room=room.info, participant=participant)

    def find(self, sid: str) -> tuple[LiveRoom, ParticipantInfo]:
        """Return a participant by the id of the connection.

        :raises KeyError: no participant has this id.
        """
        for room in self.rooms.values():
            for participant in room.participants.values():
                if participant.sid == sid:
                    return room, participant
        raise KeyError(sid)

    # --- tracks -----------------------------------------------------------------------------------------------------

    def publish(self, sid: str, *, audio: bool = False, encrypted: bool = False) -> TrackInfo:
        """Start a track of a participant."""
        room, participant = self.find(sid)
        if not participant.permission.can_publish:
            raise Refused("permission_denied", "may not publish")
        track = TrackInfo(
            sid=new_id("TR_"),
            type=TrackType.AUDIO if audio else TrackType.VIDEO,
            source=TrackSource.MICROPHONE if audio else TrackSource.CAMERA,
            encryption=Encryption.GCM if encrypted else Encryption.NONE,
        )
        participant.tracks.append(track)
        participant.is_publisher = True
        self._emit_track("track_published", room, participant, track)
        return track

    def unpublish(self, sid: str, track_sid: str) -> None:
        """End a track."""
        room, participant = self.find(sid)
        [track] = [one for one in participant.tracks if one.sid == track_sid]
        self._emit_track("track_unpublished", room, participant, track)
        participant.tracks.remove(track)

    def _emit_track(self, event: str, room: LiveRoom, participant: ParticipantInfo, track: TrackInfo) -> None:
        """Tell of a track. The participant is thin, and so is the room unless the server is configured otherwise."""
        thin = Room(sid=room.info.sid, name=room.info.name)
        shown = room.info if self._switches.full_room_in_track_events else thin
        who = ParticipantInfo(sid=participant.sid, identity=participant.identity)
        self._emit(event, room=shown if self._switches.track_events_have_room else None, participant=who, track=track)


def as_json(document: Any) -> str:
    """Write a document as Go does: without blanks, beyond ASCII as it is."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
