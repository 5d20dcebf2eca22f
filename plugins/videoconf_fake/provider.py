"""The fake provider: what the core sees of the made-up vendor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from marshmallow import Schema, fields
from marshmallow.validate import OneOf
from standardwebhooks import Webhook

from videoconf.errors import ConfigurationError, ProviderConflict, ProviderRejected
from videoconf.providers import (
    ArchiveRequest,
    ArchiveState,
    ArchiveStatus,
    Archiving,
    BrowserClient,
    Capabilities,
    Capability,
    DownloadsArchives,
    HasRoster,
    JoinToken,
    Moderation,
    Provider,
    ProviderContext,
    ProviderEvent,
    Role,
    Roster,
    Secret,
    SessionRef,
    SessionRequest,
    StorageScope,
    StoresArchives,
    TokenRequest,
    WebhookRequest,
    setting,
    source_of,
)
from videoconf.storage import SignedUrl
from videoconf_fake import webhooks
from videoconf_fake.ids import id_deriver
from videoconf_fake.media import Media, signed_path
from videoconf_fake.outbox import ARCHIVE_CHANNEL, SESSION_CHANNEL, Outbox
from videoconf_fake.recorder import Recorder
from videoconf_fake.rooms import Rooms
from videoconf_fake.state import State
from videoconf_fake.tokens import MIN_SECRET_BYTES, Claims, sign_token

PREFIX = "VIDEOCONF_FAKE_"
BROWSER_MODULE = Path(__file__).with_name("browser.js")
URL_LIFE = timedelta(minutes=10)


@dataclass(frozen=True)
class FakeSettings:
    """The fake provider's settings."""

    webhook_secrets: tuple[Secret, ...] = setting(
        "Secrets that sign webhooks (Standard Webhooks: `whsec_` and the base64 of 24 bytes or more); the first signs,"
        " each is accepted, so that there are several during rotation."
    )
    token_secret: Secret = setting("Signs join tokens; 32 bytes or more.")
    state: str = setting(
        "SQLite file that holds the provider's rooms, so that the command `fake` drives them from another process."
        " Empty: they are kept in memory.",
        default="",
    )
    seed: int = setting("Number from which all ids follow.", default=1)
    webhook_url: str = setting(
        "Base URL of the service, path prefix included, to which the control surface posts webhooks.",
        default="http://127.0.0.1:8000",
    )
    storage_scope: str = setting(
        "What a storage target is valid for: `archive` (each tenant has its own), `account` (one for all tenants), or"
        " `none`: the provider uploads nothing, and the service copies its archives.",
        default="archive",
        choices=("archive", "account", "none"),
    )
    preset: str = setting(
        "The shape of a real vendor to take on: what that lacks, the fake lacks too. Empty: it can do everything.",
        default="",
        choices=("", "twilio", "bbb", "livekit", "daily", "jaas"),
    )
    media_url: str = setting(
        "Base URL of the command `fake serve`, from which archives are downloaded. Empty: they cannot be.",
        default="",
    )


class Options(Schema):
    """What ``providerOptions`` may hold."""

    region = fields.String(validate=OneOf(("eu", "us", "ap")))


