"""What a provider's client for browsers may name as sources of its frame's policy."""

from pathlib import Path

import pytest

from videoconf.providers import BrowserClient, is_integrity, source_of

MODULE = Path(__file__).parents[2] / "plugins/videoconf_fake/browser.js"


@pytest.mark.parametrize(
    ("directive", "source"),
    [
        ("connect", "wss://janus.example.com"),
        ("connect", "ws://127.0.0.1:8188"),
        ("connect", "https://*.example.com:8443"),
        ("connect", "wss://[::1]:8188"),
        ("scripts", "https://sdk.example/v2/js/client.min.js"),
        ("media", "blob:"),
        ("workers", "blob:"),
        ("images", "data:"),
    ],
)
def test_source_is_accepted(directive, source):
    client = BrowserClient(MODULE, **{directive: (source,)})
    assert list(client.faults()) == []
    assert list(client.directives().values()) == [source]


@pytest.mark.parametrize(
    ("directive", "source"),
    [
        ("scripts", "'unsafe-inline'"),
        ("scripts", "'unsafe-eval'"),
        ("scripts", "blob:"),
        ("scripts", "data:"),
        ("scripts", "https:"),
        ("scripts", "*"),
        ("scripts", "https://*"),
        ("connect", "https://a.example; script-src *"),
        ("connect", "https://a.example\nX-Other: header"),
        ("connect", ""),
        ("workers", "data:"),
        ("styles", "javascript:alert(1)"),
    ],
)
def test_other_source_is_a_fault(directive, source):
    assert len(list(BrowserClient(MODULE, **{directive: (source,)}).faults())) >= 1


def test_missing_module_and_options_that_are_not_json_are_faults():
    client = BrowserClient(MODULE.with_name("none.js"), options={"at": object(), "share": float("nan")})
    assert list(client.faults()) == ["none.js is not a JavaScript file", "its options are not JSON"]


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("wss://janus.example.com/janus", "wss://janus.example.com"),
        ("ws://127.0.0.1:8188/", "ws://127.0.0.1:8188"),
        ("https://[::1]:8443/a?b=c", "https://[::1]:8443"),
    ],
)
def test_source_of_a_url_is_its_origin(url, source):
    assert source_of(url) == source


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (f"sha256-{'a' * 43}=", True),
        (f"sha384-{'+/aZ' * 16}", True),
        (f"sha512-{'a' * 86}==", True),
        (f"sha256-{'a' * 64}", False),
        (f"sha384-{'a' * 63}=", False),
        (f"sha384-{'a' * 64}\n", False),
        (f"md5-{'a' * 22}==", False),
        (f"sha384-{'a' * 64} sha384-{'b' * 64}", False),
        ("", False),
    ],
)
def test_hash_of_a_script_is_recognised(text, is_one):
    assert is_integrity(text) is is_one
