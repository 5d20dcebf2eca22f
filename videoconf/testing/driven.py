"""What the author of a plugin writes, so that the kit can drive the backend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, ClassVar

import pytest

from videoconf.providers import (
    JoinToken,
    Provider,
    Role,
    SessionRef,
    StorageDestination,
    WebhookReply,
    WebhookRequest,
)
from videoconf.testing.faulty_server import FaultyServer
from videoconf.testing.harness import Harness, SteppedClock, unwritten
from videoconf.testing.samples import WebhookSample


class Driven:
    """The fixture and methods to write. One that a declared capability needs and that is not written fails, saying so.

    The provider is made with ``harness.context``, on settings with secrets, and talks to a stand-in for its vendor.
    """

    samples: ClassVar[Sequence[WebhookSample]] = ()
    """Webhooks as the vendor sends them: see :func:`videoconf.testing.load_samples`."""
    webhooks_expire: ClassVar[bool] = True
    """False where the vendor's scheme dates nothing: then an old webhook cannot be told from a new one."""
    storage: ClassVar[StorageDestination | None] = None
    """Where archives may be put, for `stores_archives`."""
    unknown_session: ClassVar[str] = "kit-unknown"
    """A session id of the vendor's form that names no session."""
    unknown_archive: ClassVar[str] = "kit-unknown"
    unknown_connection: ClassVar[str] = "kit-unknown"

    @pytest.fixture
    def harness(self) -> Iterator[Harness]:
        """Give what the provider is made with."""
        with FaultyServer() as faults:
            made = Harness(faults, SteppedClock())
            yield made
            made.close()

    @pytest.fixture
    def provider(self, harness: Harness) -> Iterator[Provider]:
        """Give the provider, talking to a stand-in for its vendor that works; close both afterwards."""
        unwritten("the fixture `provider`: start a stand-in, make the provider with harness.context, and yield it")

    def join(self, provider: Provider, session: SessionRef, join: JoinToken) -> str:
        """Join at the stand-in with this credential; return the connection's id."""
        unwritten("join(): enter the stand-in's room, and return the connection's id")

    def role_of(self, provider: Provider, session: SessionRef, join: JoinToken) -> Role:
        """Tell which role a person would have who joins at the stand-in with this credential."""
        unwritten("role_of(): tell which role the stand-in gives to a person with this credential")

    def attendee_of(self, provider: Provider, session: SessionRef, join: JoinToken) -> str | None:
        """Return the attendee whom the vendor's webhooks name, as the plugin reads them, for this credential."""
        unwritten("attendee_of(): return the attendee that the vendor's webhooks name for this credential")

    def is_admitted(self, provider: Provider, session: SessionRef, join: JoinToken, at: datetime) -> bool:
        """Return whether the stand-in, by its own rules, would let a person in with this credential at a time."""
        unwritten("is_admitted(): tell whether the stand-in would let a person in with this credential at a time")

    def publish(self, provider: Provider, session: SessionRef, connection_id: str) -> str:
        """Publish a media stream of a connection at the stand-in; return the stream's id."""
        unwritten("publish(): let a connection send something at the stand-in, and return the stream's id")

    def is_muted(self, provider: Provider, session: SessionRef, connection_id: str) -> bool:
        """Return whether all that this connection sends is muted at the stand-in."""
        unwritten("is_muted(): tell whether what a connection sends at the stand-in is muted")

    def finish_archive(self, provider: Provider, archive_id: str) -> None:
        """Let the stand-in make a stopped archive ready to be read."""
        unwritten("finish_archive(): let the stand-in make a stopped archive ready to be read")

    def sign(self, provider: Provider, request: WebhookRequest) -> WebhookRequest:
        """Return the webhook as the vendor signs it at ``request.received_at`` for this provider's settings.

        Not written: the samples are verified with the headers with which they were recorded.
        """
        return request

    def handshake(self, provider: Provider) -> tuple[WebhookRequest, WebhookReply] | None:
        """Return a handshake as the vendor sends it, signed, and the answer that it expects; None: it sends none."""
        return None

    def rotated(self, provider: Provider) -> tuple[Any, Any]:
        """Return two settings: with a new webhook secret beside the one in force, and with the new one alone."""
        unwritten("rotated(): return (settings with a new webhook secret and the old one, settings with the new alone)")
