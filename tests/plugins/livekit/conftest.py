"""A provider at the stand-in, and one without a network."""

from datetime import UTC, datetime

import pytest

from tests.plugins.livekit.samples import API_KEY, KEYS
from tests.plugins.livekit.service import LiveKitService, StandinTime, environment_of
from tools.livekit_standin.fixtures import livekit_standin, make_livekit_standin  # noqa: F401  # fixtures
from videoconf.api.services import services
from videoconf.providers import GuardedClient, ProviderContext, Secret
from videoconf_livekit.provider import LiveKitProvider
from videoconf_livekit.settings import LiveKitSettings

NOW = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


class NoNetwork:
    """An HTTP client that no test may use."""

    def request(self, *args, **kwargs):
        raise AssertionError("a test without a network made a call")

    def close(self):
        pass


def settings_of(standin, **settings):
    """Give the settings for a stand-in."""
    keys = {"api_key": standin.api_key, "api_secret": Secret(standin.api_secret)}
    return LiveKitSettings(**{"url": standin.url, "recording": True, **keys, **settings})


@pytest.fixture
def offline():
    """Give a provider of the samples' account, which makes no calls."""
    settings = LiveKitSettings(
        url="wss://livekit.example",
        api_key=API_KEY,
        api_secret=Secret(KEYS[API_KEY]),
        webhook_keys=tuple(Secret(f"{name}:{secret}") for name, secret in KEYS.items()),
        room_prefix="vc-",
        recording=True,
    )
    return LiveKitProvider.create(settings, ProviderContext(lambda: NOW, lambda account: NoNetwork()))


@pytest.fixture
def make_provider():
    """Give a function that makes a provider at a stand-in; keywords are settings."""
    made = []

    def make(standin, **settings):
        context = ProviderContext(
            lambda: datetime.now(UTC), lambda account: GuardedClient(provider="livekit", account=account)
        )
        made.append(LiveKitProvider.create(settings_of(standin, **settings), context))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def make_service(make_app, headers, monkeypatch):
    """Give a function that makes a service at a stand-in; keywords are settings of the core."""
    made = []

    def make(standin, **settings):
        for name, value in environment_of(standin).items():
            monkeypatch.setenv(name, value)
        app = make_app(**{"providers": ("livekit",), "clock": StandinTime(standin), **settings})
        made.append(app)
        return LiveKitService(app, standin, headers)

    yield make
    for app in made:
        for provider in services(app).providers:
            provider.close()
