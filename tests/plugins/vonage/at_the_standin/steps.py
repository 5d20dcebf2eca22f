"""The provider at a stand-in for Vonage, and what people do there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from videoconf.providers import (
    GuardedClient,
    ProviderContext,
    Role,
    Secret,
    TokenRequest,
)
from videoconf_vonage.provider import VonageProvider
from videoconf_vonage.settings import VonageSettings

OPENTOK = pytest.mark.parametrize("vonage_standin", ["opentok"], indirect=True)


def provider_at(standin, **client):
    """Make the provider for a stand-in."""
    names = ("api_key", "api_secret") if standin.environment == "opentok" else ("application_id", "private_key")
    given = {names[0]: standin.account, names[1]: Secret(standin.secret), "api_url": standin.url + "/"}
    settings = VonageSettings(**given, signature_secrets=(Secret("x" * 32),))

    def http(account):
        return GuardedClient(provider="vonage", account=account, **client)

    return VonageProvider.create(settings, ProviderContext(lambda: datetime.now(UTC), http))


def requests(standin, method, ending):
    return [one for one in standin.received if one.method == method and one.path.endswith(ending)]


def join(standin, provider, session, **who):
    wish = TokenRequest(Role.PUBLISHER, datetime.now(UTC) + timedelta(hours=1), **who)
    return standin.connect(provider.issue_token(session, wish).token)


def in_world(standin, session):
    return standin.world.sessions[session.session_id]


CONTAINER = {"account_name": "acc", "account_key": "KEY==", "container": "recordings"}
AZURE_CONFIG = {"accountName": "acc", "accountKey": "KEY==", "container": "recordings"}
AZURE = (
    {**CONTAINER, "domain": None, "prefix": "", "fallback": "none"},
    {"type": "azure", "config": AZURE_CONFIG, "fallback": "none"},
)
