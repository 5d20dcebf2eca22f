"""The join page over HTTP: its policy, who may show it in a frame, the frames of providers, and switching it off."""

import json
import re
from html import unescape

import pytest

from tests.support.service import ON_SQLITE, plugins_with
from videoconf.providers import BrowserClient
from videoconf_fake.provider import BROWSER_MODULE, FakeProvider

pytestmark = ON_SQLITE

PEOPLE = "http://127.0.0.1:8001"
ROOM = "/join/room/fake"


def policy_of(answer):
    """Return the sources of a content security policy by directive."""
    directives = answer.headers["Content-Security-Policy"].split("; ")
    return {name: sources.split(" ") for name, _, sources in (one.partition(" ") for one in directives)}


@pytest.fixture
def client_with(make_app):
    """Give a function that makes a client of an application with these settings."""
    return lambda **settings: make_app(**settings).test_client()


@pytest.fixture
def fake_client(client_with, monkeypatch):
    monkeypatch.setenv("VIDEOCONF_FAKE_MEDIA_URL", PEOPLE)
    return client_with()


def test_door_allows_only_itself(client):
    answer = client.get("/join")
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    assert policy_of(answer) == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "frame-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
    }


def test_room_policy_allows_the_sources_of_the_provider(fake_client):
    answer = fake_client.get(ROOM)
    policy = policy_of(answer)
    assert policy["connect-src"] == ["'self'", PEOPLE]
    assert (policy["script-src"], policy["frame-ancestors"]) == (["'self'"], ["'self'"])
    [options] = re.findall(r'options="([^"]*)"', answer.text)
    assert json.loads(unescape(options)) == {"acts": f"{PEOPLE}/fake/"}
    module = fake_client.get(f"{ROOM}/client.js")
    assert module.content_type == "text/javascript; charset=utf-8"
    assert module.data == BROWSER_MODULE.read_bytes()


@pytest.mark.parametrize("path", ["/join/room/none", "/join/room/none/client.js", ROOM, f"{ROOM}/client.js"])
def test_provider_without_client_answers_404(client, path):
    assert client.get(path).status_code == 404


def test_named_origins_may_show_the_page(client_with, monkeypatch):
    monkeypatch.setenv("VIDEOCONF_FAKE_MEDIA_URL", PEOPLE)
    client = client_with(join_page_embedders=("https://app.example.com", "https://b.example"))
    for path in ("/join", ROOM):
        ancestors = policy_of(client.get(path))["frame-ancestors"]
        assert ancestors == ["'self'", "https://app.example.com", "https://b.example"]


@pytest.mark.parametrize("origin", ["https://*.example.com", "*", "'unsafe-inline'", "https://a.example; script-src *"])
def test_other_embedder_is_refused(make_app, origin):
    with pytest.raises(Exception, match="VIDEOCONF_JOIN_PAGE_EMBEDDERS takes exact origins"):
        make_app(join_page_embedders=(origin,))


def test_page_that_is_off_leaves_the_api(client_with, monkeypatch):
    monkeypatch.setenv("VIDEOCONF_FAKE_MEDIA_URL", PEOPLE)
    client = client_with(join_page=False)
    door = client.get("/join")
    assert (door.status_code, door.headers["Allow"]) == (405, "POST")
    assert [client.get(path).status_code for path in (ROOM, f"{ROOM}/client.js")] == [404, 404]
    assert client.post("/join", json={"code": "a" * 32}).get_json()["code"] == "invitation_not_found"


class Quoting(FakeProvider):
    """Has options with characters that HTML and scripts give a meaning."""

    browser_client = BrowserClient(BROWSER_MODULE, options={"text": '"><script>alert(1)</script>'})


def test_hostile_options_stay_text(make_app):
    text = make_app(plugins=plugins_with(Quoting)).test_client().get(ROOM).text
    assert "<script>alert" not in text
    [options] = re.findall(r'options="([^"]*)"', text)
    assert json.loads(unescape(options)) == Quoting.browser_client.options


class Weak(FakeProvider):
    """Has a client that would weaken the policy."""

    browser_client = BrowserClient(BROWSER_MODULE, scripts=("https:", "'unsafe-eval'"))


def test_client_that_weakens_the_policy_is_not_served(make_app):
    answer = make_app(plugins=plugins_with(Weak)).test_client().get(ROOM)
    assert (answer.status_code, answer.get_json()["code"]) == (502, "provider_plugin_error")
