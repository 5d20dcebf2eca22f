"""What a provider can do: declared once, checked before any side effect, shown to callers and in the docs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from videoconf.providers.types import Role


class Capability(StrEnum):
    """Something that a provider may lack. Where a class stands beside it, declaring and implementing go together."""

    ARCHIVING = "archiving"
    """Archives are started, stopped, read and deleted by API: :class:`~videoconf.providers.base.Archiving`."""
    AUTOMATIC_ARCHIVING = "automatic_archiving"
    """A session can be recorded from its start without being asked to."""
    ARCHIVE_DOWNLOADS = "archive_downloads"
    """The provider's copy of an archive can be read: :class:`~videoconf.providers.base.DownloadsArchives`."""
    STORES_ARCHIVES = "stores_archives"
    """Archives are pushed to the operator's bucket: :class:`~videoconf.providers.base.StoresArchives`."""
    ROSTER = "roster"
    """The provider tells who is connected: :class:`~videoconf.providers.base.HasRoster`."""
    MODERATION = "moderation"
    """People can be disconnected and muted: :class:`~videoconf.providers.base.Moderation`."""
    END_TO_END_ENCRYPTION = "end_to_end_encryption"
    """Media can be encrypted between clients."""
    ATTENDEE_NAMES = "attendee_names"
    """Display names travel with the token."""


class SessionCreation(StrEnum):
    """When a room is made."""

    EAGER = "eager"
    """With the meeting: rooms last until they are used."""
    JUST_IN_TIME = "just_in_time"
    """With the first token, because the vendor deletes rooms that stay empty."""


class WebhookAuthentication(StrEnum):
    """How a webhook proves where it comes from."""

    SIGNED = "signed"
    """A signature over the body."""
    SHARED_SECRET = "shared_secret"  # noqa: S105  # the name of a scheme
    """A secret in the URL or a header, which does not cover the body."""
    NONE = "none"
    """Nothing: it only serves with ``VIDEOCONF_DEVELOPMENT``."""


class StorageScope(StrEnum):
    """What one storage setting at the provider is valid for."""

    NONE = "none"
    ACCOUNT = "account"
    """The whole account: only the default tenant may set it. It is set by ``apply_storage``."""
    ARCHIVE = "archive"
    """Each archive: each tenant has its own. It comes with each request to record."""


@dataclass(frozen=True)
class Capabilities:
    """What a provider can do, and the facts that the core needs to know."""

    features: frozenset[Capability] = frozenset()
    """Which capabilities it has."""
    roles: frozenset[Role] = frozenset(Role)
    """Roles that a token can carry. Anything else is refused, never widened to another role."""
    session_creation: SessionCreation = SessionCreation.EAGER
    """Whether a room is made with the meeting, or with its first token because rooms do not wait for long."""
    idempotent_create: bool = False
    """``ensure_session`` for one meeting id gives one session, however often and from wherever it is called."""
    max_token_ttl: timedelta = timedelta(hours=24)
    """Longest life of a token."""
    max_data_characters: int = 1000
    """Longest ``data``, counted in the form in which the provider carries it."""
    webhook_authentication: WebhookAuthentication = WebhookAuthentication.SIGNED
    """How a webhook proves where it comes from: a signature, a shared secret, or not at all."""
    webhook_success_status: int = 204
    """The status that the vendor takes for success."""
    webhook_channels: tuple[str, ...] = ("session",)
    """Webhooks that the operator registers, by the last part of our URL."""
    event_ids: bool = False
    """Events carry the provider's own ids."""
    retry_horizon: timedelta = timedelta(hours=24)
    """How long the provider repeats a webhook that was not taken."""
    repeats_refused_webhooks: bool = True
    """The provider repeats a webhook that was answered with an error status. False: any answer counts as delivered, and
    only a webhook without an answer is repeated. Then a proxy must turn our 5xx into a closed connection, or the roster
    must find what was lost."""
    storage_scope: StorageScope = StorageScope.NONE
    """Whether the vendor keeps one storage setting for the account, takes one with each archive, or pushes nothing."""
    storage_kinds: frozenset[str] = frozenset()
    """Keys of the storage kinds to which the provider can push."""
    starts_archives: bool = True
    """With `automatic_archiving`: the vendor starts the archive of each run by itself. Where it cannot, the core starts
    it when the first participant joins."""
    deletes_archives: bool = True
    """The vendor deletes its copy and its record of an archive by API. Where it cannot, ``delete_archive`` only checks
    that the recording has stopped, the vendor's list may still name it, and the receipt of the deletion says so."""
    caller_brings_encryption_key: bool = False
    """With `end_to_end_encryption`: the vendor distributes no keys, and the caller must give each client the key."""
    storage_set_elsewhere: str | None = None
    """Tells people where the storage is set to which the vendor pushes archives that have no storage target of this
    service. Where no provider has `stores_archives`, the request that sets a target is refused with this text."""

    def __contains__(self, capability: Capability) -> bool:
        return capability in self.features
