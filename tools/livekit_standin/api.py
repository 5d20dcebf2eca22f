"""The server API over the world: Twirp's methods in JSON and protobuf, with the statuses and texts of the server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict, Parse, ParseError
from google.protobuf.message import DecodeError, Message
from livekit.protocol.egress import (
    EgressInfo,
    ListEgressRequest,
    ListEgressResponse,
    RoomCompositeEgressRequest,
    StopEgressRequest,
)
from livekit.protocol.models import DisconnectReason, ParticipantInfo, Room
from livekit.protocol.room import (
    CreateRoomRequest,
    DeleteRoomRequest,
    DeleteRoomResponse,
    ListParticipantsRequest,
    ListParticipantsResponse,
    ListRoomsRequest,
    ListRoomsResponse,
    MuteRoomTrackRequest,
    MuteRoomTrackResponse,
    RemoveParticipantResponse,
    RoomParticipantIdentity,
)

from tools.livekit_standin.auth import Refused, demand, read_header
from tools.livekit_standin.egresses import Egresses
from tools.livekit_standin.switches import Switches
from tools.livekit_standin.world import World, as_json
from tools.vonage_standin.clock import Clock

PREFIX = "/twirp/livekit."
JSON, PROTOBUF = "application/json", "application/protobuf"


@dataclass(frozen=True)
class Request:
    """One request that came in whole."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What is answered."""

    status: int
    content_type: str
    body: bytes


