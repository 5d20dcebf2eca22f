"""The LiveKit provider passes the kit, at a stand-in for a self-hosted server and for LiveKit Cloud."""

import base64
import hashlib
from dataclasses import replace

import jwt
import pytest

from tests.plugins.livekit import samples
from tests.plugins.livekit.browser_sdk import SDK_SETTINGS
from tools.livekit_standin.auth import Refused, read_token
from videoconf.providers import Role, Secret, StorageDestination
from videoconf.testing import ProviderConformance
from videoconf_livekit.identity import find_bearer
from videoconf_livekit.provider import LiveKitProvider
from videoconf_livekit.settings import LiveKitSettings

NEW_KEY, NEW_SECRET = "APIkitnext", "kit-secret-that-signs-from-now-on-0123456789"


class LiveKitKit(ProviderConformance):
    """The kit, with the stand-in as the vendor."""

    samples = tuple(samples.samples())
    storage = StorageDestination(
        "s3", {"bucket": "kit", "region": "eu-west-1", "access_key": "AKKIT", "secret_key": "kit-storage-secret"}
    )
    recording = True

    @pytest.fixture
    def standin(self, make_livekit_standin):
        return make_livekit_standin(cloud=self.cloud)

    @pytest.fixture
    def provider(self, harness, standin):
        self.standin_in_use = standin
        settings = LiveKitSettings(
            url=standin.url,
            api_key=standin.api_key,
            api_secret=Secret(standin.api_secret),
            room_prefix="vc-",
            recording=self.recording,
            **SDK_SETTINGS,
        )
        provider = LiveKitProvider.create(settings, harness.context)
        yield provider
        provider.close()

    def join(self, provider, session, join):
        return self.standin_in_use.join(join.token).sid

    def role_of(self, provider, session, join):
        claims = read_token(join.token, self.standin_in_use.keys, self.standin_in_use.clock.now())
        return Role.PUBLISHER if claims["video"].get("canPublish", True) else Role.SUBSCRIBER

    def attendee_of(self, provider, session, join):
        claims = read_token(join.token, self.standin_in_use.keys, self.standin_in_use.clock.now())
        return find_bearer(claims["sub"], claims.get("attributes")).attendee

    def is_admitted(self, provider, session, join, at):
        try:
            read_token(join.token, self.standin_in_use.keys, at.timestamp())
        except Refused:
            return False
        return True

    def publish(self, provider, session, connection_id):
        return self.standin_in_use.publish(connection_id)

    def is_muted(self, provider, session, connection_id):
        return self.standin_in_use.is_muted(connection_id)

    def finish_archive(self, provider, archive_id):
        self.standin_in_use.finish(archive_id)

    def sign(self, provider, request):
        now = int(request.received_at.timestamp())
        digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
        claims = {"iss": provider.settings.api_key, "nbf": now, "exp": now + 300, "sha256": digest}
        token = jwt.encode(claims, provider.settings.api_secret.reveal(), "HS256")
        return replace(request, headers={**request.headers, "authorization": token})

    def rotated(self, provider):
        new = replace(provider.settings, api_key=NEW_KEY, api_secret=Secret(NEW_SECRET))
        former = f"{provider.settings.api_key}:{provider.settings.api_secret.reveal()}"
        return replace(new, webhook_keys=(Secret(former),)), new


class TestSelfHosted(LiveKitKit):
    """At a server of one's own with an egress service."""

    cloud = False


@pytest.mark.long  # it does less than the others
class TestSelfHostedWithoutRecording(LiveKitKit):
    """At a server of one's own without an egress service."""

    cloud = False
    recording = False


class TestCloud(LiveKitKit):
    """At LiveKit Cloud."""

    cloud = True
    storage = StorageDestination(
        "azure", {"container": "kit", "account_name": "kitaccount", "account_key": "a2l0LXN0b3JhZ2Utc2VjcmV0"}
    )
