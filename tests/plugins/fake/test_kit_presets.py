"""The fake in the shape of each vendor passes the kit, so that it is a fair stand-in for it."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from tests.plugins.fake.fake_kit import FakeKit
from videoconf_fake.provider import FakeProvider


class PresetKit(FakeKit):
    """The kit, by the settings that an operator would write."""

    cls = FakeProvider


class TestTwilio(PresetKit):
    settings = replace(FakeKit.settings, preset="twilio")


class TestBigBlueButton(PresetKit):
    settings = replace(FakeKit.settings, preset="bbb")

    def token_of(self, join):
        [token] = parse_qs(urlsplit(join.connect["url"]).query)["token"]
        return token


class TestLiveKit(PresetKit):
    settings = replace(FakeKit.settings, preset="livekit")


class TestDaily(PresetKit):
    settings = replace(FakeKit.settings, preset="daily")


class TestJaas(PresetKit):
    settings = replace(FakeKit.settings, preset="jaas")
