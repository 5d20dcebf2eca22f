"""How the conformance kit drives the fake provider: for the fake itself, its presets, and liars made of it."""

from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from videoconf.errors import ProviderRejected
from videoconf.providers import ArchiveStatus, Secret, StorageDestination
from videoconf.testing import ProviderConformance, load_samples
from videoconf_fake.control import FakeControl
from videoconf_fake.provider import FakeProvider, FakeSettings
from videoconf_fake.tokens import read_token
from videoconf_fake.webhooks import sign, signer

FORMER = Secret("whsec_dGVzdHMtc2lnbi13ZWJob29rcy13aXRoLXRoaXM=")
NEW = Secret("whsec_dGVzdHMtc2lnbi13ZWJob29rcy13aXRoLXRoYXQ=")
SAMPLES = load_samples(Path(__file__).parent / "webhooks")


class FakeKit(ProviderConformance):
    """The kit, with the fake as the vendor and its own stand-in."""

    cls = FakeProvider
    settings = FakeSettings(
        webhook_secrets=(FORMER,),
        token_secret=Secret("tests-sign-join-tokens-with-this-secret"),
        media_url="https://media.example",
    )
    samples = SAMPLES
    storage = StorageDestination("memory", {"area": "kit", "password": "kit-storage-password"})

    @pytest.fixture
    def provider(self, harness):
        provider = self.cls.create(self.settings, harness.context)
        yield provider
        provider.close()

    def join(self, provider, session, join):
        return FakeControl(provider).join(self.token_of(join))

    def token_of(self, join):
        return join.token

    def role_of(self, provider, session, join):
        return read_token(self.token_of(join), provider.settings.token_secret, now=provider.context.clock()).role

    def attendee_of(self, provider, session, join):
        return read_token(self.token_of(join), provider.settings.token_secret, now=provider.context.clock()).attendee

    def is_admitted(self, provider, session, join, at):
        try:
            read_token(self.token_of(join), provider.settings.token_secret, now=at)
        except ProviderRejected:
            return False
        return True

    def publish(self, provider, session, connection_id):
        FakeControl(provider).publish(connection_id)
        return "camera"

    def is_muted(self, provider, session, connection_id):
        sql = "SELECT min(muted) FROM stream WHERE connection_id = ?"
        with provider.state.read() as database:
            return database.execute(sql, (connection_id,)).fetchone()[0] == 1

    def finish_archive(self, provider, archive_id):
        FakeControl(provider).change_archive(archive_id, ArchiveStatus.AVAILABLE)

    def sign(self, provider, request):
        event_id = request.body.split(b'"')[3].decode()
        secret = signer(provider.settings.webhook_secrets[0])
        return replace(request, headers=sign(secret, event_id, request.body, request.received_at.astimezone(UTC)))

    def rotated(self, provider):
        return (
            replace(provider.settings, webhook_secrets=(NEW, FORMER)),
            replace(provider.settings, webhook_secrets=(NEW,)),
        )
