"""Control of the fake vendor: let participants and recordings act, and deliver the webhooks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BufferedReader

import urllib3

from videoconf.errors import ProviderRejected, StorageError
from videoconf.providers import ArchiveState, ArchiveStatus, Role, RosterConnection
from videoconf_fake import rooms
from videoconf_fake.media import CONTENT_TYPE, Media
from videoconf_fake.outbox import QueuedEvent
from videoconf_fake.provider import FakeVendor
from videoconf_fake.recorder import object_key
from videoconf_fake.tokens import Claims, read_token
from videoconf_fake.webhooks import sign

TIMEOUT_SECONDS = 10.0
UPLOAD_FAILED = "upload_failed"
WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True)
class Delivery:
    """One signed attempt to deliver one event."""

    event_id: str
    channel: str
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Delivered:
    """The result of delivering all waiting events."""

    delivered: int
    waiting: int
    problem: str | None = None
    """Why events still wait."""


Post = Callable[[Delivery], int]
"""Sends a delivery and returns the status of the answer, or raises :class:`OSError` when no server answers."""


class FakeControl:
    """Lets participants, networks and the operator act at a fake provider. Thread-safe.

    Every method that changes something queues its webhooks; :meth:`deliver` sends all queued webhooks, also those that
    other processes with the same state file have queued. The methods raise the errors of :mod:`videoconf_fake.rooms`
    and :mod:`videoconf_fake.recorder`.
    """

    def __init__(self, provider: FakeVendor) -> None:
        self.provider = provider
        self._rooms = provider.rooms
        self._recorder = provider.recorder
        self._outbox = provider.outbox

    def join(self, token: str) -> str:
        """Connect with a join token, as a client does, and return the connection's id."""
        claims = read_token(token, self.provider.settings.token_secret, now=self.provider.context.clock())
        return self._rooms.join(claims, with_token=True)

    def join_anonymously(self, session_id: str) -> str:
        """Connect an anonymous participant, without a token, and return the connection's id."""
        return self._rooms.join(Claims(session_id, Role.PUBLISHER), with_token=False)

    def leave(self, connection_id: str, reason: str = rooms.LEFT) -> None:
        """End a connection because the user leaves."""
        self._rooms.leave(connection_id, _word(reason))

    def drop(self, connection_id: str) -> None:
        """End a connection because its network fails."""
        self._rooms.leave(connection_id, rooms.NETWORK)

    def publish(self, connection_id: str, stream_id: str = "camera") -> None:
        self._rooms.publish(connection_id, _word(stream_id))

    def unpublish(self, connection_id: str, stream_id: str = "camera") -> None:
        self._rooms.unpublish(connection_id, _word(stream_id))

    def look(self, connection_id: str) -> rooms.Look:
        """Return the room as the client of a connection sees it."""
        return self._rooms.look(connection_id)

    def close_session(self, session_id: str) -> None:
        """Close the run of a session. The only webhook is the closing: participants get no leave events."""
        self._rooms.close(session_id)

    def change_archive(self, archive_id: str, status: ArchiveStatus, reason: str | None = None) -> ArchiveState:
        """Change an archive's status: paused, started again, stopped, available, uploaded, expired, failed, deleted.

        In a running service ``uploaded`` uploads a file, and a failed upload sets ``failed``.
        """
        if status is ArchiveStatus.UPLOADED and not self._upload(archive_id):
            return self._recorder.change(archive_id, ArchiveStatus.FAILED, UPLOAD_FAILED)
        return self._recorder.change(archive_id, status, None if reason is None else _word(reason))

    def _upload(self, archive_id: str) -> bool:
        """Upload an archive to its storage with the credentials of its request; return whether the upload succeeded."""
        open_storage = self.provider.context.open_storage
        storage = self._recorder.find_storage(archive_id)
        if open_storage is None or storage is None:
            return True
        media = Media(archive_id, self._recorder.get(archive_id).size_bytes or 0)
        try:
            with closing(open_storage(storage)) as target:
                target.put(object_key(archive_id), BufferedReader(media), content_type=CONTENT_TYPE)
        except StorageError:
            return False
        return True

    def list_sessions(self) -> Sequence[str]:
        return self._rooms.list_sessions()

    def list_connections(self, session_id: str) -> Sequence[RosterConnection]:
        return self._rooms.list_connections(session_id)

    def list_archives(self, session_id: str) -> Sequence[ArchiveState]:
        return self._recorder.list_archives(session_id)

    def list_events(self, *, waiting: bool = False) -> list[QueuedEvent]:
        """List all events, or those not delivered yet, oldest first."""
        return self._outbox.list_events(waiting=waiting)

    def signed(self, event: QueuedEvent) -> Delivery:
        """Sign an event with the first secret and the current time. Can be repeated, in any order."""
        return Delivery(
            event.event_id,
            event.channel,
            f"{self.provider.settings.webhook_url.rstrip('/')}/webhooks/{self.provider.key}/{event.channel}",
            sign(self.provider.signers[0], event.event_id, event.body, self.provider.context.clock()),
            event.body,
        )

    def deliver(self, post: Post | None = None) -> Delivered:
        """Post all waiting events, oldest first. An event without a 2xx answer keeps waiting for the next call.

        A refused event does not delay the following events; when no server answers, this call posts no more events.
        Delivery is at least once: two processes that deliver at the same time may both post an event.
        """
        post = post or post_over_http
        delivered, problem = 0, None
        for event in self._outbox.list_events(waiting=True):
            delivery = self.signed(event)
            try:
                status = post(delivery)
            except OSError as error:
                problem = f"{delivery.url} does not answer ({type(error).__name__})"
                break
            if 200 <= status <= 299:
                self._outbox.mark_delivered(event.event_id)
                delivered += 1
            else:
                problem = f"{delivery.url} answered {status}"
        return Delivered(delivered, len(self._outbox.list_events(waiting=True)), problem)


def post_over_http(delivery: Delivery) -> int:
    """Post one delivery, in one attempt and without following redirects."""
    timeout = urllib3.Timeout(total=TIMEOUT_SECONDS)
    try:
        with urllib3.PoolManager(timeout=timeout, retries=False) as pool:
            answer = pool.request("POST", delivery.url, body=delivery.body, headers=delivery.headers)
            return answer.status
    except urllib3.exceptions.HTTPError as error:
        raise ConnectionError(type(error).__name__) from error


def _word(text: str) -> str:
    """Check a word that a person typed.

    :raises ProviderRejected: it is not a short plain word.
    """
    if not WORD.fullmatch(text):
        raise ProviderRejected("A stream's id and a reason are 1 to 64 of A-Z a-z 0-9 _ . -")
    return text
