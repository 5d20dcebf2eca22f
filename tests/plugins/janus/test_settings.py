"""The settings of the Janus provider: what is wrong is named at the start, and no secret is repeated."""

import pytest

from tests.plugins.janus.server import ROOM_KEY, SECRETS
from videoconf.configuration import load
from videoconf.errors import ConfigurationError
from videoconf.providers import Secret
from videoconf_janus.settings import JanusSettings

GOOD = {
    "server_name": "janus-1",
    "admin_url": "http://127.0.0.1:7088/admin",
    "websocket_url": "wss://janus.example.com/",
    "admin_secret": Secret(SECRETS["ADMIN_SECRET"]),
    "admin_key": Secret(SECRETS["ADMIN_KEY"]),
    "token_secret": Secret(SECRETS["TOKEN_SECRET"]),
    "room_key": Secret(ROOM_KEY),
    "event_passwords": (Secret(SECRETS["EVENT_PASSWORD"]),),
}
SHORT = Secret("short-canary")


def faults(**changed):
    with pytest.raises(ConfigurationError) as raised:
        JanusSettings(**{**GOOD, **changed})
    return [fault.partition(":")[0].removeprefix("VIDEOCONF_JANUS_") for fault in raised.value.faults]


def test_good_settings_are_accepted():
    JanusSettings(**GOOD)
    JanusSettings(**GOOD, turn_urls=("turn:a.example:3478", "turns:a.example"), turn_secret=Secret("t"))


def test_settings_have_defaults():
    settings = JanusSettings(**GOOD)
    assert (settings.event_user, settings.max_publishers) == ("janus", 50)
    assert (settings.turn_urls, settings.turn_secret.reveal()) == ((), "")


@pytest.mark.parametrize(("text", "is_allowed"), [("0", False), ("1", True), ("10000", True), ("10001", False)])
def test_number_of_publishers_has_bounds(monkeypatch, text, is_allowed):
    for name, value in {**GOOD, "max_publishers": text}.items():
        values = value if isinstance(value, tuple) else (value,)
        plain = ",".join(part.reveal() if isinstance(part, Secret) else part for part in values)
        monkeypatch.setenv(f"VIDEOCONF_JANUS_{name.upper()}", plain)
    if is_allowed:
        assert load(JanusSettings, "VIDEOCONF_JANUS_").max_publishers == int(text)
        return
    with pytest.raises(ConfigurationError) as raised:
        load(JanusSettings, "VIDEOCONF_JANUS_")
    [fault] = raised.value.faults
    assert fault.startswith("VIDEOCONF_JANUS_MAX_PUBLISHERS: ")


def test_secret_of_sixteen_characters_is_long_enough():
    JanusSettings(**{**GOOD, "room_key": Secret("k" * 16), "server_name": "x" * 255})
    assert faults(room_key=Secret("k" * 15)) == ["ROOM_KEY"]


@pytest.mark.parametrize("name", ["admin_secret", "admin_key", "token_secret", "room_key"])
def test_short_secret_is_a_fault(name):
    assert faults(**{name: SHORT}) == [name.upper()]


@pytest.mark.parametrize("passwords", [(), (SHORT,), (*GOOD["event_passwords"], SHORT)], ids=["none", "short", "one"])
def test_missing_or_short_event_password_is_a_fault(passwords):
    assert faults(event_passwords=passwords) == ["EVENT_PASSWORDS"]


@pytest.mark.parametrize("url", ["", "127.0.0.1:7088", "ws://host/", "http://", "http://u:p@host/", "http://h:x/"])
def test_admin_url_that_is_not_http_is_a_fault(url):
    assert faults(admin_url=url) == ["ADMIN_URL"]


@pytest.mark.parametrize("url", ["", "https://host/", "wss://host/?token=1", "wss://host/#a"])
def test_websocket_url_that_is_not_ws_is_a_fault(url):
    assert faults(websocket_url=url) == ["WEBSOCKET_URL"]


@pytest.mark.parametrize("name", ["", "two words", "né", "x" * 256])
def test_server_name_that_is_not_printable_is_a_fault(name):
    assert faults(server_name=name) == ["SERVER_NAME"]


def test_user_with_a_colon_is_a_fault():
    assert faults(event_user="a:b") == ["EVENT_USER"]


def test_turn_needs_urls_and_a_secret():
    assert len(faults(turn_urls=("turn:a.example",))) == 1
    assert len(faults(turn_secret=Secret("t"))) == 1
    assert faults(turn_urls=("https://a.example",), turn_secret=Secret("t")) == ["TURN_URLS"]


def test_every_fault_is_reported_at_once_without_secrets():
    with pytest.raises(ConfigurationError) as raised:
        JanusSettings(**{**GOOD, "admin_url": "", "admin_secret": SHORT, "room_key": SHORT})
    assert len(raised.value.faults) == 3
    assert SHORT.reveal() not in str(raised.value)
