"""The Janus provider passes the kit, on a real Janus server."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.plugins.janus.server import needs_janus
from videoconf.providers import Secret
from videoconf.testing import ProviderConformance, load_samples
from videoconf_janus.provider import JanusProvider
from videoconf_janus.tokens import derived_key, read_identity
from videoconf_janus.webhooks import authorization

pytestmark = needs_janus

NEW = Secret("kit-event-password-that-comes-next")


class TestJanus(ProviderConformance):
    samples = load_samples(Path(__file__).parent / "webhooks")
    webhooks_expire = False

    @pytest.fixture
    def provider(self, harness, janus, make_client):
        self.make_client, self.clients = make_client, {}
        provider = JanusProvider.create(janus.settings(), harness.context)
        yield provider
        for client in self.clients.values():
            client.close()
        janus.remove_rooms()
        provider.close()

    def join(self, provider, session, join):
        client = self.make_client(join)
        self.clients[client.join()] = client
        return client.id

    def attendee_of(self, provider, session, join):
        statement, key = join.token.split("~")[2], derived_key(provider.settings.room_key, "identity")
        return read_identity(statement, join.connect["room"], provider.context.clock(), key).attendee

    def is_admitted(self, provider, session, join, at):
        """Compare what the server compares: each signed token begins with the second in which it ends."""
        session_token, room_token, _ = join.token.split("~")
        return all(at.timestamp() <= int(token.partition(",")[0]) for token in (session_token, room_token))

    def publish(self, provider, session, connection_id):
        self.clients[connection_id].publish("0")
        return "0"

    def is_muted(self, provider, session, connection_id):
        return self.clients[connection_id].muted() == {"0"}

    def sign(self, provider, request):
        signed = authorization(provider.settings.event_user, provider.settings.event_passwords[0])
        return replace(request, headers={**request.headers, "authorization": signed})

    def rotated(self, provider):
        former = provider.settings.event_passwords
        return (
            replace(provider.settings, event_passwords=(NEW, *former)),
            replace(provider.settings, event_passwords=(NEW,)),
        )