class FakeVendor(Provider):
    """A provider without a network: every call is one transaction on its state. It keeps its archives.

    It has the methods of all capabilities; which of them count is a subclass's to say, by its bases.

    It never posts a webhook. What happens is queued, and :class:`videoconf_fake.control.FakeControl` delivers it.

    :raises ConfigurationError: a secret is missing, too short or malformed, the URL is invalid, or the folder of
        the state does not exist.
    """

    key = "fake"
    label = "Fake (in memory)"
    Settings = FakeSettings
    options_schema = Options

    def __init__(self, settings: FakeSettings, context: ProviderContext) -> None:
        super().__init__(settings, context)
        self.signers = _checked_signers(settings)
        self.state = State(settings.state)
        derive_id = id_deriver(settings.seed)
        self.outbox = Outbox(self.state, derive_id)
        self.recorder = Recorder(self.state, self.outbox, derive_id, context.clock)
        self.rooms = Rooms(self.state, self.outbox, self.recorder, derive_id, context.clock)

    @property
    def account(self) -> str:
        return "fake"

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    @property
    def browser_client(self) -> BrowserClient | None:
        """A simulated room, whose people act at the command ``fake serve``."""
        url = self.settings.media_url.rstrip("/")
        if not url:
            return None
        return BrowserClient(BROWSER_MODULE, connect=(source_of(url),), options={"acts": f"{url}/fake/"})

    def ensure_session(self, request: SessionRequest) -> SessionRef:
        if request.archiving and request.end_to_end_encryption:
            raise ProviderRejected("An encrypted session is not recorded.", provider_code="end_to_end_encrypted")
        return SessionRef(self.account, self.rooms.ensure(request))

    def end_session(self, session: SessionRef, connections: Sequence[str]) -> None:
        """Disconnect everybody. The rooms know who is there, so ``connections`` adds nothing."""
        self.rooms.end(session.session_id)

    def issue_token(self, session: SessionRef, request: TokenRequest) -> JoinToken:
        """Sign a token. Deterministic: the same request at the same time gives the same bytes. Asks no state."""
        now = self.context.clock()
        if not now < request.expires_at <= now + CAPABILITIES.max_token_ttl:
            raise ProviderRejected("A token lives for more than 0 seconds and for 30 days at most.")
        if len(request.data or "") > CAPABILITIES.max_data_characters:
            raise ProviderRejected(f"A token's data has {CAPABILITIES.max_data_characters} characters at most.")
        # Data without an attendee names the attendee, as it does with providers that carry nothing but data.
        attendee = request.data if request.attendee is None else request.attendee
        claims = Claims(session.session_id, request.role, attendee, request.name, request.data)
        token = sign_token(claims, self.settings.token_secret, issued_at=now, expires_at=request.expires_at)
        return JoinToken(
            token=token,
            expires_at=datetime.fromtimestamp(int(request.expires_at.timestamp()), UTC),
            connect={"url": f"fake://{session.session_id}"},
        )

    def verify_webhook(self, request: WebhookRequest) -> None:
        webhooks.verify(request, self.signers)

    def parse_webhook(self, request: WebhookRequest) -> list[ProviderEvent]:
        return webhooks.parse(request)

    def check(self) -> None:
        """Open the state: there is nothing else that could fail to answer."""
        with self.state.read():
            pass

    def cautions(self) -> Sequence[str]:
        if self.settings.state:
            return ()
        return [
            "It keeps its rooms in memory, so each process has its own, and several processes answer at random. Set"
            f" {PREFIX}STATE to a file that all of them share."
        ]

    def close(self) -> None:
        self.state.close()

    def start_archive(self, session: SessionRef, request: ArchiveRequest) -> ArchiveState:
        return self.recorder.start(session.session_id, request)

    def stop_archive(self, session: SessionRef, archive_id: str) -> ArchiveState:
        return self.recorder.stop(archive_id, "requested")

    def get_archive(self, archive_id: str) -> ArchiveState:
        return self.recorder.get(archive_id)

    def list_archives(self, session: SessionRef) -> Sequence[ArchiveState]:
        return self.recorder.list_archives(session.session_id)

    def delete_archive(self, archive_id: str) -> None:
        self.recorder.delete(archive_id)

    def archive_url(self, archive_id: str) -> SignedUrl:
        self._check_readable(archive_id)
        if not self.settings.media_url:
            raise ProviderConflict("VIDEOCONF_FAKE_MEDIA_URL is not set.", provider_code="no_media_url")
        expires_at = self.context.clock() + URL_LIFE
        path = signed_path(archive_id, self.settings.token_secret.reveal(), expires_at)
        return SignedUrl(self.settings.media_url.rstrip("/") + path, expires_at)

    def open_archive(self, archive_id: str) -> BinaryIO:
        return BufferedReader(Media(archive_id, self._check_readable(archive_id).size_bytes or 0))

    def _check_readable(self, archive_id: str) -> ArchiveState:
        archive = self.recorder.get(archive_id)
        if archive.status is not ArchiveStatus.AVAILABLE:
            raise ProviderConflict(f"An archive that is {archive.status} is not read.", provider_code="archive_status")
        return archive

    def list_connections(self, session: SessionRef) -> Roster:
        return Roster(self.rooms.list_connections(session.session_id), complete=True)

    def disconnect(self, session: SessionRef, connection_id: str) -> None:
        self.rooms.disconnect(session.session_id, connection_id)

    def mute(self, session: SessionRef, connection_id: str | None, streams: Mapping[str, Sequence[str]]) -> None:
        self.rooms.mute(session.session_id, connection_id)


