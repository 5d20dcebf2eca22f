"""The Vonage provider: what the core asks for, in terms of Vonage's two environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from marshmallow import Schema, fields, validate

from videoconf.errors import (
    ProviderAuthFailed,
    ProviderConflict,
    ProviderError,
    ProviderRejected,
    ProviderResourceNotFound,
    ValidationFailed,
    WebhookRejected,
)
from videoconf.providers import (
    BrowserClient,
    Capabilities,
    Capability,
    HasRoster,
    JoinToken,
    Moderation,
    Provider,
    ProviderContext,
    ProviderEvent,
    Roster,
    RosterConnection,
    SessionRef,
    SessionRequest,
    StorageScope,
    StoresArchives,
    TokenRequest,
    WebhookAuthentication,
    WebhookRequest,
)
from videoconf_vonage import webhooks
from videoconf_vonage.archives import find_time
from videoconf_vonage.connection_data import MAX_CHARACTERS, pack
from videoconf_vonage.recordings import RUNNING, VonageArchives
from videoconf_vonage.rest import VonageRest, seconds_ahead
from videoconf_vonage.settings import VonageSettings, check_api_url
from videoconf_vonage.storage import storage_body
from videoconf_vonage.tokens import Credentials, OpenTokCredentials, UnifiedCredentials

P = ParamSpec("P")
R = TypeVar("R")

BROWSER_MODULE = Path(__file__).with_name("browser.js")
SDK_HOSTS = tuple(
    f"{scheme}://*.{domain}" for domain in ("opentok.com", "tokbox.com", "vonage.com") for scheme in ("https", "wss")
)
"""Hosts to which the SDK connects, by Vonage's documentation."""
MAX_TOKEN_TTL = timedelta(days=30)
RETRY_HORIZON = timedelta(hours=24)
STORAGE_IN_DASHBOARD = (
    "Vonage's unified environment takes no storage target by API. Set it in the Vonage dashboard, in the Video settings"
    " of the application, under the storage of archives."
)


class Options(Schema):
    """What ``providerOptions`` may hold."""

    mediaMode = fields.String(validate=validate.OneOf(("routed", "relayed")))
    """``routed`` (default): media pass through Vonage. ``relayed``: from client to client where the network allows."""
    location = fields.IPv4()
    """An IPv4 address near which Vonage is to place the session."""


class PartlyMuted(ProviderConflict):
    """Streams of a connection were muted, and another one may be its own too."""

    outcome_unknown = True  # so that the audit trail tells of it


