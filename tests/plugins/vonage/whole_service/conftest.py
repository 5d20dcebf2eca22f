"""The whole service on a stand-in for Vonage, in both environments."""

from __future__ import annotations

import pytest

from tests.plugins.vonage.whole_service.vonage_service import PATHS, SIGNATURE_SECRET, WEBHOOK_TOKEN, VonageService
from videoconf.api.services import services


@pytest.fixture
def standin(vonage_standin):  # the fixture
    return vonage_standin


@pytest.fixture
def vonage_settings(standin, monkeypatch):
    """Configure the provider for the stand-in by the environment, as an operator does."""
    names = ("API_KEY", "API_SECRET") if standin.environment == "opentok" else ("APPLICATION_ID", "PRIVATE_KEY")
    given = {names[0]: standin.account, names[1]: standin.secret, "API_URL": standin.url}
    for name, value in (given | {"SIGNATURE_SECRETS": SIGNATURE_SECRET, "WEBHOOK_TOKEN": WEBHOOK_TOKEN}).items():
        monkeypatch.setenv(f"VIDEOCONF_VONAGE_{name}", value)


@pytest.fixture
def make_service(make_app, standin, vonage_settings, headers):
    made = []

    def make(*, query="", secret=SIGNATURE_SECRET, **how):
        made.append(VonageService(make_app(providers=("vonage",), **how), standin, headers))
        urls = [f"https://meet.example{path}{query}" for path in PATHS]
        standin.callbacks.register(*urls, secret=secret)
        return made[-1]

    yield make
    for service in made:
        services(service.app).providers.get("vonage").close()


@pytest.fixture
def service(make_service):
    return make_service()
