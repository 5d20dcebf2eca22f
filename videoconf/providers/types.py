"""What crosses the seam between the core and a provider: frozen, without an ORM row, all times aware and in UTC."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Clock = Callable[[], datetime]
"""Gives the present as an aware UTC time."""


class Role(StrEnum):
    """What the bearer of a meeting token may do."""

    PUBLISHER = "publisher"
    """Sends and receives."""
    SUBSCRIBER = "subscriber"
    """Receives."""
    MODERATOR = "moderator"
    """Sends, receives, and may remove and mute others."""


@dataclass(frozen=True)
class StorageDestination:
    """Where an archive is to be put."""

    kind: str
    """Key of the storage kind; one of ``capabilities.storage_kinds``."""
    configuration: Mapping[str, Any] = field(repr=False)
    """As the storage kind's schema loaded it; holds credentials in clear."""


@dataclass(frozen=True)
class SessionRequest:
    """A room to be made, or found again, for a meeting."""

    meeting_id: str
    """Our id of the meeting, ``[A-Za-z0-9_-]{1,64}``; the same for every repetition of one create."""
    archiving: bool = False
    """Every run of the session is recorded without being asked to."""
    end_to_end_encryption: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    """The caller's ``providerOptions``, as validated by the provider's own schema."""
    storage: StorageDestination | None = None
    """With :attr:`StorageScope.ARCHIVE`: where archives that start by themselves are to be put; None: the vendor's."""


@dataclass(frozen=True)
class SessionRef:
    """A provider's room. ``account`` tells the rooms of two credentials apart."""

    account: str
    session_id: str


@dataclass(frozen=True)
class TokenRequest:
    """A credential to be issued for one person to join one session."""

    role: Role
    expires_at: datetime
    attendee: str | None = None
    """Stable id of the person; None for an anonymous participant."""
    name: str | None = None
    """Display name."""
    data: str | None = None
    """Free text of the caller's that travels to the client's connection."""
    end_to_end_encryption: bool = False
    """The meeting is encrypted end to end, for vendors whose clients learn it with the token."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The meeting's ``providerOptions``, for vendors whose rooms are opened by the first participant."""


@dataclass(frozen=True)
class JoinToken:
    """A credential that was issued."""

    token: str | None
    """None if people join by URL alone; then ``connect["url"]`` is the way in."""
    expires_at: datetime
    """As the provider will enforce it."""
    connect: Mapping[str, Any] = field(default_factory=dict)
    """What a client SDK needs besides the token: api key, server URL. Holds no secret of ours."""


@dataclass(frozen=True)
class WebhookRequest:
    """A webhook as it came in."""

    channel: str
    """Which of the provider's webhooks: ``session``, ``archive``; from our URL."""
    method: str
    url: str
    """The configured public URL with path and query, never what a ``Host`` header claims."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """The raw bytes, before anything parsed them."""
    received_at: datetime


@dataclass(frozen=True)
class WebhookReply:
    """An immediate answer to a handshake: the vendor wants something echoed before it sends events."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"


class EventKind(StrEnum):
    """What a webhook says, in our words."""

    JOINED = "joined"
    """A connection came to be."""
    LEFT = "left"
    """A connection ended."""
    ACTIVITY = "activity"
    """A connection did something (published, stopped publishing, muted): it proves presence and never ends it."""
    SESSION_CLOSED = "session_closed"
    """The room closed and its participants are gone; the meeting goes on if one returns."""
    ARCHIVE = "archive"
    """An archive reached a state."""
    IGNORED = "ignored"
    """Authentic and of no consequence to us."""


class ArchiveStatus(StrEnum):
    """States of an archive that a provider can report, in the order in which they are normally reached."""

    STARTED = "started"
    PAUSED = "paused"
    STOPPED = "stopped"
    FAILED = "failed"
    AVAILABLE = "available"
    """Ready at the provider."""
    UPLOADED = "uploaded"
    """Ready in the storage target."""
    EXPIRED = "expired"
    DELETED = "deleted"


@dataclass(frozen=True)
class ArchiveState:
    """What a provider says of one archive. None: not said."""

    archive_id: str
    session_id: str
    provider_status: str
    """The provider's own word, kept even where we do not know it."""
    status: ArchiveStatus | None
    """Its meaning, or None for a word that we do not know."""
    name: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    duration_seconds: int | None = None
    size_bytes: int | None = None
    reason: str | None = None
    object_key: str | None = None
    """With :attr:`ArchiveStatus.UPLOADED`: under which key the provider has put it, relative to the storage target."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What else it said, JSON values only; never a URL or a secret."""


@dataclass(frozen=True)
class StreamState:
    """What an event says of one media stream that a connection sends: a camera, a screen (elsewhere a track)."""

    stream_id: str
    """As the provider's own calls take it. It names the stream among those of its connection."""
    is_published: bool
    """False: from then on the stream is gone, unless it is published again later."""


@dataclass(frozen=True)
class ProviderEvent:
    """One thing that a webhook says. A webhook may say several."""

    kind: EventKind
    dedupe_key: str
    """Equal for every delivery of this event, and for no other event of the account: the provider's own event id, or
    a digest of all that tells two events apart. At most 200 characters."""
    session_id: str | None = None
    connection_id: str | None = None
    """One continuous connection. A provider that uses an id again must add what tells the runs apart."""
    attendee: str | None = None
    name: str | None = None
    at: datetime | None = None
    """When it happened, by the provider's clock."""
    connected_at: datetime | None = None
    """When the connection came to be, wherever the event says it, whatever its kind."""
    reason: str | None = None
    archive: ArchiveState | None = None
    stream: StreamState | None = None
    """A stream of the connection ``connection_id``, as it was at ``at``. Needed where streams are what is muted."""


@dataclass(frozen=True)
class RosterConnection:
    """A connection that the provider lists now."""

    connection_id: str
    attendee: str | None = None
    name: str | None = None
    connected_at: datetime | None = None


@dataclass(frozen=True)
class Roster:
    """Who is connected now."""

    connections: Sequence[RosterConnection]
    complete: bool
    """False where the list may be incomplete (silent viewers): then absence proves nothing."""


@dataclass(frozen=True)
class ArchiveRequest:
    """An archive to be started."""

    name: str | None = None
    layout: str | None = None
    output: str | None = None
    storage: StorageDestination | None = None
    """With :attr:`StorageScope.ARCHIVE`: where it is to be put; None: the vendor's own storage."""