class VonageProvider(VonageArchives, HasRoster, Moderation):
    """Vonage Video in the unified environment; :class:`OpenTokProvider` is the other one.

    :raises ConfigurationError: the private key cannot be used, or nothing proves where a callback comes from.
    """

    key = "vonage"
    label = "Vonage Video"
    Settings = VonageSettings
    options_schema = Options

    @classmethod
    def create(cls, settings: VonageSettings, context: ProviderContext) -> Provider:
        return (OpenTokProvider if settings.api_key else VonageProvider)(settings, context)

    def __init__(self, settings: VonageSettings, context: ProviderContext) -> None:
        super().__init__(settings, context)
        check_api_url(settings, development=context.development)
        webhooks.check_secrets(settings, development=context.development)
        self._credentials: Credentials = (
            OpenTokCredentials(settings.api_key, settings.api_secret)
            if settings.api_key
            else UnifiedCredentials(settings.application_id, settings.private_key)
        )
        self._http = context.http(self.account)
        self._rest = VonageRest(self._credentials, settings.api_url or self._credentials.api_url, self._http)

    @property
    def account(self) -> str:
        return self._credentials.account

    @cached_property
    def capabilities(self) -> Capabilities:
        return self._capabilities()  # once: they are asked for several times in each request

    def _capabilities(self) -> Capabilities:
        return Capabilities(
            features=frozenset(Capability) - {Capability.STORES_ARCHIVES},
            max_token_ttl=MAX_TOKEN_TTL,
            max_data_characters=MAX_CHARACTERS,
            webhook_authentication=self._webhook_authentication(),
            webhook_success_status=200,
            webhook_channels=("session", "archive"),
            retry_horizon=RETRY_HORIZON,
            storage_set_elsewhere=STORAGE_IN_DASHBOARD,
        )

    def _webhook_authentication(self) -> WebhookAuthentication:
        """Give the weakest that is accepted."""
        if self.settings.webhook_token:
            return WebhookAuthentication.SHARED_SECRET
        return WebhookAuthentication.SIGNED if self.settings.signature_secrets else WebhookAuthentication.NONE

    # --- sessions and tokens ----------------------------------------------------------------------------------------

    def ensure_session(self, request: SessionRequest) -> SessionRef:
        """Make a session. Vonage has no way to find a former one again, so this is never repeated once it was sent."""
        relayed = request.options.get("mediaMode") == "relayed"
        if relayed and (request.archiving or request.end_to_end_encryption):
            message = "Only routed media can be archived or encrypted end to end by Vonage."
            raise ProviderRejected(message, errors={"providerOptions.mediaMode": [message]})
        if request.archiving and request.end_to_end_encryption:
            raise ProviderRejected("Vonage does not archive what is encrypted end to end.")
        form = {
            "p2p.preference": "enabled" if relayed else "disabled",
            "archiveMode": "always" if request.archiving else "manual",
            "e2ee": "true" if request.end_to_end_encryption else "false",
        }
        if location := request.options.get("location"):
            form["location"] = str(location)
        return SessionRef(self.account, self._rest.create_session(form))

    @property
    def browser_client(self) -> BrowserClient | None:
        """Vonage's SDK from the configured URL, behind a module of ours. Untried on the real one."""
        if not self.settings.sdk_url:
            return None
        options = {"sdkUrl": self.settings.sdk_url, "sdkIntegrity": self.settings.sdk_integrity}
        return BrowserClient(
            BROWSER_MODULE,
            connect=SDK_HOSTS,
            scripts=(self.settings.sdk_url,),
            images=("data:",),
            media=("blob:",),
            workers=("blob:",),
            options=options,
        )

    def end_session(self, session: SessionRef, connections: Sequence[str]) -> None:
        """Disconnect everybody that the webhooks or Vonage's list know, and stop what is being recorded.

        Tries everything, whatever fails. An automatic archive cannot be stopped; it ends after the last participant.
        """
        session_id = self._own(session)
        failures: list[ProviderError] = []

        def attempt(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return call(*args, **kwargs)
            except (ProviderResourceNotFound, ProviderConflict):
                return None  # gone already, or not ours to stop
            except ProviderError as error:
                failures.append(error)
                return None

        listed, _ = attempt(self._rest.list_connections, session_id) or ([], 0)
        for connection_id in dict.fromkeys([*connections, *_connected(listed)]):
            attempt(self._rest.disconnect, session_id, connection_id)
        for archive in attempt(self.list_archives, session) or ():
            if archive.status in RUNNING:
                attempt(self._rest.stop_archive, archive.archive_id)
        if failures:
            # A retry does not repair a rejection. If this raised one, the core would not retry the other failures.
            raise next((failure for failure in failures if not isinstance(failure, ProviderRejected)), failures[0])

    def issue_token(self, session: SessionRef, request: TokenRequest) -> JoinToken:
        """Sign a token. No call. ``data`` travels as described in :mod:`videoconf_vonage.connection_data`."""
        session_id, data = self._own(session), pack(request)
        if len(data) > MAX_CHARACTERS:
            message = f"Attendee, name and data together take {len(data)} of {MAX_CHARACTERS} characters as packed."
            raise ValidationFailed(errors={"data": [message]})
        token = self._credentials.client_token(session_id, request.role, request.expires_at, data)
        return JoinToken(
            token=token,
            expires_at=datetime.fromtimestamp(int(request.expires_at.timestamp()), UTC),
            connect={self._credentials.connect_name: self.account},
        )

    # --- webhooks ---------------------------------------------------------------------------------------------------

    def verify_webhook(self, request: WebhookRequest) -> None:
        """Check a callback's signature, where it has one; else the token in its URL.

        A signature is never ignored: a bad one is not made good by a token.
        """
        try:
            self._verify(request)
        except WebhookRejected:
            raise
        except Exception as error:  # forgeries make parsers raise all sorts of things
            raise WebhookRejected(f"The verifier raised {type(error).__name__}.") from None

    def _verify(self, request: WebhookRequest) -> None:
        settings = self.settings
        if settings.signature_secrets and (not settings.webhook_token or "authorization" in request.headers):
            webhooks.verify_signature(
                request,
                settings.signature_secrets,
                is_ours=self._credentials.signs_for_us,
                max_age_seconds=settings.signature_max_age_seconds,
                covers=settings.payload_hash,
            )
        elif settings.webhook_token:
            webhooks.verify_token(request, settings.webhook_token)
        elif not self.context.development:
            raise WebhookRejected("No secret is configured.")

    def parse_webhook(self, request: WebhookRequest) -> list[ProviderEvent]:
        return webhooks.parse(request, self.account)

    # --- people -----------------------------------------------------------------------------------------------------

    def list_connections(self, session: SessionRef) -> Roster:
        """List who is connected, silent viewers included; Vonage does not say who they are."""
        try:
            listed, count = self._rest.list_connections(self._own(session))
        except ProviderResourceNotFound:
            return Roster([], complete=True)  # it never ran
        there = [
            RosterConnection(connection_id, connected_at=find_time(found.get("createdAt")))
            for connection_id, found in _connected(listed).items()
        ]
        return Roster(there, complete=count == len(listed))

    def disconnect(self, session: SessionRef, connection_id: str) -> None:
        session_id = self._own(session)
        try:
            self._rest.disconnect(session_id, connection_id)
        except ProviderResourceNotFound:
            return

    def mute(self, session: SessionRef, connection_id: str | None, streams: Mapping[str, Sequence[str]]) -> None:
        """Mute what one connection or everybody publishes now; clients may unmute themselves.

        Vonage mutes streams, and only its callbacks tell whose a stream is. Each that is known to be the connection's
        is muted, listed or not: the list may lag behind.

        :raises ProviderConflict: Vonage lists a stream that no callback reported, so it may be this connection's;
            :class:`PartlyMuted` where others of it were muted.
        """
        session_id = self._own(session)
        try:
            if connection_id is None:
                self._rest.mute_session(session_id)
                return
            found, count = self._rest.list_streams(session_id)
        except ProviderResourceNotFound:
            return  # it never ran
        listed = [stream["id"] for stream in found if isinstance(stream.get("id"), str)]
        mine = streams.get(connection_id, ())
        for stream_id in mine:
            try:
                self._rest.mute_stream(session_id, stream_id)
            except ProviderResourceNotFound:
                continue
            except ProviderRejected:  # Vonage may report a stream that is gone as an invalid id
                if stream_id in listed:
                    raise
        known = {stream_id for of_one in streams.values() for stream_id in of_one}
        if max(count, len(found)) > sum(stream_id in known for stream_id in listed):
            raise (PartlyMuted if mine else ProviderConflict)(
                "Vonage has not told yet whose a stream of this session is: it may be this connection's. What this one"
                " is known to publish is muted. Try again in a moment, mute the meeting, or disconnect the connection."
            )

    # --- the account ------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Ask for one archive. A refusal says how far the clocks are apart, since that looks like a wrong secret."""
        answer = self._rest.probe(accept=(401, 403))
        if answer.status in (401, 403):
            apart = seconds_ahead(answer.headers.get("date"), self.context.clock())
            hint = f" This machine's clock is {apart:+.0f} s off Vonage's." if apart and abs(apart) > 30 else ""
            raise ProviderAuthFailed(f"Vonage refuses these credentials.{hint}", provider_status=answer.status)

    def close(self) -> None:
        self._http.close()


class OpenTokProvider(VonageProvider, StoresArchives):
    """Vonage Video in the OpenTok environment, where the storage target is set by API."""

    def _capabilities(self) -> Capabilities:
        unified = super()._capabilities()
        return replace(
            unified,
            features=unified.features | {Capability.STORES_ARCHIVES},
            storage_scope=StorageScope.ACCOUNT,
            storage_kinds=frozenset({"s3", "azure"}),
            storage_set_elsewhere=None,
        )

    def apply_storage(self, kind: str, configuration: dict[str, Any]) -> None:
        self._rest.set_storage(storage_body(kind, configuration))

    def clear_storage(self) -> None:
        self._rest.clear_storage()


def _connected(listed: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the connections that are not over, by their ids."""
    return {
        found["connectionId"]: found
        for found in listed
        if isinstance(found.get("connectionId"), str) and found.get("connectionState") != "Disconnected"
    }
