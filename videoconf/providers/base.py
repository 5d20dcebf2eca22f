"""What a provider is: one class that all have, and small ones for what not every vendor can do.

One instance serves the whole application and is shared by its threads. It never sees Flask, SQL, or a setting that it
did not declare. Every error that leaves it is one of :mod:`videoconf.errors`; anything else counts as the plugin's bug
(``provider_plugin_error``). Every HTTP request it makes goes through the client of its context.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

from marshmallow import Schema

from videoconf.providers.browser import BrowserClient
from videoconf.providers.capabilities import Capabilities, Capability
from videoconf.providers.http import GuardedClient
from videoconf.providers.types import (
    ArchiveRequest,
    ArchiveState,
    Clock,
    JoinToken,
    ProviderEvent,
    Roster,
    SessionRef,
    SessionRequest,
    StorageDestination,
    TokenRequest,
    WebhookReply,
    WebhookRequest,
)
from videoconf.storage import SignedUrl, StorageTarget

CONTRACT_VERSION = 1
"""Version of this interface. It grows when an implementation of an older version would no longer work."""


@dataclass(frozen=True)
class ProviderContext:
    """What the core gives to a provider."""

    clock: Clock
    http: Callable[[str], GuardedClient]
    """Gives the HTTP client for an account. Breaker and slots are kept per account."""
    development: bool = False
    open_storage: Callable[[StorageDestination], StorageTarget] | None = None
    """Gives the means to write to a destination, for a provider that uploads by itself; None outside a service."""


class Provider(ABC):
    """A video vendor behind videoconf.

    :param settings: an instance of :attr:`Settings`, read and checked by the core.
    """

    contract_version: ClassVar[int] = CONTRACT_VERSION
    key: ClassVar[str]
    """Names the provider in settings, URLs and rows: ``[a-z][a-z0-9]{1,31}``. Never changes."""
    label: ClassVar[str]
    """The vendor's name for people."""
    Settings: ClassVar[type[Any]]
    """A frozen dataclass of :func:`~videoconf.configuration.setting` fields, read from ``VIDEOCONF_<KEY>_…``."""
    options_schema: ClassVar[type[Schema] | None] = None
    """Validates ``providerOptions`` of ``POST /session``; None: the provider takes none."""

    def __init__(self, settings: Any, context: ProviderContext) -> None:
        self.settings = settings
        self.context = context

    @classmethod
    def create(cls, settings: Any, context: ProviderContext) -> Provider:
        """Make the instance that serves: of this class, or of a subclass where the settings decide what it can do."""
        return cls(settings, context)

    @property
    @abstractmethod
    def account(self) -> str:
        """The credential set's public name (api key, application id). Part of every key that holds a vendor's id."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this provider can do with these settings. Cheap, constant, makes no call."""

    @abstractmethod
    def ensure_session(self, request: SessionRequest) -> SessionRef:
        """Make the meeting's room, or give the one that a former call for this meeting made, where the vendor can.

        ``capabilities.idempotent_create`` says whether it can.

        :raises ProviderError: ``outcome_unknown`` where a room may have been made.
        """

    @abstractmethod
    def end_session(self, session: SessionRef, connections: Sequence[str]) -> None:
        """Disconnect all participants and stop running archives. Idempotent: succeeds if the session is gone.

        :param connections: ids of the connections that webhooks told of and that have not left, for vendors that can
            only disconnect one by one. The provider adds those it can find out itself.
        :raises ProviderError: when something may be left; the core tries again.
        """

    @abstractmethod
    def issue_token(self, session: SessionRef, request: TokenRequest) -> JoinToken:
        """Give one person a credential to join. Thread-safe. No network call where the vendor's scheme allows it."""

    @abstractmethod
    def verify_webhook(self, request: WebhookRequest) -> None:
        """Check where a webhook comes from, over its raw bytes. A pure function of the request and the settings.

        Both directions of the freshness window are checked against ``request.received_at``.

        :raises WebhookRejected: for anything wrong; any other exception counts as the same.
        """

    @abstractmethod
    def parse_webhook(self, request: WebhookRequest) -> list[ProviderEvent]:
        """Parse a verified webhook. A pure function: no call, no clock, no state.

        An event of a kind that is not known is :attr:`EventKind.IGNORED`, never an error. An exception means that the
        body cannot be read: it is kept, counted and acknowledged.
        """

    @abstractmethod
    def check(self) -> None:
        """Ask the vendor for something harmless, to see that it answers and takes the credentials.

        :raises ProviderError: that it does not.
        """

    def cautions(self) -> Sequence[str]:
        """Return what these settings do not support, for example several processes. Makes no call.

        ``doctor`` prints each as a warning, and outside development as an error.
        """
        return ()

    @abstractmethod
    def close(self) -> None:
        """Release what the instance holds. May be called twice."""

    @property
    def browser_client(self) -> BrowserClient | None:
        """The client with which people take part by the join page; None: a product brings its own. Makes no call."""
        return None

    def answer_handshake(self, request: WebhookRequest) -> WebhookReply | None:
        """Answer a vendor's probe of our webhook URL; None for an ordinary webhook. Called after verification."""
        return None

    def storable_body(self, request: WebhookRequest) -> bytes:
        """Return a verified webhook's body as it may be stored for inspection, without secrets that the vendor sends.

        Called for every webhook, unreadable ones too. A pure function; where it raises, no body is stored.
        """
        return request.body


