"""The vendor's world without HTTP: one project or application, its sessions, and who is in them.

Sources are named as "opentok-python 3.15 source", "recorded traffic of the Ruby SDK", "Vonage guide: …" and so on.
"own choice" marks what no source tells and no client may rely on.
"""

from __future__ import annotations

import base64
import re
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tools.vonage_standin.clock import Clock
from tools.vonage_standin.switches import Switches

if TYPE_CHECKING:
    from tools.vonage_standin.archives import Archives

SESSION_ID = re.compile(r"[12]_[A-Za-z0-9_-]{1,253}")
Environment = Literal["opentok", "unified"]
Emit = Callable[[str, dict[str, Any]], None]
"""Takes a callback's name, as the application API spells it (``connection_created``), and its body."""


class Refused(Exception):
    """What the API answers instead of success: ``{code, message, description}`` (vonage-python-sdk recorded data)."""

    def __init__(self, status: int, message: str, code: int = -1) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass
class Stream:
    """Something that a connection publishes."""

    stream_id: str
    connection: Connection
    created_ms: int
    video_type: str | None = "camera"
    """``camera``, ``screen``, ``custom``; None for audio alone (Vonage guide: session monitoring)."""
    name: str = ""
    muted: bool = False
    layout_classes: list[str] = field(default_factory=list)


@dataclass
class Connection:
    """One client in a session."""

    connection_id: str
    session: Session
    created_ms: int
    data: str = ""
    role: str = "publisher"
    state: Literal["Connecting", "Connected", "Disconnected"] = "Connected"
    """As in the list of connections of the Java, .NET and PHP SDKs."""


@dataclass
class Session:
    """A room; lives for ever (Vonage guide: sessions do not expire and cannot be destroyed)."""

    session_id: str
    created_ms: int
    routed: bool
    always_archived: bool = False
    archive_name: str | None = None
    archive_resolution: str | None = None
    end_to_end_encrypted: bool = False
    mutes_newcomers: bool = False
    connections: dict[str, Connection] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)