class FakeProvider(FakeVendor, Archiving, DownloadsArchives, HasRoster, Moderation):
    """One with every capability but uploading."""

    @classmethod
    def create(cls, settings: Any, context: ProviderContext) -> Provider:
        """Make one of the shape and the storage that the settings ask for, unless a subclass says otherwise."""
        if cls is not FakeProvider:
            return cls(settings, context)
        if settings.preset:
            from videoconf_fake.presets import PRESETS

            return PRESETS[settings.preset](settings, context)
        return (FakeProvider if settings.storage_scope == StorageScope.NONE else PushingFakeProvider)(settings, context)


class PushingFakeProvider(FakeProvider, StoresArchives):
    """One that uploads its archives, with the target's credentials."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(
            CAPABILITIES,
            features=CAPABILITIES.features | {Capability.STORES_ARCHIVES},
            storage_scope=StorageScope(self.settings.storage_scope),
            storage_kinds=frozenset({"memory", "s3", "azure"}),
        )

    def apply_storage(self, kind: str, configuration: dict[str, Any]) -> None:
        if kind not in self.capabilities.storage_kinds:
            raise ProviderRejected("The fake provider does not push to this kind of storage.")
        if self.capabilities.storage_scope is StorageScope.ACCOUNT:
            self.recorder.set_storage(kind, configuration)

    def clear_storage(self) -> None:
        self.recorder.clear_storage()


CAPABILITIES = Capabilities(
    features=frozenset(Capability) - {Capability.STORES_ARCHIVES},
    roles=frozenset(Role),
    idempotent_create=True,
    max_token_ttl=timedelta(days=30),
    max_data_characters=1000,
    webhook_success_status=204,
    webhook_channels=(SESSION_CHANNEL, ARCHIVE_CHANNEL),
    event_ids=True,
    retry_horizon=timedelta(hours=24),
)


def _checked_signers(settings: FakeSettings) -> tuple[Webhook, ...]:
    """Make the signers, and check what else could only fail later. No message repeats a value."""
    faults: list[str] = []
    signers: list[Webhook] = []
    for number, secret in enumerate(settings.webhook_secrets, start=1):
        try:
            signers.append(webhooks.signer(secret))
        except ValueError:
            faults.append(
                f"{PREFIX}WEBHOOK_SECRETS: secret {number} is not whsec_ and the base64 of"
                f" {webhooks.MIN_SECRET_BYTES} bytes or more."
            )
    if not settings.webhook_secrets:
        faults.append(f"{PREFIX}WEBHOOK_SECRETS: at least one secret is needed.")
    if len(settings.token_secret.reveal().encode(errors="surrogateescape")) < MIN_SECRET_BYTES:
        faults.append(f"{PREFIX}TOKEN_SECRET: {MIN_SECRET_BYTES} bytes or more are needed.")
    if not settings.webhook_url.startswith(("http://", "https://")):
        faults.append(f"{PREFIX}WEBHOOK_URL: it begins with http:// or https://")
    if settings.state and not Path(settings.state).absolute().parent.is_dir():
        faults.append(f"{PREFIX}STATE: the folder of this file does not exist.")
    if faults:
        raise ConfigurationError(faults)
    return tuple(signers)
