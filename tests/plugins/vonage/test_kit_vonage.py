"""The Vonage provider passes the kit, at a stand-in for Vonage. Webhooks are those of the OpenTok environment."""

import hashlib
import time
from dataclasses import replace
from pathlib import Path

import jwt
import pytest

from tools.vonage_standin.auth import Unauthorized
from videoconf.providers import Role, Secret, StorageDestination
from videoconf.testing import ProviderConformance, load_samples
from videoconf_vonage.connection_data import unpack
from videoconf_vonage.provider import VonageProvider
from videoconf_vonage.settings import VonageSettings

FORMER, NEW = Secret("kit-signs-callbacks-with-this-secret"), Secret("kit-signs-callbacks-with-that-secret")
SAMPLES = load_samples(Path(__file__).parent / "webhooks")


class VonageKit(ProviderConformance):
    """The kit, with the stand-in as the vendor."""

    samples = SAMPLES
    unknown_session = "2_MX4xMjM0NTZ-unknown"
    unknown_archive = "00000000-0000-4000-8000-000000000000"
    unknown_connection = "00000000-0000-4000-8000-000000000000"

    @pytest.fixture
    def standin(self, make_vonage_standin):
        self.ahead_seconds = 0.0
        return make_vonage_standin(self.environment, credential_clock=lambda: time.time() + self.ahead_seconds)

    @pytest.fixture
    def provider(self, harness, standin):
        names = ("api_key", "api_secret") if self.environment == "opentok" else ("application_id", "private_key")
        given = {names[0]: standin.account, names[1]: Secret(standin.secret)}
        settings = VonageSettings(**given, api_url=standin.url, signature_secrets=(FORMER,))
        self.standin_in_use = standin
        provider = VonageProvider.create(settings, harness.context)
        yield provider
        provider.close()

    def join(self, provider, session, join):
        return self.standin_in_use.connect(join.token).connection_id

    def role_of(self, provider, session, join):
        return Role(self.standin_in_use.connect(join.token).role)

    def attendee_of(self, provider, session, join):
        return unpack(self.standin_in_use.connect(join.token).data).attendee

    def is_admitted(self, provider, session, join, at):
        # The SDK issues by the wall clock, which may have gone past the kit's, and no token lets in before its issue.
        self.ahead_seconds = max(0.0, at.timestamp() - time.time())
        try:
            self.standin_in_use.connect(join.token)
        except Unauthorized:
            return False
        return True

    def publish(self, provider, session, connection_id):
        return self.standin_in_use.publish(connection_id).stream_id

    def is_muted(self, provider, session, connection_id):
        streams = self.standin_in_use.world.sessions[session.session_id].streams.values()
        return all(one.muted for one in streams if one.connection.connection_id == connection_id)

    def finish_archive(self, provider, archive_id):
        self.standin_in_use.finish_archive(archive_id)

    def sign(self, provider, request):
        claims = {
            "iat": int(request.received_at.timestamp()),
            "jti": "kit",
            "iss": "Vonage",
            "payload_hash": hashlib.sha256(request.body).hexdigest(),
            "api_key": provider.account,
        }
        signature = jwt.encode(claims, provider.settings.signature_secrets[0].reveal(), "HS256")
        return replace(request, headers={**request.headers, "authorization": f"Bearer {signature}"})

    def rotated(self, provider):
        return (
            replace(provider.settings, signature_secrets=(NEW, FORMER)),
            replace(provider.settings, signature_secrets=(NEW,)),
        )


class TestOpenTok(VonageKit):
    """In the OpenTok environment."""

    environment = "opentok"
    storage = StorageDestination(
        "s3", {"bucket": "kit", "region": "eu-west-1", "access_key": "AK", "secret_key": "kit-storage-secret"}
    )


class TestUnified(VonageKit):
    """In the unified environment, whose callbacks differ in the account that they name."""

    environment = "unified"
    samples = tuple(
        replace(
            sample,
            body=sample.body.replace(b'"partnerId":47123456,', b"")
            .replace(b'"projectId":47123456', b'"applicationId":"78d335fa-323d-0114-9c3d-d6f0d48968cf"')
            .replace(b'"projectId":"47123456"', b'"projectId":"78d335fa-323d-0114-9c3d-d6f0d48968cf"'),
        )
        for sample in SAMPLES
    )

    def sign(self, provider, request):
        claims = {
            "iat": int(request.received_at.timestamp()),
            "iss": "Vonage",
            "payload_hash": hashlib.sha256(request.body).hexdigest(),
            "api_key": "a1b2c3d4",
            "application_id": provider.account,
        }
        signature = jwt.encode(claims, provider.settings.signature_secrets[0].reveal(), "HS256")
        return replace(request, headers={**request.headers, "authorization": f"Bearer {signature}"})
