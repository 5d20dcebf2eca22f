"""Recordings: the states of an egress, its limits, and how the server forgets it."""

from __future__ import annotations

from typing import Any, Literal

from google.protobuf.json_format import MessageToDict
from livekit.protocol.egress import (
    EgressInfo,
    EgressStatus,
    FileInfo,
    ListEgressRequest,
    RoomCompositeEgressRequest,
)
from livekit.protocol.models import DisconnectReason

from tools.livekit_standin.auth import Refused
from tools.livekit_standin.switches import Switches
from tools.livekit_standin.world import Emit, World, new_id
from tools.vonage_standin.clock import Clock

NANOSECONDS = 10**9
REMEMBERED_SECONDS = 24 * 3600
RUNNING = (EgressStatus.EGRESS_STARTING, EgressStatus.EGRESS_ACTIVE)
Outcome = Literal["complete", "failed", "aborted", "limit", "backup"]
REDACTED = {
    "s3": {"access_key": "{access_key}", "secret": "{secret}"},
    "azure": {"account_name": "{account_name}", "account_key": "{account_key}"},
}
ENDS: dict[Outcome, tuple[Any, str, int, str]] = {
    "complete": (EgressStatus.EGRESS_COMPLETE, "", 0, "End reason: StopEgress API"),
    "backup": (EgressStatus.EGRESS_COMPLETE, "", 0, "End reason: StopEgress API"),
    "failed": (EgressStatus.EGRESS_FAILED, "S3 upload failed: access denied", 400, "End reason: Failure"),
    "aborted": (EgressStatus.EGRESS_ABORTED, "Start signal not received", 412, ""),
    "limit": (EgressStatus.EGRESS_LIMIT_REACHED, "Session limit reached", 413, "End reason: Session limit reached"),
}


class Egresses:
    """The recordings of a server. Not thread-safe, like the world."""

    def __init__(self, world: World, clock: Clock, switches: Switches, emit: Emit) -> None:
        self.found: dict[str, EgressInfo] = {}
        self.secrets: dict[str, RoomCompositeEgressRequest] = {}
        """What was asked for, with credentials in clear, which the server never shows."""
        self._world = world
        self._clock = clock
        self._switches = switches
        self._emit = emit
        world.on_room_end.append(self._end_of_room)

    def start(self, request: RoomCompositeEgressRequest) -> EgressInfo:
        """Start a recording of a room that exists."""
        room = self._world.get(request.room_name)
        outputs = list(request.file_outputs)
        if len(outputs) > 1:
            raise Refused("invalid_argument", "multiple file outputs")
        if not outputs and not request.HasField("file") and not request.stream_outputs:
            raise Refused("invalid_argument", "request has missing or invalid field: output")
        busy = sum(one.status in RUNNING for one in self.found.values())
        if not self._switches.has_redis or busy >= self._switches.recorders:
            raise Refused("unavailable", "no response from servers")
        info = EgressInfo(
            egress_id=new_id("EG_"), room_id=room.info.sid, room_name=request.room_name, started_at=self._now()
        )
        info.room_composite.CopyFrom(request)
        for output in info.room_composite.file_outputs:
            for kind, names in REDACTED.items():
                if output.HasField(kind):
                    for name, text in names.items():
                        setattr(getattr(output, kind), name, text)
        if outputs:
            info.file_results.append(FileInfo(filename=outputs[0].filepath))
        info.updated_at = self._now()
        self.found[info.egress_id] = info
        self.secrets[info.egress_id] = request
        self._tell("egress_started", info)
        if self._switches.records_at_once:
            self.activate(info.egress_id)
        return info

    def activate(self, egress_id: str) -> None:
        """Let the recorder enter the room and begin."""
        info = self.found[egress_id]
        self._world.enter_by_itself(info.room_name, "EGRESS", egress_id)
        self._move(info, EgressStatus.EGRESS_ACTIVE)

    def list(self, request: ListEgressRequest) -> list[EgressInfo]:
        """Return the egresses of a query; page tokens are ignored, as a self-hosted server does."""
        self._demand_redis()
        if request.egress_id:
            return [self._get(request.egress_id)]
        return [
            one
            for one in self.found.values()
            if request.room_name in ("", one.room_name)
            and (not request.active or one.status in (*RUNNING, EgressStatus.EGRESS_ENDING))
        ]

    def stop(self, egress_id: str) -> EgressInfo:
        """Stop a recording; one that is ending is not refused, one that has ended is."""
        self._demand_redis()
        info = self._get(egress_id)
        if info.status in RUNNING and not self._switches.recorder_answers:
            raise Refused("deadline_exceeded", "request timed out")
        if info.status == EgressStatus.EGRESS_STARTING:
            self.finish(egress_id, "aborted")
        elif info.status == EgressStatus.EGRESS_ACTIVE:
            self._move(info, EgressStatus.EGRESS_ENDING)
        elif info.status != EgressStatus.EGRESS_ENDING:
            name = EgressStatus.Name(info.status)
            raise Refused("failed_precondition", f"egress with status {name} cannot be stopped")
        return info

    def finish(self, egress_id: str, outcome: Outcome = "complete", size: int = 1024) -> None:
        """End a recording."""
        info = self.found[egress_id]
        status, error, code, details = ENDS[outcome]
        if outcome in ("complete", "limit", "backup") and info.file_results:
            result, began = info.file_results[0], info.started_at
            result.started_at, result.ended_at, result.duration = began, self._now(), self._now() - began
            result.size = size
            result.location = f"https://storage.example/{result.filename}?X-Amz-Signature=made-up"
        info.backup_storage_used = outcome == "backup"
        info.error, info.error_code, info.details = error, code, details
        info.ended_at = self._now()
        room = self._world.rooms.get(info.room_name)
        if room is not None and egress_id in room.participants:
            self._world.leave(info.room_name, egress_id, DisconnectReason.CLIENT_INITIATED)
        self._move(info, status, "egress_ended")

    def forget(self) -> None:
        """Delete records of recordings that ended a day ago, as a self-hosted server does."""
        limit = self._now() - REMEMBERED_SECONDS * NANOSECONDS
        for egress_id, info in list(self.found.items()):
            if 0 < info.ended_at <= limit:
                del self.found[egress_id]

    def _end_of_room(self, name: str) -> None:
        for egress_id, info in self.found.items():
            if info.room_name == name and info.status in (EgressStatus.EGRESS_ACTIVE, EgressStatus.EGRESS_ENDING):
                if info.status == EgressStatus.EGRESS_ACTIVE:
                    self._move(info, EgressStatus.EGRESS_ENDING)
                self._clock.after(1, lambda egress_id=egress_id: self.finish(egress_id))

    def _move(self, info: EgressInfo, status: Any, event: str = "egress_updated") -> None:
        info.status = status
        info.updated_at = self._now()
        self._tell(event, info)

    def _tell(self, event: str, info: EgressInfo) -> None:
        self._emit(event, room_id=info.room_id, room_name=info.room_name, egress_info=info)

    def _get(self, egress_id: str) -> EgressInfo:
        if egress_id not in self.found:
            raise Refused("not_found", "egress does not exist")
        return self.found[egress_id]

    def _demand_redis(self) -> None:
        if not self._switches.has_redis:
            raise Refused("internal", "egress not connected (redis required)")

    def _now(self) -> int:
        return int(self._clock.now() * 1000) * 10**6


def shown(info: EgressInfo) -> dict[str, Any]:
    """Return an egress as a document, for tests."""
    return dict(MessageToDict(info))
