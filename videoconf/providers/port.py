"""The one way from the core to a provider's plugin."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, BinaryIO, TypeVar, cast

from videoconf.containment import is_fit, plain_messages, raised_by_signal, words_of
from videoconf.errors import (
    CapabilityUnsupported,
    ProviderBadResponse,
    ProviderPluginError,
    VideoconfError,
    WebhookRejected,
)
from videoconf.providers.base import Provider
from videoconf.providers.browser import BrowserClient
from videoconf.providers.capabilities import Capability, SessionCreation
from videoconf.providers.cleaning import (
    cleaned_archive,
    cleaned_connection,
    cleaned_event,
    cleaned_reply,
    cleaned_token,
    cleaned_url,
)
from videoconf.providers.deadline import provider_deadline
from videoconf.providers.types import (
    ArchiveRequest,
    ArchiveState,
    EventKind,
    JoinToken,
    ProviderEvent,
    Roster,
    SessionRef,
    SessionRequest,
    TokenRequest,
    WebhookReply,
    WebhookRequest,
)
from videoconf.spelling import propose_fields
from videoconf.storage import RemoteBody, SignedUrl

logger = logging.getLogger(__name__)

T = TypeVar("T")

MOST_LISTED = 10_000
"""The limit for a provider's list, which may have no end. A longer roster counts as incomplete."""
SESSION_ID = re.compile(r"[\x21-\x7e]{1,255}")
UNREADABLE = "unreadable:"
"""The dedupe key of an event that stands for one that cannot be read begins with this."""


