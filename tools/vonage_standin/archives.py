"""The life cycle of archives, on the clock.

::

    started <-> paused -> stopped -> available -> expired (72 h)
       |          |          |  `--> uploaded             deleted (from available, uploaded)
       `----------+----------+-> failed

after "Vonage guide: archiving" and the docstrings of opentok-python 3.15.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from tools.vonage_standin.storage import Target
from tools.vonage_standin.world import Refused, Session, Stream, World

Outcome = Literal["ready", "failed", "upload_failed"]

# Vonage guide: archiving.
ALONE_SECONDS = 60
"""All clients gone, or no stream ever: the archive stops after this."""
PAUSED_SECONDS = 60 * 60
RECORDED_SECONDS = 4 * 3600
LASTING_SECONDS = 12 * 3600
"""Recorded and paused."""
KEPT_SECONDS = 72 * 3600
URL_SECONDS = 600

RESOLUTIONS = ("640x480", "480x640", "1280x720", "720x1280", "1920x1080", "1080x1920")
LAYOUTS = ("bestFit", "pip", "verticalPresentation", "horizontalPresentation", "custom")
RUNNING = ("started", "paused")


@dataclass
class Archive:
    """One recording."""

    archive_id: str
    session: Session
    created_ms: int
    updated_ms: int
    name: str | None
    output_mode: str
    stream_mode: str
    has_audio: bool
    has_video: bool
    resolution: str | None
    tag: str | None
    optional: dict[str, Any]
    """``maxBitrate`` and ``quantizationParameter``, shown when given."""
    automatic: bool = False
    status: str = "started"
    reason: str = ""
    size_bytes: int = 0
    duration_seconds: int = 0
    sha256: str = ""
    content: bytes = b""
    selected: dict[str, dict[str, Any]] = field(default_factory=dict)
    changes: int = 0
    """Counts what happened to it; a timer that was set at another count is void."""
    resumed_ms: int = 0
    """When it was last started or went on."""
    recorded_ms: int = 0
    """What was recorded before that."""


class Archives:
    """All archives of a world."""

    def __init__(self, world: World, *, processing_seconds: float = 10.0) -> None:
        self.world = world
        self.processing_seconds = processing_seconds
        """From stopped until available or uploaded (own choice)."""
        self.next_outcome: Outcome = "ready"
        """How the processing of those that finish from now on ends."""
        self.target: Target | None = None
        self.upload: Callable[[Target, str, bytes], None] | None = None
        """Puts the file into the storage target; an exception is a failed upload. None: nothing is really put."""
        self.url_prefix = ""
        self._by_id: dict[str, Archive] = {}
        world.archives = self

    def get(self, archive_id: str) -> Archive:
        """Return an archive, or refuse with 404."""
        try:
            return self._by_id[archive_id]
        except KeyError:
            raise Refused(404, "Archive not found") from None

    def newest_first(self, session_id: str | None) -> list[Archive]:
        """Return those that are not deleted, newest first (Vonage API reference: list archives)."""
        found = [one for one in reversed(self._by_id.values()) if one.status != "deleted"]
        return [one for one in found if session_id in (None, one.session.session_id)]

    # --- what the API asks for --------------------------------------------------------------------------------------

    def start(self, session: Session, wanted: dict[str, Any], *, automatic: bool = False) -> Archive:
        """Start recording. ``wanted`` was checked for its types; explicit nulls are taken as left out, as the
        opentok SDK sends them with every start.

        Refusals: recorded data of the PHP SDK, issues of the PHP, Ruby and React Native SDKs.
        """
        if not session.connections:
            # Recorded data of the PHP SDK; the older guide and Ruby issue 69 have 400.
            message = "Not found. No clients are actively connected to the OpenTok session."
            raise Refused(self.world.switches.no_clients_status, message)
        if not session.routed:
            raise Refused(409, "Only routed sessions are allowed to initiate archives.", 15008)
        running = [one for one in self._of(session) if one.status in RUNNING]
        if any(one.tag == wanted.get("multiArchiveTag") for one in running):
            raise Refused(409, "HTTP 409 Conflict", 15001)
        now = self.world.clock.now_ms()
        composed = wanted.get("outputMode") != "individual"
        archive = Archive(
            archive_id=str(uuid.uuid4()),
            session=session,
            created_ms=now,
            updated_ms=now,
            name=wanted.get("name"),
            output_mode="composed" if composed else "individual",
            stream_mode=wanted.get("streamMode") or "auto",
            has_audio=wanted.get("hasAudio") is not False,
            has_video=wanted.get("hasVideo") is not False,
            resolution=(wanted.get("resolution") or "640x480") if composed else None,
            tag=wanted.get("multiArchiveTag"),
            optional={name: wanted[name] for name in ("maxBitrate", "quantizationParameter") if wanted.get(name)},
            automatic=automatic,
        )
        self._by_id[archive.archive_id] = archive
        self._announce(archive)
        self._run(archive)
        self.world.clock.after(LASTING_SECONDS, partial(self._reach_limit, archive))
        if not session.streams:
            self._later(archive, ALONE_SECONDS, partial(self._stop, archive, "session ended"))
        return archive

    def stop(self, archive: Archive) -> Archive:
        """Stop recording. One that is stopped is accepted (recorded data of the Python SDK name the states)."""
        if archive.automatic:
            # Vonage guide: archiving says that it cannot be done; how it is refused is own choice.
            raise Refused(409, "An automatic archive cannot be stopped", 15002)
        if archive.status not in (*RUNNING, "stopped"):
            message = f"Archive is in state {archive.status}; allowed are started OR paused OR stopped"
            raise Refused(409, message, 15002)
        if archive.status != "stopped":
            self._stop(archive, "user initiated")
        return archive

    def delete(self, archive: Archive) -> None:
        """Delete the file. One that is deleted is accepted (recorded data of the Python SDK name the states)."""
        if archive.status not in ("available", "uploaded", "deleted"):
            message = f"Archive is in state {archive.status}; allowed are available OR uploaded OR deleted"
            raise Refused(409, message, 15004)
        if archive.status != "deleted":
            archive.content = b""
            self._turn(archive, "deleted")

    def select(self, archive: Archive, change: dict[str, Any]) -> None:
        """Put a stream in or out of a recording whose ``streamMode`` is manual."""
        if archive.stream_mode != "manual":
            raise Refused(405, "The archive's streamMode is not manual")
        if isinstance(stream_id := change.get("addStream"), str):
            self.world.get_stream(archive.session, stream_id)
            chosen = {"hasAudio": change.get("hasAudio", True), "hasVideo": change.get("hasVideo", True)}
            archive.selected[stream_id] = {"streamId": stream_id, **chosen}
        elif isinstance(stream_id := change.get("removeStream"), str):
            if archive.selected.pop(stream_id, None) is None:
                raise Refused(404, "Stream not found")
        else:
            raise Refused(400, "Neither addStream nor removeStream")

    # --- what people do ---------------------------------------------------------------------------------------------

    def on_connected(self, session: Session) -> None:
        """Begin the archive of a session that is always archived."""
        if session.always_archived and not any(one.status in RUNNING for one in self._of(session)):
            wanted = {"name": session.archive_name, "resolution": session.archive_resolution}
            self.start(session, wanted, automatic=True)

    def on_published(self, session: Session, stream: Stream) -> None:
        """Go on with a paused recording."""
        for archive in self._of(session):
            if archive.status == "paused":
                self._turn(archive, "started")
                self._run(archive)
            elif archive.status == "started":
                archive.changes += 1  # a stream exists: the archive does not stop for lack of one

    def on_silence(self, session: Session) -> None:
        """No stream: pause."""
        for archive in self._of(session):
            if archive.status == "started":
                self._hold(archive)
                self._turn(archive, "paused")
                self._later(archive, PAUSED_SECONDS, partial(self._stop, archive, "session ended"))

    def on_emptied(self, session: Session) -> None:
        """No connection: pause, and stop after a minute."""
        self.on_silence(session)
        for archive in self._of(session):
            if archive.status == "paused":
                self._later(archive, ALONE_SECONDS, partial(self._stop_if_empty, archive))

    # --- what the vendor does ---------------------------------------------------------------------------------------

    def finish(self, archive: Archive, outcome: Outcome | None = None) -> None:
        """Process what was recorded: ``uploaded`` with a storage target, else ``available`` for 72 hours."""
        outcome = outcome or self.next_outcome
        if archive.status != "stopped":
            raise Refused(409, f"An archive that is {archive.status} is not finished")
        if outcome == "failed":
            self.fail(archive, "failure")
            return
        self._make_file(archive)
        if self.target is None:
            self._become_available(archive)
            return
        if outcome != "upload_failed" and self._uploaded(archive, self.target):
            self._turn(archive, "uploaded")
        elif self.target.fallback == "none":
            self.fail(archive, "system failure")  # own choice: the guide tells of an e-mail to the owner, no more
        else:
            self._become_available(archive)

    def fail(self, archive: Archive, reason: str = "system failure") -> None:
        """Break a recording, from any state before it is ready (Vonage guide: service disruption callbacks)."""
        if archive.status not in (*RUNNING, "stopped"):
            raise Refused(409, f"An archive that is {archive.status} cannot fail")
        self._turn(archive, "failed", reason)

    def object_key(self, archive: Archive) -> str:
        """Return where the file is in the storage target (Vonage guide: archiving)."""
        suffix = "mp4" if archive.output_mode == "composed" else "zip"
        return f"{self.world.account}/{archive.archive_id}/archive.{suffix}"

    def body(self, archive: Archive, *, reading: bool = True) -> dict[str, Any]:
        """Return the archive object.

        Fields: recorded data of the Python SDK, Java SDK issue 166. Times are rounded to whole seconds but in the
        answer to a start. ``duration`` and ``size`` are 0 until the file is made, also in the answer to a stop.

        :param reading: False in the answer to a start.
        """
        world = self.world
        if world.environment == "unified":
            account: dict[str, Any] = {"applicationId": world.account}
        else:
            # Numbers here; text in session monitoring.
            account = {"projectId": int(world.account), "partnerId": int(world.account)}
        body: dict[str, Any] = {
            "id": archive.archive_id,
            "status": archive.status,
            "name": archive.name,
            "reason": archive.reason,
            "sessionId": archive.session.session_id,
            **account,
            "createdAt": archive.created_ms // 1000 * 1000 if reading else archive.created_ms,
            "updatedAt": archive.updated_ms // 1000 * 1000 if reading else archive.updated_ms,
            "size": archive.size_bytes,
            "duration": archive.duration_seconds,
            "outputMode": archive.output_mode,
            "streamMode": archive.stream_mode,
            "hasAudio": archive.has_audio,
            "hasVideo": archive.has_video,
            "hasTranscription": False,
            "sha256sum": archive.sha256,
            "password": "",
            "event": "archive",
            "url": self._url(archive),
            **archive.optional,
        }
        if archive.resolution is not None:
            body["resolution"] = archive.resolution
        if archive.tag is not None and (world.switches.lists_multi_archive_tag or not reading):
            body["multiArchiveTag"] = archive.tag
        if archive.stream_mode == "manual" and archive.status == "started":
            body["streams"] = list(archive.selected.values())
        return body

    def download(self, archive_id: str, until_ms: int) -> bytes:
        """Return the file behind a URL, which is good for ten minutes (Vonage guide: archiving)."""
        archive = self.get(archive_id)
        if archive.status != "available" or self.world.clock.now_ms() > until_ms:
            raise Refused(403, "Request has expired")
        return archive.content

    # --- within -----------------------------------------------------------------------------------------------------

    def _of(self, session: Session) -> list[Archive]:
        return [one for one in self._by_id.values() if one.session is session]

    def _turn(self, archive: Archive, status: str, reason: str | None = None) -> None:
        archive.status = status
        archive.reason = archive.reason if reason is None else reason
        archive.changes += 1
        archive.updated_ms = self.world.clock.now_ms()
        if status not in ("expired", "deleted") or self.world.switches.retention_callbacks:
            self._announce(archive)

    def _announce(self, archive: Archive) -> None:
        self.world.archive_changed(self.body(archive))

    def _later(self, archive: Archive, seconds: float, action: Callable[[], None]) -> None:
        """Act unless something happens to the archive before."""
        changes = archive.changes

        def act() -> None:
            if archive.changes == changes:
                action()

        self.world.clock.after(seconds, act)

    def _stop(self, archive: Archive, reason: str) -> None:
        if archive.status == "started":
            self._hold(archive)
        self._turn(archive, "stopped", reason)
        self._later(archive, self.processing_seconds, partial(self.finish, archive))

    def _stop_if_empty(self, archive: Archive) -> None:
        if not archive.session.connections:
            self._stop(archive, "session ended")

    def _reach_limit(self, archive: Archive) -> None:
        """Stop what was recorded for four hours or lasted twelve; an automatic archive goes on in a new one."""
        now = self.world.clock.now_ms()
        recorded = archive.recorded_ms + (now - archive.resumed_ms if archive.status == "started" else 0)
        reached = recorded >= RECORDED_SECONDS * 1000 or now - archive.created_ms >= LASTING_SECONDS * 1000
        if archive.status not in RUNNING or not reached:
            return
        self._stop(archive, "maximum duration exceeded")
        if archive.automatic and archive.session.connections:
            wanted = {"name": archive.name, "resolution": archive.resolution}
            self.start(archive.session, wanted, automatic=True)

    def _run(self, archive: Archive) -> None:
        archive.resumed_ms = self.world.clock.now_ms()
        left = RECORDED_SECONDS - archive.recorded_ms / 1000
        self.world.clock.after(left, partial(self._reach_limit, archive))

    def _hold(self, archive: Archive) -> None:
        archive.recorded_ms += self.world.clock.now_ms() - archive.resumed_ms

    def _make_file(self, archive: Archive) -> None:
        archive.duration_seconds = max(1, archive.recorded_ms // 1000)
        # Own choice: no video, but bytes that tell two archives apart.
        archive.content = f"archive {archive.archive_id}\n".encode() * 64
        archive.size_bytes = len(archive.content)
        # Base64, not hexadecimal: Java SDK issue 166.
        archive.sha256 = base64.b64encode(hashlib.sha256(archive.content).digest()).decode()

    def _uploaded(self, archive: Archive, target: Target) -> bool:
        if self.upload is None:
            return True
        try:
            self.upload(target, self.object_key(archive), archive.content)
        except Exception:  # a vendor survives its customers' buckets
            return False
        return True

    def _become_available(self, archive: Archive) -> None:
        self._turn(archive, "available")
        self._later(archive, KEPT_SECONDS, partial(self._expire, archive))

    def _expire(self, archive: Archive) -> None:
        archive.content = b""
        self._turn(archive, "expired")

    def _url(self, archive: Archive) -> str | None:
        """Null for an uploaded one (opentok-node issue 148); for an available one a new URL with every reading."""
        if archive.status != "available":
            return None
        until_ms = self.world.clock.now_ms() + URL_SECONDS * 1000
        return f"{self.url_prefix}/downloads/{self.object_key(archive)}?until={until_ms}"
