"""Storage targets through the operator's forward proxy, which alone resolves the vendors' names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pytest_httpserver import HTTPServer

from tests.support.forward_proxy import TestProxy, authority, running_proxy
from tests.support.storage_servers import StorageServer
from videoconf.errors import StorageDenied, StorageEndpointRefused, StorageUnavailable
from videoconf.forward_proxy import ForwardProxy
from videoconf.storage import EndpointGuard, StorageContext, StorageTarget
from videoconf_azure.target import AzureTarget
from videoconf_s3.target import S3Target

AZURE = {"container": "recordings", "accountName": "acme", "accountKey": "a2V5"}
AZURE_HOST = "acme.blob.core.windows.net"
S3 = {
    "bucket": "recordings",
    "region": "eu-west-1",
    "endpoint": "https://s3.test",
    "accessKey": "AKIAEXAMPLE",
    "secretKey": "s" * 40,
}


def opened(kind: type[StorageTarget], document: dict[str, Any], proxy: str, hosts: tuple[str, ...] = ()) -> Any:
    guard = EndpointGuard((*kind.hosts, *hosts), proxy=ForwardProxy.at(proxy))
    context = StorageContext(lambda: datetime.now(UTC), guard)
    return kind(kind.configuration_schema().load(document), context)


@pytest.fixture
def of_s3(s3_server: StorageServer) -> dict[str, Any]:
    """The configuration of a bucket of the S3 server, at a name that only the proxy resolves."""
    document = {name: value for name, value in s3_server.target.items() if name != "name"}
    return {**document, "endpoint": "https://s3.test", "pathStyle": True}


@pytest.fixture
def proxy(s3_server: StorageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestProxy]:
    file, tls = authority(tmp_path, "s3.test", "*.blob.core.windows.net")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    port = urlsplit(s3_server.target["endpoint"]).port
    assert port is not None
    with running_proxy({"s3.test:443": port}, tls=tls, user="me:tops3cret") as running:
        yield running


def test_bucket_is_written_and_read_through_the_proxy(of_s3: dict[str, Any], proxy: TestProxy) -> None:
    target = opened(S3Target, of_s3, proxy.url, ("s3.test",))
    try:
        target.probe()
        target.put("a/b", BytesIO(b"x" * 70_000))
        with target.open("a/b") as body:
            assert body.read() == b"x" * 70_000
        target.delete("a/b")
    finally:
        target.close()
    assert set(proxy.asked) == {"s3.test:443"}


def test_bucket_behind_a_proxy_that_refuses_is_unavailable(of_s3: dict[str, Any], proxy: TestProxy) -> None:
    for url, hosts in ((proxy.url.replace("tops3cret", "x"), ("s3.test",)),):
        target = opened(S3Target, of_s3, url, hosts)
        with pytest.raises(StorageUnavailable):
            target.probe()
        target.close()
    with pytest.raises(StorageEndpointRefused):
        opened(S3Target, of_s3, proxy.url)


def test_container_is_reached_through_the_proxy(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpserver.expect_request("/recordings/x").respond_with_data("", 403)
    size = 2 << 20  # what one request reads
    found = {"Content-Range": f"bytes 0-{size - 1}/{size}", "ETag": '"1"'}
    httpserver.expect_request("/recordings/large").respond_with_data(bytes(size), 206, found)
    file, tls = authority(tmp_path, AZURE_HOST)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    targets = {f"{AZURE_HOST}:443": httpserver.port}
    with running_proxy(targets, tls=tls) as proxy:
        target = opened(AzureTarget, AZURE, proxy.url)
        with pytest.raises(StorageDenied):
            target.stat("x")
        with target.open("large") as body:
            assert body.read() == bytes(size)
        target.close()
        assert set(proxy.asked) == set(targets)
        del proxy.targets[f"{AZURE_HOST}:443"]
        target = opened(AzureTarget, AZURE, proxy.url)
        with pytest.raises(StorageUnavailable):
            target.stat("x")
        target.close()


@pytest.mark.parametrize(
    ("kind", "document", "host"), [(S3Target, S3, "s3.test"), (AzureTarget, AZURE, AZURE_HOST)], ids=["s3", "azure"]
)
@pytest.mark.parametrize("certificate", ["of_an_unknown_authority", "for_another_name"])
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")  # is what must not happen
def test_server_with_wrong_certificate_gets_no_request(
    httpserver: HTTPServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[StorageTarget],
    document: dict[str, Any],
    host: str,
    certificate: str,
) -> None:
    httpserver.expect_request(re.compile("/.*")).respond_with_data("", 403)
    is_known = certificate == "for_another_name"
    file, tls = authority(tmp_path, "other.test" if is_known else host)
    if is_known:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    else:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with running_proxy({f"{host}:443": httpserver.port}, tls=tls) as proxy:
        target = opened(kind, document, proxy.url, (host,))
        with pytest.raises(StorageUnavailable):
            target.stat("x")
        target.close()
        assert set(proxy.asked) == {f"{host}:443"}
    assert httpserver.log == [], "signed requests went to a server that did not prove its name"
