"""Presets that let the fake behave like a real vendor: with the vendor's missing capabilities and differences.

The core is tried on these, so that it does not come to rely on what only rich providers have. The facts are from the
vendors' public documentation.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from functools import partial

from videoconf.errors import ProviderRejected
from videoconf.providers import (
    Archiving,
    Capabilities,
    Capability,
    DownloadsArchives,
    EventKind,
    HasRoster,
    JoinToken,
    Moderation,
    ProviderEvent,
    Role,
    SessionCreation,
    SessionRef,
    TokenRequest,
    WebhookRequest,
)
from videoconf_fake.outbox import ARCHIVE_CHANNEL, SESSION_CHANNEL
from videoconf_fake.provider import FakeVendor

_capabilities = partial(
    Capabilities,
    idempotent_create=True,
    webhook_success_status=200,
    webhook_channels=(SESSION_CHANNEL, ARCHIVE_CHANNEL),
)
"""What the vendors have in common, and what the fake itself does."""


class Preset(FakeVendor):
    """A fake that can do what ``can`` says and nothing else."""

    can: Capabilities

    @property
    def capabilities(self) -> Capabilities:
        return self.can

    def issue_token(self, session: SessionRef, request: TokenRequest) -> JoinToken:
        if request.role not in self.can.roles:
            raise ProviderRejected(f"The vendor lacks the role {request.role}.", provider_code="no_such_role")
        carries_names = Capability.ATTENDEE_NAMES in self.can
        return super().issue_token(session, request if carries_names else replace(request, name=None))

    def parse_webhook(self, request: WebhookRequest) -> list[ProviderEvent]:
        events = super().parse_webhook(request)
        return events if self.can.event_ids else [_without_id(event, request.body) for event in events]


class Twilio(Preset, HasRoster):
    """No roles, no archives by API, rooms that vanish unless they are entered soon, events without ids."""

    can = _capabilities(
        features=frozenset({Capability.AUTOMATIC_ARCHIVING, Capability.ROSTER}),
        roles=frozenset({Role.PUBLISHER}),
        session_creation=SessionCreation.JUST_IN_TIME,
        max_token_ttl=timedelta(hours=24),
        max_data_characters=128,
        retry_horizon=timedelta(minutes=5),
    )


class BigBlueButton(Preset, HasRoster):
    """People join by a URL and get no token; rooms are made just in time; the API neither removes nor mutes."""

    can = _capabilities(
        features=frozenset({Capability.AUTOMATIC_ARCHIVING, Capability.ROSTER, Capability.ATTENDEE_NAMES}),
        roles=frozenset({Role.PUBLISHER, Role.MODERATOR}),
        session_creation=SessionCreation.JUST_IN_TIME,
        retry_horizon=timedelta(minutes=5),
    )

    def issue_token(self, session: SessionRef, request: TokenRequest) -> JoinToken:
        issued = super().issue_token(session, request)
        return JoinToken(None, issued.expires_at, {"url": f"https://bbb.example/join?token={issued.token}"})


class LiveKit(Preset, Archiving, HasRoster, Moderation):
    """Events with ids, retried for 30 s; recordings that are not stored and cannot be read."""

    can = _capabilities(
        features=frozenset(
            {
                Capability.ARCHIVING,
                Capability.AUTOMATIC_ARCHIVING,
                Capability.ROSTER,
                Capability.MODERATION,
                Capability.END_TO_END_ENCRYPTION,
                Capability.ATTENDEE_NAMES,
            }
        ),
        event_ids=True,
        retry_horizon=timedelta(seconds=30),
        starts_archives=False,
        caller_brings_encryption_key=True,
    )


class Daily(Preset, Archiving, DownloadsArchives, HasRoster, Moderation):
    """Owners and others; recordings that can be read; events with ids."""

    can = _capabilities(
        features=frozenset(
            {
                Capability.ARCHIVING,
                Capability.ARCHIVE_DOWNLOADS,
                Capability.ROSTER,
                Capability.MODERATION,
                Capability.ATTENDEE_NAMES,
            }
        ),
        roles=frozenset({Role.PUBLISHER, Role.MODERATOR}),
        event_ids=True,
    )


class Jaas(Preset):
    """Rooms need no creation: the token holds everything, and only webhooks report what happens."""

    can = _capabilities(
        features=frozenset({Capability.ATTENDEE_NAMES}),
        roles=frozenset({Role.PUBLISHER, Role.MODERATOR}),
        session_creation=SessionCreation.JUST_IN_TIME,
        event_ids=True,
    )


PRESETS: dict[str, type[Preset]] = {
    "twilio": Twilio,
    "bbb": BigBlueButton,
    "livekit": LiveKit,
    "daily": Daily,
    "jaas": Jaas,
}


def _without_id(event: ProviderEvent, body: bytes) -> ProviderEvent:
    """Name an event by all that tells it from another, as for a vendor that gives its events no ids."""
    if event.kind is EventKind.IGNORED:
        return replace(event, dedupe_key=hashlib.sha256(body).hexdigest())
    said = {name: value for name, value in json.loads(body).items() if name != "id"}
    return replace(event, dedupe_key=hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest())