class Archiving(ABC):
    """Archives by API: :attr:`Capability.ARCHIVING`."""

    @abstractmethod
    def start_archive(self, session: SessionRef, request: ArchiveRequest) -> ArchiveState:
        """Start recording. Not idempotent.

        :raises ProviderConflict: the session has no connection, or is being recorded already (see ``provider_code``).
        """

    @abstractmethod
    def stop_archive(self, session: SessionRef, archive_id: str) -> ArchiveState:
        """Stop recording. An archive that has stopped already is success."""

    @abstractmethod
    def get_archive(self, archive_id: str) -> ArchiveState:
        """Read one archive.

        :raises ProviderResourceNotFound: it does not exist.
        """

    @abstractmethod
    def list_archives(self, session: SessionRef) -> Sequence[ArchiveState]:
        """Read all archives of a session that are not deleted, newest first."""

    @abstractmethod
    def delete_archive(self, archive_id: str) -> None:
        """Delete the provider's copy. Idempotent: succeeds if the copy is already gone.

        With ``deletes_archives`` False there is nothing to delete: an archive that has stopped is success.

        :raises ProviderConflict: it is still being recorded.
        """


class DownloadsArchives(ABC):
    """Reading the provider's own copy of an archive: :attr:`Capability.ARCHIVE_DOWNLOADS`."""

    @abstractmethod
    def archive_url(self, archive_id: str) -> SignedUrl:
        """Ask for a URL by which anybody can read an archive for a while, by a plain GET and in ranges. Never cached.

        :raises ProviderResourceNotFound: the archive does not exist.
        :raises ProviderConflict: it cannot be read: not yet, or no longer.
        """

    @abstractmethod
    def open_archive(self, archive_id: str) -> BinaryIO:
        """Open an archive to be read once from its beginning; the caller closes it. Memory use is bounded.

        The deadline in force holds until this returns; reading is bounded by the peer's silences alone. An end that
        comes too early is an error of reading (:class:`ProviderError`), never an end.

        :raises ProviderResourceNotFound: the archive does not exist.
        :raises ProviderConflict: it cannot be read: not yet, or no longer.
        """


class StoresArchives(ABC):
    """Archives pushed to the operator's bucket: :attr:`Capability.STORES_ARCHIVES`.

    With :attr:`StorageScope.ACCOUNT` the vendor keeps one setting, which these methods change. With
    :attr:`StorageScope.ARCHIVE` it keeps none: the destination is ``storage`` of each request to record, which alone
    tells the tenants apart; then ``apply_storage`` only checks what it can, and ``clear_storage`` does nothing.

    What is reported as :attr:`ArchiveStatus.UPLOADED` names the key of the object (``ArchiveState.object_key``).
    """

    @abstractmethod
    def apply_storage(self, kind: str, configuration: dict[str, Any]) -> None:
        """Make the provider put archives there from now on. Idempotent, a full replacement.

        :param kind: key of the storage kind; one of ``capabilities.storage_kinds``.
        :param configuration: as the storage kind's schema loaded it; holds credentials in clear.
        :raises ProviderRejected: the provider does not accept it; what was in force stays so.
        """

    @abstractmethod
    def clear_storage(self) -> None:
        """Go back to the provider's own storage. Idempotent."""


class HasRoster(ABC):
    """Who is connected now: :attr:`Capability.ROSTER`."""

    @abstractmethod
    def list_connections(self, session: SessionRef) -> Roster:
        """Read who is connected. A session that never ran has an empty, complete roster."""


class Moderation(ABC):
    """Removing and muting people: :attr:`Capability.MODERATION`."""

    def hides_attendee(self, connection_id: str) -> bool:
        """Return whether the client of a connection without an attendee may hide whose token it uses.

        Such connections are disconnected while a ban holds. Most vendors' tokens name the attendee themselves, so that
        no client can.
        """
        return False

    @abstractmethod
    def disconnect(self, session: SessionRef, connection_id: str) -> None:
        """Disconnect one connection. Idempotent: succeeds if the connection has already left."""

    @abstractmethod
    def mute(self, session: SessionRef, connection_id: str | None, streams: Mapping[str, Sequence[str]]) -> None:
        """Mute all streams of one connection, or with None of all connections. Idempotent.

        A connection that sends nothing, or is gone, is success.

        :param streams: the ids of the streams that are there, as far as events told (:class:`StreamState`), by the
            id of their connection. For vendors that mute streams; others ignore it.
        :raises ProviderConflict: the connection may be sending more than events have told. What it is known to send
            may have been muted.
        """


INTERFACES: dict[Capability, type[ABC]] = {
    Capability.ARCHIVING: Archiving,
    Capability.ARCHIVE_DOWNLOADS: DownloadsArchives,
    Capability.STORES_ARCHIVES: StoresArchives,
    Capability.ROSTER: HasRoster,
    Capability.MODERATION: Moderation,
}
"""The class that goes with a capability. Declared without the class, or the class without declaring, is an error."""
