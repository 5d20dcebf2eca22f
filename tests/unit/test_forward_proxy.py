"""Connections through the operator's forward proxy: to providers, to the identity provider, and for downloads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pytest_httpserver import HTTPServer

from tests.support.forward_proxy import TestProxy, authority, running_proxy
from videoconf.api.jwks import jwks_of
from videoconf.configuration import load
from videoconf.errors import ConfigurationError, ProviderBadResponse, ProviderUnavailable, StorageEndpointRefused
from videoconf.forward_proxy import ForwardProxy
from videoconf.providers import provider_deadline
from videoconf.providers.clients import Clients
from videoconf.providers.http import GuardedClient
from videoconf.settings import Secret, Settings
from videoconf.storage import EndpointGuard


def port_of(server: HTTPServer) -> int:
    return urlsplit(server.url_for("/")).port or 0


@pytest.fixture
def server(httpserver: HTTPServer) -> HTTPServer:
    httpserver.expect_request("/thing").respond_with_json({"host": "seen"})
    return httpserver


@pytest.fixture
def proxy(server: HTTPServer) -> Iterator[TestProxy]:
    with running_proxy({"vendor.test:80": port_of(server), "vendor.test:8080": port_of(server)}) as running:
        yield running


def client_by(proxy: TestProxy, *bypass: str, url: str = "", downloads: EndpointGuard | None = None) -> GuardedClient:
    return GuardedClient(
        provider="fake", account="a", proxy=ForwardProxy.at(url or proxy.url, bypass), downloads=downloads
    )


def ask(client: GuardedClient, url: str) -> object:
    with provider_deadline(5):
        return client.request("GET", url, operation="thing", idempotent=False).json()


def test_provider_is_reached_by_a_name_that_only_the_proxy_knows(proxy: TestProxy, server: HTTPServer) -> None:
    client = client_by(proxy)
    assert ask(client, "http://vendor.test/thing") == {"host": "seen"}
    assert ask(client, "http://vendor.test:8080/thing") == {"host": "seen"}
    assert [request.headers["Host"] for request, _ in server.log] == ["vendor.test", "vendor.test:8080"]
    assert proxy.asked == ["vendor.test:80", "vendor.test:8080"]
    client.close()


def test_tls_verifies_the_host_behind_the_proxy(
    server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, tls = authority(tmp_path, "vendor.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    targets = {"vendor.test:443": port_of(server), "other.test:443": port_of(server)}
    with running_proxy(targets, tls=tls) as proxy:
        client = client_by(proxy)
        assert ask(client, "https://vendor.test/thing") == {"host": "seen"}
        with pytest.raises(ProviderUnavailable) as refused:
            ask(client, "https://other.test/thing")
        assert "certificate" in str(refused.value.provider_message).lower()
        client.close()
    monkeypatch.delenv("SSL_CERT_FILE")
    with running_proxy(targets, tls=tls) as proxy, pytest.raises(ProviderUnavailable):
        ask(client_by(proxy), "https://vendor.test/thing")


def test_proxy_asks_for_a_password(server: HTTPServer) -> None:
    with running_proxy({"vendor.test:80": port_of(server)}, user="me:tops3cret") as proxy:
        assert ask(client_by(proxy), "http://vendor.test/thing") == {"host": "seen"}
        wrong = proxy.url.replace("tops3cret", "wr0ng")
        with pytest.raises(ProviderUnavailable) as refused:
            ask(client_by(proxy, url=wrong), "http://vendor.test/thing")
    assert "407" in str(refused.value.provider_message)
    assert "wr0ng" not in f"{refused.value.provider_message}{refused.value.detail}"


def test_host_that_the_proxy_refuses_is_unavailable(proxy: TestProxy) -> None:
    with pytest.raises(ProviderUnavailable) as refused:
        ask(client_by(proxy), "http://unknown.test/thing")
    assert "403" in str(refused.value.provider_message)


def test_proxy_that_is_down_is_unavailable() -> None:
    with running_proxy({}) as gone:
        pass
    with pytest.raises(ProviderUnavailable):
        ask(client_by(gone), "http://vendor.test/thing")


def test_own_machine_and_bypassed_hosts_are_reached_directly(proxy: TestProxy, server: HTTPServer) -> None:
    assert ask(client_by(proxy), server.url_for("/thing")) == {"host": "seen"}
    with pytest.raises(ProviderUnavailable):
        ask(client_by(proxy, "*.test"), "http://vendor.test/thing")
    assert proxy.asked == []


@pytest.mark.parametrize(
    ("host", "carried"),
    [
        ("api.example.com", True),
        ("localhost", False),
        ("127.0.0.9", False),
        ("::1", False),
        ("janus.internal", False),
        ("JANUS.internal.", False),
        ("internal", True),
        ("deep.corp.example", False),
        ("10.1.2.3", False),
        ("11.1.2.3", True),
        ("192.0.2.7", False),
        ("media", False),
    ],
)
def test_bypass_names_hosts_patterns_and_networks(host: str, carried: bool) -> None:
    bypass = ("*.internal", ".corp.example", "10.0.0.0/8", "192.0.2.7", "Media")
    proxy = ForwardProxy.at("http://proxy:3128", bypass)
    assert proxy is not None
    assert proxy.carries(host) is carried


def test_identity_provider_is_asked_through_the_proxy(proxy: TestProxy, server: HTTPServer) -> None:
    server.expect_request("/keys").respond_with_data(json.dumps({"keys": []}))
    settings = Settings(jwt_jwks_url="http://vendor.test/keys", forward_proxy=Secret(proxy.url), development=True)
    jwks = jwks_of(settings)
    assert jwks is not None
    assert jwks.fetch().keys == ()
    assert proxy.asked == ["vendor.test:80"]


def test_download_is_judged_by_its_name(server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, tls = authority(tmp_path, "bucket.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    def resolve(*arguments: object, **options: object) -> list[object]:
        raise AssertionError("the proxy resolves the name, not this machine")

    with running_proxy({"bucket.test:443": port_of(server)}, tls=tls) as proxy:
        guard = EndpointGuard(("*:*",), resolve=resolve, proxy=ForwardProxy.at(proxy.url))
        clients = Clients("fake", 1, downloads=guard, proxy=guard.proxy)
        with provider_deadline(5), clients("a").open("https://bucket.test/thing") as body:
            assert json.loads(body.read()) == {"host": "seen"}
        with provider_deadline(5), pytest.raises(ProviderBadResponse, match="not public"):
            clients("a").open("https://169.254.169.254/thing")
    assert proxy.asked == ["bucket.test:443"]


def test_private_name_is_carried_if_it_is_named_in_full() -> None:
    guard = EndpointGuard(("*:*", "receiver.internal"), proxy=ForwardProxy.at("http://proxy"))
    guard.check_carried("receiver.internal", 443)
    for host in ("other.internal", "RECEIVER.INTERNAL.local", "receiver"):
        with pytest.raises(StorageEndpointRefused):
            guard.check_carried(host, 443)


def test_guard_with_a_proxy_refuses_names_not_allowed() -> None:
    guard = EndpointGuard(("*.example.com",), proxy=ForwardProxy.at("http://proxy"))
    with pytest.raises(StorageEndpointRefused):
        guard.check_url("https://other.test")
    assert guard.allowing(("*:*",)).proxy is guard.proxy


@pytest.mark.parametrize("url", ["https://proxy", "socks5://proxy:1080", "http://", "http://proxy/path", "http://a:b"])
def test_url_that_is_not_a_proxy_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("VIDEOCONF_FORWARD_PROXY", url.replace("//", "//me:tops3cret@", 1))
    with pytest.raises(ConfigurationError) as refused:
        load(Settings)
    [fault] = refused.value.faults
    assert fault.startswith("VIDEOCONF_FORWARD_PROXY: Must be a URL like http://proxy")
    assert "tops3cret" not in fault


def test_proxy_is_read_with_its_password_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOCONF_FORWARD_PROXY", "http://me:p%40ss@proxy.example.com")
    proxy = load(Settings).proxy
    assert proxy is not None
    assert (proxy.host, proxy.port) == ("proxy.example.com", 3128)
    assert proxy.headers == {"Proxy-Authorization": "Basic bWU6cEBzcw=="}
    assert "Basic" not in repr(proxy)