class World:
    """One account of the vendor. Not thread-safe: the server holds one lock around it."""

    def __init__(self, environment: Environment, account: str, clock: Clock, switches: Switches, emit: Emit) -> None:
        self.environment = environment
        self.account = account
        self.clock = clock
        self.switches = switches
        self.sessions: dict[str, Session] = {}
        self.archives: Archives  # set by the Archives that belong to this world
        self._emit = emit

    # --- sessions ---------------------------------------------------------------------------------------------------

    def create_session(self, *, location: str = "", **properties: Any) -> Session:
        """Make a session with an id that embeds the account."""
        session = Session(self._mint_session_id(location), self.clock.now_ms(), **properties)
        self.sessions[session.session_id] = session
        return session

    def get_session(self, session_id: str) -> Session:
        """Return a session; refuse an unknown one with 404, and with 400 a malformed session id."""
        if session_id in self.sessions:
            return self.sessions[session_id]
        raise Refused(*((404, "Session not found") if SESSION_ID.fullmatch(session_id) else (400, "Invalid sessionId")))

    def get_connection(self, connection_id: str) -> Connection:
        """Return a connection, whatever the session, or refuse with 404."""
        for session in self.sessions.values():
            if connection_id in session.connections:
                return session.connections[connection_id]
        raise Refused(404, "Connection not found")

    def get_stream(self, session: Session, stream_id: str) -> Stream:
        """Return a stream, or refuse with 404."""
        try:
            return session.streams[stream_id]
        except KeyError:
            raise Refused(404, "Stream not found") from None

    # --- people -----------------------------------------------------------------------------------------------------

    def connect(self, session: Session, *, data: str = "", role: str = "publisher") -> Connection:
        """Let a client in whose token was found good."""
        if not session.connections and self.switches.session_events:
            self._session_event("session_created", session)
        connection = Connection(str(uuid.uuid4()), session, self.clock.now_ms(), data, role)
        session.connections[connection.connection_id] = connection
        self._monitor("connection_created", session, connection=_connection_body(connection))
        self.archives.on_connected(session)
        return connection

    def disconnect(self, connection: Connection, reason: str = "clientDisconnected") -> None:
        """End a connection and what it publishes.

        :param reason: ``clientDisconnected``, ``forceDisconnected``, ``networkDisconnected``
            (Vonage guide: session monitoring).
        """
        self._remove(connection, reason)
        if not connection.session.connections:
            self._end_run(connection.session, reason)

    def publish(self, connection: Connection, *, video_type: str | None = "camera", name: str = "") -> Stream:
        """Start a stream."""
        if connection.role == "subscriber":
            raise Refused(403, "A subscriber does not publish")
        session = connection.session
        stream = Stream(str(uuid.uuid4()), connection, self.clock.now_ms(), video_type, name, session.mutes_newcomers)
        session.streams[stream.stream_id] = stream
        self._monitor("stream_created", session, stream=_stream_body(stream))
        self.archives.on_published(session, stream)
        return stream

    def unpublish(self, stream: Stream, reason: str = "clientDisconnected", *, silently: bool = False) -> None:
        """End a stream.

        :param reason: ``clientDisconnected``, ``forceDisconnected``, ``forceUnpublished``, ``mediaStopped``,
            ``networkDisconnected`` (Vonage guide: session monitoring).
        """
        session = stream.connection.session
        del session.streams[stream.stream_id]
        if not silently:
            self._monitor("stream_destroyed", session, stream=_stream_body(stream), reason=reason)
        if not session.streams:
            self.archives.on_silence(session)

    def mute_session(self, session: Session, *, active: bool, excluded: list[str]) -> None:
        """Mute what is published, and what will be while ``active`` (opentok-python 3.15 source, mute_all)."""
        for stream_id in excluded:
            self.get_stream(session, stream_id)
        session.mutes_newcomers = active
        for stream in session.streams.values():
            if active and stream.stream_id not in excluded:
                stream.muted = True

    def notify_rotation(self, session: Session) -> None:
        """Announce that the server goes away soon (Vonage guide: session migration)."""
        if self.switches.session_events:
            self._session_event("session_notification", session, reason="serverRotation")

    def break_off(self, session: Session, reason: str = "serverRotation", *, silently: bool = False) -> None:
        """Put everybody out because their server goes away.

        :param reason: ``serverRotation`` (Vonage guide: session migration), ``forceDisconnected`` (Vonage guide:
            service disruption callbacks).
        :param silently: only the end of the session has a callback (own choice: nothing promises it).
        """
        for connection in list(session.connections.values()):
            self._remove(connection, "forceDisconnected", silently=silently)
        self._end_run(session, reason)

    def _remove(self, connection: Connection, reason: str, *, silently: bool = False) -> None:
        session = connection.session
        for stream in [one for one in session.streams.values() if one.connection is connection]:
            self.unpublish(stream, reason, silently=silently)
        del session.connections[connection.connection_id]
        connection.state = "Disconnected"
        if not silently:
            self._monitor("connection_destroyed", session, connection=_connection_body(connection), reason=reason)

    def _end_run(self, session: Session, reason: str) -> None:
        self.archives.on_emptied(session)
        if self.switches.session_events:
            self._session_event("session_destroyed", session, reason=reason)

    # --- callbacks --------------------------------------------------------------------------------------------------

    def _session_event(self, name: str, session: Session, **more: Any) -> None:
        if self.switches.session_event_body == "nested":
            more["session"] = {"id": session.session_id, "createdAt": session.created_ms}
        self._monitor(name, session, **more)

    def _monitor(self, name: str, session: Session, /, **more: Any) -> None:
        """Send a session monitoring callback; ``projectId`` is text here (Vonage guide: session monitoring)."""
        account = self.switches.unified_account_field if self.environment == "unified" else "projectId"
        first, _, second = name.partition("_")
        event = first + second.capitalize()
        self._emit(
            name,
            {
                "sessionId": session.session_id,
                account: self.account,
                "event": event,
                **({"reason": more.pop("reason")} if "reason" in more else {}),
                "timestamp": self.clock.now_ms(),
                **more,
            },
        )

    def archive_changed(self, body: dict[str, Any]) -> None:
        """Send an archive status callback: the archive object, without a time stamp (Vonage guide: archiving)."""
        self._emit("archive_status", body)

    def _mint_session_id(self, location: str) -> str:
        """``prefix + base64url("1~account~location~epoch ms~random~~")``, as recorded ids decode.

        The opentok SDK refuses to make a token for an id in which it does not find its key between tildes.
        """
        noise = secrets.token_urlsafe(18).replace("~", "")
        text = f"1~{self.account}~{location}~{self.clock.now_ms()}~{noise}~~"
        encoded = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        return self.switches.session_id_prefix + encoded


def _connection_body(connection: Connection) -> dict[str, Any]:
    return {"id": connection.connection_id, "createdAt": connection.created_ms, "data": connection.data}


def _stream_body(stream: Stream) -> dict[str, Any]:
    """The connection is inside the stream and nowhere else (Vonage guide: session monitoring)."""
    body = {
        "id": stream.stream_id,
        "connection": _connection_body(stream.connection),
        "createdAt": stream.created_ms,
        "name": stream.name,
    }
    return body if stream.video_type is None else {**body, "videoType": stream.video_type}
