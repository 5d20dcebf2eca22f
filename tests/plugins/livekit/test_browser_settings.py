"""Settings of LiveKit's client for browsers, and what its page may reach by them."""

import pytest

from tests.plugins.livekit.browser_sdk import SDK_SETTINGS, client_of
from videoconf.errors import ConfigurationError

SDK_URL, INTEGRITY = SDK_SETTINGS.values()


def test_client_needs_the_url_of_the_sdk():
    assert client_of() is None


def test_client_names_the_script_and_its_hash():
    client = client_of(**SDK_SETTINGS)
    assert list(client.faults()) == []
    assert client.scripts == (SDK_URL,)
    assert client.options == {"sdkUrl": SDK_URL, "sdkIntegrity": INTEGRITY}


@pytest.mark.parametrize(
    ("urls", "sources"),
    [
        ({"url": "http://10.0.0.1:7880/"}, ("ws://10.0.0.1:7880", "http://10.0.0.1:7880")),
        (
            {"url": "http://livekit.internal:7880", "client_url": "wss://livekit.example/rtc"},
            ("wss://livekit.example", "https://livekit.example"),
        ),
        (
            {"url": "wss://my-project.livekit.cloud"},
            (
                "wss://my-project.livekit.cloud",
                "https://my-project.livekit.cloud",
                "wss://*.livekit.cloud",
                "https://*.livekit.cloud",
            ),
        ),
    ],
)
def test_page_may_reach_the_server_alone(urls, sources):
    client = client_of(**SDK_SETTINGS, **urls)
    assert client.connect == sources
    assert list(client.faults()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"sdk_url": "livekit-client.umd.js", "sdk_integrity": INTEGRITY},
        {"sdk_url": "wss://sdk.example/livekit-client.umd.js", "sdk_integrity": INTEGRITY},
        {"sdk_url": "https://sdk.example/livekit-client.umd.js?v=2", "sdk_integrity": INTEGRITY},
        {"sdk_url": SDK_URL},
        {"sdk_integrity": INTEGRITY},
        {"sdk_url": SDK_URL, "sdk_integrity": INTEGRITY[:-1]},
        {"sdk_url": SDK_URL, "sdk_integrity": f"{INTEGRITY}'; script-src *"},
    ],
)
def test_wrong_setting_is_refused(wrong):
    with pytest.raises(ConfigurationError, match=r"SDK_(URL|INTEGRITY)"):
        client_of(**wrong)