class Api:
    """The methods. Not thread-safe, like the world."""

    def __init__(
        self,
        world: World,
        egresses: Egresses,
        switches: Switches,
        keys: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self._world = world
        self._egresses = egresses
        self._switches = switches
        self._keys = keys
        self._clock = clock
        self._methods: dict[str, tuple[type[Message], Any]] = {
            "RoomService/CreateRoom": (CreateRoomRequest, self._create_room),
            "RoomService/ListRooms": (ListRoomsRequest, self._list_rooms),
            "RoomService/DeleteRoom": (DeleteRoomRequest, self._delete_room),
            "RoomService/ListParticipants": (ListParticipantsRequest, self._list_participants),
            "RoomService/GetParticipant": (RoomParticipantIdentity, self._get_participant),
            "RoomService/RemoveParticipant": (RoomParticipantIdentity, self._remove_participant),
            "RoomService/MutePublishedTrack": (MuteRoomTrackRequest, self._mute_track),
            "Egress/StartRoomCompositeEgress": (RoomCompositeEgressRequest, self._start_egress),
            "Egress/ListEgress": (ListEgressRequest, self._list_egress),
            "Egress/StopEgress": (StopEgressRequest, self._stop_egress),
        }

    def answer(self, request: Request) -> Reply:
        """Answer a request."""
        content_type = request.headers.get("content-type", "").partition(";")[0].strip()
        try:
            method = self._methods.get(request.path.removeprefix(PREFIX))
            if request.method != "POST" or method is None or content_type not in (JSON, PROTOBUF):
                raise Refused(
                    "bad_route",
                    f'no handler for path "{request.path}"',
                    meta={"twirp_invalid_route": f"{request.method} {request.path}"},
                )
            grants = read_header(request.headers, self._keys, time.time())
            answer = method[1](grants, _decode(request.body, content_type, method[0]()))
        except Refused as error:
            return _error(error)
        if content_type == PROTOBUF:
            return Reply(200, PROTOBUF, answer.SerializeToString())
        return Reply(200, JSON, as_json(_written(answer)).encode())

    # --- rooms ------------------------------------------------------------------------------------------------------

    def _create_room(self, grants: Mapping[str, Any], request: CreateRoomRequest) -> Room:
        demand(grants, "roomCreate")
        return self._world.create(request.name, request).info

    def _list_rooms(self, grants: Mapping[str, Any], request: ListRoomsRequest) -> ListRoomsResponse:
        demand(grants, "roomList")
        wanted = set(request.names)
        rooms = [room.info for name, room in self._world.rooms.items() if not wanted or name in wanted]
        return ListRoomsResponse(rooms=rooms)

    def _delete_room(self, grants: Mapping[str, Any], request: DeleteRoomRequest) -> DeleteRoomResponse:
        demand(grants, "roomCreate")
        self._world.delete(request.room)
        return DeleteRoomResponse()

    # --- participants -----------------------------------------------------------------------------------------------

    def _list_participants(
        self, grants: Mapping[str, Any], request: ListParticipantsRequest
    ) -> ListParticipantsResponse:
        demand(grants, "roomAdmin", request.room)
        room = self._world.rooms.get(request.room)
        if room is None and self._switches.cloud:
            raise Refused("not_found", "requested room does not exist")
        return ListParticipantsResponse(participants=room.participants.values() if room is not None else ())

    def _get_participant(self, grants: Mapping[str, Any], request: RoomParticipantIdentity) -> ParticipantInfo:
        demand(grants, "roomAdmin", request.room)
        room = self._world.rooms.get(request.room)
        if room is None or request.identity not in room.participants:
            raise Refused("not_found", "participant does not exist")
        return room.participants[request.identity]

    def _remove_participant(
        self, grants: Mapping[str, Any], request: RoomParticipantIdentity
    ) -> RemoveParticipantResponse:
        self._get_participant(grants, request)
        self._world.leave(request.room, request.identity, DisconnectReason.PARTICIPANT_REMOVED)
        if self._switches.cloud:
            since = request.revoke_token_ts or self._clock.now() + 60
            self._world.revoked[request.room, request.identity] = since
        return RemoveParticipantResponse()

    def _mute_track(self, grants: Mapping[str, Any], request: MuteRoomTrackRequest) -> MuteRoomTrackResponse:
        demand(grants, "roomAdmin", request.room)
        room = self._world.rooms.get(request.room)
        if room is None or request.identity not in room.participants:
            time.sleep(self._switches.absent_seconds)
            raise Refused("unavailable", "no response from servers")
        if not request.muted:
            raise Refused("failed_precondition", "remote unmute not enabled")
        for track in room.participants[request.identity].tracks:
            if track.sid == request.track_sid:
                track.muted = True
                return MuteRoomTrackResponse(track=track)
        return MuteRoomTrackResponse()

    # --- egress -----------------------------------------------------------------------------------------------------

    def _start_egress(self, grants: Mapping[str, Any], request: RoomCompositeEgressRequest) -> EgressInfo:
        demand(grants, "roomRecord")
        return self._egresses.start(request)

    def _list_egress(self, grants: Mapping[str, Any], request: ListEgressRequest) -> ListEgressResponse:
        demand(grants, "roomRecord")
        return ListEgressResponse(items=self._egresses.list(request))

    def _stop_egress(self, grants: Mapping[str, Any], request: StopEgressRequest) -> EgressInfo:
        demand(grants, "roomRecord")
        return self._egresses.stop(request.egress_id)


def _decode(body: bytes, content_type: str, message: Message) -> Message:
    """Decode a request. Unlike a server, the stand-in refuses a member that the protocol does not know."""
    try:
        if content_type == PROTOBUF:
            message.ParseFromString(body)
        else:
            Parse(body, message)
    except (ParseError, DecodeError, UnicodeDecodeError) as error:
        raise Refused("malformed", f"the request could not be decoded: {error}") from error
    return message


def _written(message: Message) -> dict[str, Any]:
    """Write an answer as Go's encoder does: snake_case, defaults written out, null for a message that is not set."""
    written = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    _add_nulls(message, written)
    return written


def _add_nulls(message: Message, written: dict[str, Any]) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        if field.is_repeated:
            for one, document in zip(getattr(message, field.name), written.get(field.name, ()), strict=True):
                _add_nulls(one, document)
        elif message.HasField(field.name):
            _add_nulls(getattr(message, field.name), written[field.name])
        elif field.containing_oneof is None:
            written[field.name] = None


def _error(error: Refused) -> Reply:
    if error.code is None:
        return Reply(error.status, "text/plain; charset=utf-8", error.message.encode())
    by_router = error.code in ("bad_route", "malformed", "unauthenticated")
    message = error.message if by_router else f"twirp error unknown: {error.message}"
    body: dict[str, Any] = {"code": error.code, "msg": message}
    if error.meta:
        body["meta"] = dict(error.meta)
    return Reply(error.status, JSON, as_json(body).encode())
