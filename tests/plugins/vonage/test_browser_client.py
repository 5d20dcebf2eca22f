"""Vonage's client for browsers on a stub of Vonage's SDK; the real one was not tried."""

import base64
import hashlib
from pathlib import Path

import pytest

from tests.support.chromium import needs_chromium
from tools.visitors import chromium
from videoconf.api.join_page import room_policy
from videoconf.errors import ConfigurationError
from videoconf.providers import Secret
from videoconf_vonage.settings import VonageSettings

SDK = (Path(__file__).parent / "sdk_stub.js").read_text()
SDK_URL = "https://sdk.example/opentok.js"
INTEGRITY = "sha384-" + base64.b64encode(hashlib.sha384(SDK.encode()).digest()).decode()
ORIGIN = "http://127.0.0.1:9"
JOIN = """async ([options, token, sends]) => {
    const { join } = await import("/client.js");
    const canvas = document.createElement("canvas");
    canvas.getContext("2d");
    const track = () => canvas.captureStream(1).getVideoTracks()[0];
    window.reported = [];
    window.track = track;
    const media = { camera: sends ? track() : null, microphone: sends ? track() : null };
    const on = (event, detail) => reported.push([event, detail.id ?? null, detail.reason ?? detail.connection ?? null]);
    const connect = { apiKey: "47999111" };
    window.client = await join({ token, session: "2_session", connect, name: "Ada", media, on, options });
}"""


def settings(**changed):
    return VonageSettings(api_key="47999111", api_secret=Secret("secret-of-the-test"), **changed)


def test_missing_sdk_url_disables_the_client(make_provider):
    assert make_provider().browser_client is None


def test_client_names_the_script_and_its_hash(make_provider):
    client = make_provider(sdk_url=SDK_URL, sdk_integrity=INTEGRITY).browser_client
    assert list(client.faults()) == []
    assert client.scripts == (SDK_URL,)
    assert client.options == {"sdkUrl": SDK_URL, "sdkIntegrity": INTEGRITY}


@pytest.mark.parametrize(
    "wrong",
    [
        {"sdk_url": "opentok.js"},
        {"sdk_url": "https://sdk.example/a.js?v=2"},
        {"sdk_integrity": "md5-abc"},
        {"sdk_integrity": INTEGRITY + "'; script-src *"},
    ],
)
def test_wrong_setting_is_refused(wrong):
    with pytest.raises(ConfigurationError, match=r"SDK_(URL|INTEGRITY)"):
        settings(**wrong)


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def open_page(browser, make_provider):
    """Give a function that opens a page under the client's policy, with a stub of the SDK in place of Vonage's."""
    pages = []

    def open_one(sdk=SDK):
        client = make_provider(sdk_url=SDK_URL, sdk_integrity=INTEGRITY).browser_client
        page = browser.new_page()
        pages.append(page)
        files = {
            f"{ORIGIN}/": ("text/html", "<!doctype html><title>test</title>", {}),
            f"{ORIGIN}/client.js": ("text/javascript", client.module.read_text(), {}),
            SDK_URL: ("text/javascript", sdk, {"Access-Control-Allow-Origin": "*"}),
        }

        def answer(route):
            content_type, body, headers = files[route.request.url]
            policy = {"Content-Security-Policy": room_policy(client)}
            route.fulfill(body=body, content_type=content_type, headers={**policy, **headers})

        page.route("**/*", answer)
        page.goto(f"{ORIGIN}/")
        return page, dict(client.options)

    yield open_one
    for page in pages:
        page.close()


@pytest.mark.browser
@needs_chromium
def test_person_meets_others_by_the_sdk(open_page):
    page, options = open_page()
    page.evaluate(JOIN, [options, "T1==token", True])
    assert page.evaluate("reported") == [["joined", "own-connection", None]]
    asked = [["initSession", "47999111", "2_session"], ["connect", "T1==token"], ["publish", True, True]]
    assert page.evaluate("OT.asked") == asked

    page.evaluate("""async () => {
        const connection = { connectionId: "other" };
        const stream = { streamId: "s-1", connection, name: "Bob", hasVideo: true, hasAudio: false };
        OT.session.handlers.streamCreated({ stream });
        await Promise.resolve();
        OT.session.handlers.streamPropertyChanged({ stream, changedProperty: "hasAudio", newValue: true });
        OT.session.handlers.streamDestroyed({ stream });
        OT.session.handlers.connectionDestroyed({ connection });
        OT.session.handlers.sessionReconnecting();
        OT.session.handlers.sessionReconnected();
        OT.publisher.handlers.muteForced();
        OT.session.handlers.sessionDisconnected({ reason: "forceDisconnected" });
        OT.session.handlers.sessionDisconnected({ reason: "networkDisconnected" });
    }""")
    assert page.evaluate("OT.asked").pop() == ["subscribe", "s-1", False]
    assert page.evaluate("reported")[1:] == [
        ["joined", "other", None],
        ["track", "other", None],
        ["state", "other", None],
        ["track", "other", None],
        ["track", "other", None],
        ["left", "other", None],
        ["state", None, "reconnecting"],
        ["state", None, "connected"],
        ["state", "own-connection", None],
        ["ended", None, "removed"],
    ]


@pytest.mark.browser
@needs_chromium
def test_devices_go_on_and_off(open_page):
    page, options = open_page()
    page.evaluate(JOIN, [options, "T1==token", False])
    assert ["publish", False, False] not in page.evaluate("OT.asked"), "who sends nothing publishes nothing"
    page.evaluate("client.setCamera(track())")
    assert page.evaluate("OT.asked").pop() == ["publish", True, False]
    page.evaluate("client.setCamera(null)")
    assert page.evaluate("OT.asked").pop() == ["publishVideo", False]
    page.evaluate("client.setMicrophone(track())")
    assert page.evaluate("OT.asked.slice(-2)") == [["unpublish"], ["publish", False, True]]
    page.evaluate("client.leave()")
    assert page.evaluate("OT.asked").pop() == ["disconnect"]


@pytest.mark.browser
@needs_chromium
def test_changed_sdk_is_not_run(open_page):
    page, options = open_page(sdk=SDK + "\n// another file")
    with pytest.raises(Exception, match="SDK cannot be loaded"):
        page.evaluate(JOIN, [options, "T1==token", True])
    assert page.evaluate("typeof OT") == "undefined"


@pytest.mark.browser
@needs_chromium
def test_refused_token_is_a_rejection(open_page):
    page, options = open_page()
    with pytest.raises(Exception, match="OT_AUTHENTICATION_ERROR"):
        page.evaluate(JOIN, [options, "refused", True])
