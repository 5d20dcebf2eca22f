"""``docs/how-to/vonage.md`` says nothing that the code does not do."""

import re
from pathlib import Path

from videoconf.configuration import declared
from videoconf.settings import Settings
from videoconf_vonage.connection_data import MARK, MAX_CHARACTERS
from videoconf_vonage.provider import Options
from videoconf_vonage.settings import PREFIX, VonageSettings
from videoconf_vonage.tokens import OpenTokCredentials, UnifiedCredentials

PAGE = (Path(__file__).parents[3] / "docs/how-to/vonage.md").read_text()


def test_every_setting_is_explained_and_no_other():
    known = {row.variable for row in (*declared(VonageSettings, PREFIX), *declared(Settings))}
    named = {name.removesuffix("_FILE") for name in re.findall(r"VIDEOCONF_[A-Z_]+", PAGE)}
    assert named <= known
    assert {row.variable for row in declared(VonageSettings, PREFIX)} <= named


def test_documented_callback_urls_are_served(provider):
    named = set(re.findall(r"https://meet\.example\.com/webhooks/vonage/(\w+)", PAGE))
    assert named == set(provider.capabilities.webhook_channels)
    assert f"**Success** is {provider.capabilities.webhook_success_status} " in PAGE


def test_documented_hosts_options_and_limits_match_the_code():
    for credentials in (OpenTokCredentials, UnifiedCredentials):
        assert f"`{credentials.api_url}`" in PAGE
        assert f"`{credentials.connect_name}`" in PAGE
    for name in Options().fields:
        assert f"| `{name}` |" in PAGE
    assert f"`{MARK}`" in PAGE
    assert f"{MAX_CHARACTERS} characters is that of the packed form" in PAGE
