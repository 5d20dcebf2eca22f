"""LiveKit's SDK for browsers, ``livekit-client``: the npm package's own file, and a server of it for pages."""

import base64
import functools
import hashlib
import os
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.plugins.livekit.samples import API_KEY, KEYS
from videoconf.providers import ProviderContext, Secret
from videoconf_livekit.provider import LiveKitProvider
from videoconf_livekit.settings import LiveKitSettings

SDK = Path(__file__).parents[3] / "build/livekit/node_modules/livekit-client/dist/livekit-client.umd.js"


def integrity_of(content):
    """Return the hash that the setting ``sdk_integrity`` takes."""
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()


def needs_the_sdk():
    """Leave a test out that lacks the SDK."""
    if not SDK.exists():
        assert os.environ.get("TEST_LIVEKIT_SDK") != "1", "TEST_LIVEKIT_SDK=1, and it is missing: make livekit-sdk"
        pytest.skip("LiveKit's SDK for browsers is not installed; `make livekit-sdk` does it, and needs npm")


SDK_SETTINGS = {"sdk_url": "https://sdk.example/livekit-client.umd.js", "sdk_integrity": integrity_of(b"the SDK")}
"""Settings of a provider that has a browser client, whose SDK no test loads."""


class _CrossOrigin(SimpleHTTPRequestHandler):
    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()

    def log_message(self, *args):
        pass


@contextmanager
def served_sdk():
    """Serve the SDK to pages of any origin; give its URL."""
    handler = functools.partial(_CrossOrigin, directory=str(SDK.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{SDK.name}"
        server.shutdown()
        thread.join()


def client_of(**changed):
    """Return the browser client of a provider with these settings."""
    keys = {"api_key": API_KEY, "api_secret": Secret(KEYS[API_KEY])}
    settings = LiveKitSettings(**{"url": "wss://livekit.example", **keys, **changed})
    provider = LiveKitProvider.create(settings, ProviderContext(lambda: None, lambda account: None))
    return provider.browser_client
