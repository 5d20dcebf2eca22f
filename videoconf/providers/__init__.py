"""What a provider is. A plugin imports what it needs from here, and nothing else of the core but errors and storage."""

from videoconf.configuration import setting
from videoconf.providers.base import (
    CONTRACT_VERSION,
    INTERFACES,
    Archiving,
    DownloadsArchives,
    HasRoster,
    Moderation,
    Provider,
    ProviderContext,
    StoresArchives,
)
from videoconf.providers.browser import BrowserClient, source_of
from videoconf.providers.capabilities import (
    Capabilities,
    Capability,
    SessionCreation,
    StorageScope,
    WebhookAuthentication,
)
from videoconf.providers.deadline import provider_deadline, seconds_left
from videoconf.providers.failures import VendorError
from videoconf.providers.http import GuardedClient
from videoconf.providers.messages import Answer, ErrorReader
from videoconf.providers.port import ProviderPort
from videoconf.providers.types import (
    ArchiveRequest,
    ArchiveState,
    ArchiveStatus,
    Clock,
    EventKind,
    JoinToken,
    ProviderEvent,
    Role,
    Roster,
    RosterConnection,
    SessionRef,
    SessionRequest,
    StorageDestination,
    StreamState,
    TokenRequest,
    WebhookReply,
    WebhookRequest,
)
from videoconf.settings import Secret
from videoconf.variables import as_meant, text_of_file

__all__ = [
    "CONTRACT_VERSION",
    "INTERFACES",
    "Answer",
    "ArchiveRequest",
    "ArchiveState",
    "ArchiveStatus",
    "Archiving",
    "BrowserClient",
    "Capabilities",
    "Capability",
    "Clock",
    "DownloadsArchives",
    "ErrorReader",
    "EventKind",
    "GuardedClient",
    "HasRoster",
    "JoinToken",
    "Moderation",
    "Provider",
    "ProviderContext",
    "ProviderEvent",
    "ProviderPort",
    "Role",
    "Roster",
    "RosterConnection",
    "Secret",
    "SessionCreation",
    "SessionRef",
    "SessionRequest",
    "StorageDestination",
    "StorageScope",
    "StoresArchives",
    "StreamState",
    "TokenRequest",
    "VendorError",
    "WebhookAuthentication",
    "WebhookReply",
    "WebhookRequest",
    "as_meant",
    "provider_deadline",
    "seconds_left",
    "setting",
    "source_of",
    "text_of_file",
]