class ProviderPort:
    """A provider as the core may use it.

    Every call has a deadline, raises only :class:`~videoconf.errors.VideoconfError`, and returns a checked value. Made
    once for each enabled provider and shared by all threads. Metrics and spans of a provider's HTTP calls are the
    guarded client's, which alone knows attempts, status and host.

    :param provider: what the plugin made. Its ``capabilities`` and ``account`` are constant, and are read once.
    """

    def __init__(self, provider: Provider) -> None:
        self.plugin = provider
        """For the plugin's own commands and for :mod:`videoconf.testing`; the core calls nothing of it but here."""
        self.key = provider.key
        self.label = provider.label
        self.account = provider.account
        self.capabilities = provider.capabilities

    # --- what it can do -----------------------------------------------------------------------------------------

    def can(self, capability: Capability) -> bool:
        """Return whether the provider has a capability."""
        return capability in self.capabilities.features

    def require(self, capability: Capability) -> None:
        """Check for a capability, before any side effect.

        :raises CapabilityUnsupported: the provider lacks it.
        """
        if capability not in self.capabilities.features:
            raise CapabilityUnsupported(f"The provider {self.key!r} lacks the capability {capability.value!r}.")

    @property
    def is_eager(self) -> bool:
        """Whether a room is made with the meeting."""
        return self.capabilities.session_creation is SessionCreation.EAGER

    def pushes_to(self, kind: str) -> bool:
        """Return whether the provider puts archives into a kind of storage by itself."""
        return self.can(Capability.STORES_ARCHIVES) and kind in self.capabilities.storage_kinds

    @property
    def records_on_join(self) -> bool:
        """Whether the core must start the archives of meetings that are recorded from their start."""
        return self.can(Capability.AUTOMATIC_ARCHIVING) and not self.capabilities.starts_archives

    @property
    def takes_options(self) -> bool:
        """Whether ``providerOptions`` may be sent."""
        return self.plugin.options_schema is not None

    def validate_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is wrong with ``providerOptions``, by field."""
        with self._contained("options_schema"):
            schema: Any = self.plugin.options_schema
            made = schema()
            return propose_fields(plain_messages(made.validate(dict(options))), made)

    # --- rooms and people ---------------------------------------------------------------------------------------

    def ensure_session(self, request: SessionRequest) -> SessionRef:
        """Return the provider's session for a meeting; call this outside any transaction.

        :raises ProviderError: no session was made. With ``outcome_unknown`` an unused one may exist.
        """
        ref = self._of_type(SessionRef, self._call("ensure_session", request), "ensure_session")
        if not all(isinstance(text, str) and SESSION_ID.fullmatch(text) for text in (ref.account, ref.session_id)):
            raise ProviderBadResponse("The provider gave a session without a usable id.")
        return ref

    def end_session(self, session: SessionRef, connections: Sequence[str]) -> None:
        self._call("end_session", session, connections)

    def issue_token(self, session: SessionRef, request: TokenRequest) -> JoinToken:
        join = self._of_type(JoinToken, self._call("issue_token", session, request), "issue_token")
        return self._usable(cleaned_token, join, "The provider gave a token that cannot be used.")

    def list_connections(self, session: SessionRef) -> Roster:
        """Return who is connected now. A connection whose id cannot be stored is left out."""
        self.require(Capability.ROSTER)
        roster = self._of_type(Roster, self._call("list_connections", session), "list_connections")
        with self._contained("list_connections"):
            connections, is_complete = roster.connections, bool(roster.complete)
        usable = []
        for one in self._listed(connections, "list_connections"):
            try:
                usable.append(cleaned_connection(one))
            except BaseException as error:  # a plugin may return anything
                if raised_by_signal(error):
                    raise
                logger.warning("a connection of a roster is left out: %s", type(error).__name__)
        return Roster(usable, is_complete and len(usable) < MOST_LISTED)

    def disconnect(self, session: SessionRef, connection_id: str) -> None:
        self.require(Capability.MODERATION)
        self._call("disconnect", session, connection_id)

    def hides_attendee(self, connection_id: str) -> bool:
        self.require(Capability.MODERATION)
        hides = self._call("hides_attendee", connection_id)
        with self._contained("hides_attendee"):
            return bool(hides)

    def mute(self, session: SessionRef, connection_id: str | None, streams: Mapping[str, Sequence[str]]) -> None:
        self.require(Capability.MODERATION)
        self._call("mute", session, connection_id, streams)

    def check(self) -> None:
        self._call("check")

    def cautions(self) -> list[str]:
        """Return what the provider's settings do not hold for, each with its remedy."""
        found = self._listed(self._call("cautions"), "cautions")
        with self._contained("cautions"):
            return [str(one) for one in found]

    def browser_client(self) -> BrowserClient | None:
        """Return the provider's client for browsers, if it has one that is safe to serve."""
        with self._contained("browser_client"):
            client = self.plugin.browser_client
            faults = [] if client is None else list(self._of_type(BrowserClient, client, "browser_client").faults())
        if faults:
            logger.error("the browser client of %s cannot be served: %s", self.key, "; ".join(faults))
            raise ProviderPluginError
        return client

    # --- webhooks -----------------------------------------------------------------------------------------------

    def verify_webhook(self, request: WebhookRequest) -> None:
        """Check where a webhook comes from.

        :raises WebhookRejected: its origin is not proven. Verifying libraries raise all sorts of exceptions on
            malformed input, and each of them means the same.
        """
        try:
            self.plugin.verify_webhook(request)
        except BaseException as error:
            if raised_by_signal(error):
                raise
            reason = words_of(error) if isinstance(error, WebhookRejected) else ""
            raise WebhookRejected(reason or f"the verifier raised {type(error).__name__}") from error

    def answer_handshake(self, request: WebhookRequest) -> WebhookReply | None:
        """Return the answer to a handshake, or None for a webhook.

        :raises ProviderPluginError: the plugin failed. It makes no call here, so that no other error can be meant.
        """
        try:
            reply = self.plugin.answer_handshake(request)
            return None if reply is None else cleaned_reply(self._of_type(WebhookReply, reply, "answer_handshake"))
        except BaseException as error:
            raise self._failure(error, "answer_handshake") from error

    def parse_webhook(self, request: WebhookRequest) -> list[ProviderEvent]:
        """Parse a webhook; replace each unreadable event, or the whole body, by a placeholder (:data:`UNREADABLE`)."""
        try:
            said = list(self.plugin.parse_webhook(request))
        except BaseException as error:
            return [self._unreadable(request, error)]
        return [self._cleaned(request, event, f":{number}") for number, event in enumerate(said)]

    def _cleaned(self, request: WebhookRequest, event: ProviderEvent, place: str) -> ProviderEvent:
        try:
            clean = cleaned_event(event)
            if not clean.dedupe_key:
                raise ValueError("the event has no dedupe key")
        except BaseException as error:
            return self._unreadable(request, error, place)
        return clean

    def _unreadable(self, request: WebhookRequest, error: BaseException, place: str = "") -> ProviderEvent:
        if raised_by_signal(error):
            raise error
        logger.debug("a webhook of %s on %s cannot be read", self.key, request.channel, exc_info=error)
        # The key is that of the stored body, so that a replay gives the same key. Whitespace is left out, because some
        # signatures do not cover it: from one signed body a client could derive any number of keys.
        body = self.storable_body(request) or request.body
        key = f"{UNREADABLE}{hashlib.sha256(b''.join(body.split())).hexdigest()}{place}"
        # The class alone: the error's text may repeat the body.
        return ProviderEvent(EventKind.IGNORED, key, reason=f"It cannot be read ({type(error).__name__}).")

    def storable_body(self, request: WebhookRequest) -> bytes | None:
        """Return what may be stored of a webhook's body; None if the plugin fails, since it may hold a secret."""
        try:
            return self._of_type(bytes, self.plugin.storable_body(request), "storable_body")
        except BaseException as error:
            if raised_by_signal(error):
                raise
            logger.exception("a webhook of %s on %s is stored without its body", self.key, request.channel)
            return None

    # --- archives -----------------------------------------------------------------------------------------------

    def start_archive(self, session: SessionRef, request: ArchiveRequest) -> ArchiveState:
        self.require(Capability.ARCHIVING)
        return _checked_archive(self._call("start_archive", session, request))

    def stop_archive(self, session: SessionRef, archive_id: str) -> ArchiveState:
        self.require(Capability.ARCHIVING)
        return _checked_archive(self._call("stop_archive", session, archive_id))

    def get_archive(self, archive_id: str) -> ArchiveState:
        self.require(Capability.ARCHIVING)
        return _checked_archive(self._call("get_archive", archive_id))

    def list_archives(self, session: SessionRef) -> list[ArchiveState]:
        """Return the archives that can be used; one that cannot must not hide the others."""
        self.require(Capability.ARCHIVING)
        usable = []
        for one in self._listed(self._call("list_archives", session), "list_archives"):
            try:
                usable.append(_checked_archive(one))
            except ProviderBadResponse:
                logger.warning("an archive in a provider's list cannot be used and is left out")
        return usable

    def delete_archive(self, archive_id: str) -> None:
        self.require(Capability.ARCHIVING)
        self._call("delete_archive", archive_id)

    def archive_url(self, archive_id: str) -> SignedUrl:
        self.require(Capability.ARCHIVE_DOWNLOADS)
        signed = self._of_type(SignedUrl, self._call("archive_url", archive_id), "archive_url")
        return self._usable(cleaned_url, signed, "The provider gave a URL that cannot be used.")

    def open_archive(self, archive_id: str) -> BinaryIO:
        """Open an archive to be read once; the caller closes it. Reading raises only :class:`VideoconfError` too."""
        self.require(Capability.ARCHIVE_DOWNLOADS)
        stream = self._call("open_archive", archive_id)
        return cast("BinaryIO", RemoteBody(stream, lambda: self._contained("open_archive")))

    def apply_storage(self, kind: str, configuration: dict[str, Any]) -> None:
        self.require(Capability.STORES_ARCHIVES)
        self._call("apply_storage", kind, configuration)

    def clear_storage(self) -> None:
        self.require(Capability.STORES_ARCHIVES)
        self._call("clear_storage")

    def close(self) -> None:
        """Release what the provider holds. An error is logged and not raised: no caller could do more."""
        try:
            self._call("close")
        except VideoconfError as error:
            logger.warning("the provider %s was not closed: %s", self.key, error.code)

    # --- the one call -------------------------------------------------------------------------------------------

    def _call(self, method: str, *args: Any) -> Any:
        with provider_deadline():
            try:
                return getattr(self.plugin, method)(*args)
            except BaseException as error:
                if isinstance(error, VideoconfError) and is_fit(error):
                    raise
                raise self._failure(error, method) from error

    @contextmanager
    def _contained(self, method: str) -> Iterator[None]:
        """Contain what a block raises, where it is more than one call or has no deadline."""
        try:
            yield
        except BaseException as error:
            if isinstance(error, VideoconfError) and is_fit(error):
                raise
            raise self._failure(error, method) from error

    def _failure(self, error: BaseException, method: str) -> ProviderPluginError:
        """Return the error for whatever else a plugin raised; the log has its trace."""
        if raised_by_signal(error):
            raise error
        logger.error("a provider's plugin failed in %s.%s", self.key, method, exc_info=error)
        return ProviderPluginError()

    def _of_type(self, wanted: type[T], value: Any, method: str) -> T:
        if not isinstance(value, wanted):
            logger.error("a provider's plugin returned a %s in %s.%s", type(value).__name__, self.key, method)
            raise ProviderPluginError
        return value

    def _usable(self, cleaned: Callable[[T], T], value: T, otherwise: str) -> T:
        """Return a checked copy of what a plugin returned, whose parts are a plugin's code too."""
        try:
            return cleaned(value)
        except BaseException as error:
            if raised_by_signal(error):
                raise
            logger.warning("a plugin's %s cannot be used: %s", type(value).__name__, type(error).__name__)
            raise ProviderBadResponse(otherwise) from error

    def _listed(self, values: Any, method: str) -> list[Any]:
        with self._contained(method):
            return list(islice(values, MOST_LISTED))


def _checked_archive(said: Any) -> ArchiveState:
    try:
        return cleaned_archive(said)
    except BaseException as error:
        if raised_by_signal(error):
            raise
        # A plugin may answer anything; whatever it is, it was not looked at before.
        raise ProviderBadResponse("The provider gave an archive that cannot be used.") from error
