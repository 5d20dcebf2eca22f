"""The scenarios of a provider's client for browsers, the second one in Chromium."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from videoconf.providers import BrowserClient, Provider
from videoconf.testing.driven import Driven
from videoconf.testing.harness import Harness, wrong

ORIGIN = "http://127.0.0.1:9"
"""Origin of the page that loads the client. Every request is intercepted, so that no server is needed."""
LOADED_MS = 20_000
LOAD = """async () => {
    const violations = [];
    document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
    const loaded = await import("/client.js").catch((error) => ({ error: String(error) }));
    return { exported: typeof loaded.join, error: loaded.error ?? "", violations };
}"""


class BrowserScenarios(Driven):
    """What the join page relies on in the module that a provider names."""

    def test_P60_browser_client_is_safe(self, provider: Provider, harness: Harness) -> None:
        """Its browser client is a file of its own, with sources that do not weaken the page's policy."""
        before, client = harness.call_count, provider.browser_client
        if client is None:
            pytest.skip("the provider has no client for browsers")
        if not isinstance(client, BrowserClient):
            wrong(f"`browser_client` is a {type(client).__name__}, not a BrowserClient")
        if faults := list(client.faults()):
            wrong(f"the browser client cannot be served: {'; '.join(faults)}")
        if client != provider.browser_client:
            wrong("`browser_client` differs between two reads")
        if harness.call_count != before:
            wrong("reading `browser_client` made a call")

    @pytest.mark.browser
    def test_P61_browser_client_loads(self, provider: Provider) -> None:
        """In Chromium, under its policy, the module exports `join` and makes no request by being loaded."""
        from videoconf.api.join_page import room_policy

        client = provider.browser_client
        if not isinstance(client, BrowserClient) or list(client.faults()):
            pytest.skip("the provider has no client for browsers that can be loaded")
        found = _load(client, room_policy(client))
        if found["error"]:
            wrong(f"the module cannot be loaded: {found['error']}")
        if found["exported"] != "function":
            wrong("the module does not export the function `join`")
        if found["violations"]:
            wrong(f"loading the module violates its policy: {', '.join(found['violations'])}")
        if found["requests"]:
            wrong(f"loading the module makes requests, before a person joins: {', '.join(found['requests'])}")


def _load(client: BrowserClient, policy: str) -> dict[str, Any]:
    """Load a client in Chromium; return what it exports, what it violates and what it requests."""
    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser_path is None:
        pytest.skip("Chromium is not installed (Debian package chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    requests: list[str] = []
    files = {
        f"{ORIGIN}/": ("text/html", "<!doctype html><title>kit</title>"),
        f"{ORIGIN}/client.js": ("text/javascript", client.module.read_text()),
    }

    def answer(route: Any) -> None:
        found = files.get(route.request.url)
        if found is None:
            requests.append(route.request.url)
            route.abort()
            return
        content_type, body = found
        route.fulfill(body=body, content_type=content_type, headers={"Content-Security-Policy": policy})

    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            page = browser.new_page()
            page.set_default_timeout(LOADED_MS)
            page.on("websocket", lambda socket: requests.append(socket.url))
            page.route("**/*", answer)
            page.goto(f"{ORIGIN}/")
            found = page.evaluate(LOAD)
        finally:
            browser.close()
    return {**found, "requests": requests}
