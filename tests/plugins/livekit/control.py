"""Participants of LiveKit's stand-in, for the tests of the API: what :class:`FakeControl` does with made-up people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from io import BufferedReader
from typing import Any
from urllib.parse import urlsplit

import boto3

from tests.plugins.livekit.service import WEBHOOKS, environment_of
from tests.plugins.livekit.writer import LiveKitWriter
from tools.livekit_standin import LiveKitStandin
from tools.livekit_standin.egresses import Outcome
from tools.livekit_standin.webhooks import Webhook
from tools.vonage_standin.clock import Clock
from videoconf.providers import ArchiveState, ArchiveStatus, RosterConnection, SessionRef
from videoconf_fake.control import Delivered, Delivery, Post
from videoconf_fake.media import Media
from videoconf_livekit.recording import RecordingLiveKitProvider

SIZE_BYTES = 400_000
"""The size of each recording."""


class ServiceTime(Clock):
    """The clock of whichever service a test has made last. Joins and webhooks happen at its time."""

    def __init__(self) -> None:
        super().__init__(running=True)
        self.read: Callable[[], datetime] | None = None

    def now(self) -> float:
        return super().now() if self.read is None else self.read().timestamp()


class LiveKitBackend:
    """A stand-in whose webhooks wait until a test delivers them; a context manager."""

    provider = "livekit"

    def __init__(self) -> None:
        self._time = ServiceTime()
        self.standin = LiveKitStandin(clock=self._time, records_at_once=True)

    def __enter__(self) -> LiveKitBackend:
        self.standin.__enter__()
        return self

    def __exit__(self, *how: Any) -> None:
        self.standin.__exit__(*how)

    def environment(self) -> dict[str, str]:
        """Return the service's variables for the stand-in."""
        return environment_of(self.standin)

    def control(self, app: object, provider: RecordingLiveKitProvider) -> LiveKitControl:
        """Give the participants of an application's test."""
        self._time.read = provider.context.clock
        return LiveKitControl(provider, self.standin)

    def writer(self, provider: RecordingLiveKitProvider) -> LiveKitWriter:
        return LiveKitWriter(self.standin)

    def close(self, app: object) -> None:
        """Forget what an application's test has left behind."""
        self._time.read = None
        self.standin.clear()


class LiveKitControl:
    """Drives the participants of a test."""

    def __init__(self, provider: RecordingLiveKitProvider, standin: LiveKitStandin) -> None:
        self.provider = provider
        self._standin = standin

    def join(self, token: str) -> str:
        """Join with a join token, as a page does; return the connection's id."""
        return str(self._standin.join(token).sid)

    def leave(self, connection_id: str) -> None:
        self._standin.leave(connection_id)

    def drop(self, connection_id: str) -> None:
        self._standin.leave(connection_id, "SIGNAL_CLOSE")

    def publish(self, connection_id: str, stream_id: str = "camera") -> None:
        self._standin.publish(connection_id)

    def is_muted(self, connection_id: str) -> bool:
        return self._standin.is_muted(connection_id)

    def list_sessions(self) -> list[str]:
        return sorted(self._standin.world.rooms)

    def list_connections(self, session_id: str) -> Sequence[RosterConnection]:
        return self.provider.list_connections(SessionRef(self.provider.account, session_id)).connections

    def list_archives(self, session_id: str) -> Sequence[ArchiveState]:
        return list(self.provider.list_archives(SessionRef(self.provider.account, session_id)))

    def change_archive(self, archive_id: str, status: ArchiveStatus, reason: str | None = None) -> None:
        """Let the recorder bring a recording into a state. LiveKit has no others, and gives reasons of its own.

        LiveKit deletes the record of a recording after a day, and no webhook tells of it.
        """
        egresses = self._standin.egresses
        if status is ArchiveStatus.DELETED:
            del egresses.found[archive_id]
        elif status is ArchiveStatus.STOPPED:
            egresses.stop(archive_id)
        else:
            if status is ArchiveStatus.UPLOADED:
                self._upload(archive_id)
            outcomes: dict[ArchiveStatus, Outcome] = {
                ArchiveStatus.AVAILABLE: "complete",
                ArchiveStatus.UPLOADED: "complete",
                ArchiveStatus.FAILED: "failed",
            }
            egresses.finish(archive_id, outcomes[status], SIZE_BYTES)

    def _upload(self, archive_id: str) -> None:
        """Upload a recording as the recorder does: with the credentials of the request, and to the key in it."""
        [output] = self._standin.egresses.secrets[archive_id].file_outputs
        s3, media = output.s3, Media(archive_id, SIZE_BYTES)
        keys = {"aws_access_key_id": s3.access_key, "aws_secret_access_key": s3.secret}
        with closing(boto3.client("s3", endpoint_url=s3.endpoint, region_name=s3.region, **keys)) as client:
            client.put_object(Bucket=s3.bucket, Key=output.filepath, Body=BufferedReader(media).read())

    def list_events(self, *, waiting: bool = False) -> Sequence[Webhook]:
        return self._standin.webhooks.waiting() if waiting else self._standin.webhooks.sent

    def signed(self, event: Webhook) -> Delivery:
        """Sign an event as of now: a test may let hours pass before it delivers, and LiveKit seconds."""
        webhooks = self._standin.webhooks
        token = webhooks.sign(event.body, self._standin.clock.now())
        headers = {**webhooks.headers(event), "Authorization": token}
        return Delivery(token, "session", urlsplit(WEBHOOKS).path, headers, event.body)

    def deliver(self, post: Post) -> Delivered:
        """Post what waits, once each, in order."""
        events = self.list_events(waiting=True)
        for event in events:
            status = post(self.signed(event))
            assert status == 200, status
            event.state = "delivered"
        return Delivered(len(events), 0)
