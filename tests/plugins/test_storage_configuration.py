"""What operators write into a storage target: names of buckets, regions, encryption, Azure's domain."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from marshmallow import ValidationError
from pytest_httpserver import HTTPServer

from videoconf.errors import ProviderRejected, StorageEndpointRefused, StorageHostUnknown, StorageUnavailable
from videoconf.providers import StorageDestination
from videoconf.storage import EndpointGuard, StorageContext, StorageTarget
from videoconf_azure.target import AzureTarget
from videoconf_livekit import egress
from videoconf_s3.target import S3Target
from videoconf_vonage.storage import storage_body

S3 = {"bucket": "recordings", "region": "eu-west-1", "accessKey": "AKIA1", "secretKey": "s3cr3t"}
AZURE = {"container": "recordings", "accountName": "acme", "accountKey": "a2V5"}


def loaded(kind: type[StorageTarget], document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = kind.configuration_schema().load({**document, **changes})
    return found


def opened(kind: type[StorageTarget], configuration: dict[str, Any], **options: Any) -> StorageTarget:
    guard = EndpointGuard(kind.hosts, **options)
    return kind(configuration, StorageContext(lambda: datetime.now(UTC), guard))


@pytest.mark.parametrize("bucket", ["team--recordings", "a" * 63, "Old.Bucket_1", "b", "a.b-c"])
def test_bucket_with_an_unusual_name_is_accepted(bucket: str) -> None:
    assert loaded(S3Target, S3, bucket=bucket)["bucket"] == bucket


@pytest.mark.parametrize("bucket", ["", "..", "a/b", "a:b", "a?b", "a@b", "a b", "a\n", "arn:aws:s3:::x", "ä"])
def test_bucket_that_would_change_the_host_is_refused(bucket: str) -> None:
    with pytest.raises(ValidationError):
        loaded(S3Target, S3, bucket=bucket)


@pytest.mark.parametrize("bucket", ["x--eun1-az1--x-s3", "x--ol-s3"])
def test_bucket_of_another_service_is_refused_by_its_host(bucket: str) -> None:
    target = opened(S3Target, loaded(S3Target, S3, bucket=bucket), resolve=addressed("192.0.2.7"))
    with pytest.raises((StorageEndpointRefused, StorageUnavailable)):
        target.stat("x")
    target.close()


@pytest.mark.parametrize("region", ["1", "-", "a.b", "a/b", "", "eu-west-1-", "a" * 64])
def test_region_that_is_not_one_name_is_refused(region: str) -> None:
    with pytest.raises(ValidationError):
        loaded(S3Target, S3, region=region)
    assert loaded(S3Target, S3, region="US-east-1")["region"] == "US-east-1"


def addressed(address: str) -> Any:
    return lambda host, port, **options: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


def failing(code: int) -> Any:
    def resolve(*arguments: Any, **options: Any) -> Any:
        raise socket.gaierror(code, "the resolver's text")

    return resolve


MISTYPED: dict[str, tuple[type[StorageTarget], dict[str, Any]]] = {
    "S3's region": (S3Target, {**S3, "region": "eu-wset-1"}),
    "Azure's account": (AzureTarget, {**AZURE, "accountName": "acem"}),
}


@pytest.mark.parametrize("name", MISTYPED)
def test_mistyped_name_differs_from_an_unreachable_resolver(name: str) -> None:
    kind, document = MISTYPED[name]
    for code, expected in (
        (socket.EAI_NONAME, StorageHostUnknown),
        (socket.EAI_NODATA, StorageHostUnknown),
        (socket.EAI_AGAIN, StorageUnavailable),
    ):
        target = opened(kind, loaded(kind, document), resolve=failing(code))
        with pytest.raises(expected):
            target.stat("x")
        target.close()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("core.windows.net", "blob.core.windows.net"),
        ("blob.core.windows.net", "blob.core.windows.net"),
        ("acme.blob.core.windows.net", "blob.core.windows.net"),
        ("Core.ChinaCloudApi.cn", "blob.core.chinacloudapi.cn"),
        ("blob.example.com:8443", "blob.example.com:8443"),
    ],
)
def test_domain_of_azure_is_read_as_portals_show_it(written: str, meant: str) -> None:
    assert loaded(AzureTarget, AZURE, domain=written)["domain"] == meant


def test_each_object_is_written_with_the_encryption_asked_for(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/recordings/x", method="PUT").respond_with_data("")
    httpserver.expect_request("/recordings/x", method="HEAD").respond_with_data("", headers={"Content-Length": "3"})
    httpserver.expect_request("/recordings", method="GET").respond_with_data("", 403)
    for changes, expected in (
        ({}, (None, None)),
        ({"sse": "AES256"}, ("AES256", None)),
        ({"sse": "aws:kms", "sseKmsKeyId": "arn:aws:kms:x"}, ("aws:kms", "arn:aws:kms:x")),
    ):
        configuration = loaded(S3Target, S3, endpoint=httpserver.url_for("").rstrip("/"), **changes)
        target = opened(S3Target, configuration, development=True)
        target.put("x", BytesIO(b"abc"))
        target.close()
        [sent] = [request.headers for request, _ in httpserver.log if request.method == "PUT"][-1:]
        prefix = "x-amz-server-side-encryption"
        assert (sent.get(prefix), sent.get(f"{prefix}-aws-kms-key-id")) == expected


@pytest.mark.parametrize(
    ("kind", "header", "digest"),
    [
        (S3Target, "x-amz-content-sha256", hashlib.sha256(b"abc").hexdigest()),
        (AzureTarget, "Content-MD5", base64.b64encode(hashlib.md5(b"abc").digest()).decode()),
    ],
    ids=["s3", "azure"],
)
def test_each_object_is_sent_with_its_digest(
    httpserver: HTTPServer, kind: type[StorageTarget], header: str, digest: str
) -> None:
    """The server refuses what was changed on the way."""
    httpserver.expect_request(re.compile("/.*/x"), method="PUT").respond_with_data("", 201)
    httpserver.expect_request(re.compile("/.*/x"), method="HEAD").respond_with_data("", headers={"Content-Length": "3"})
    httpserver.expect_request("/recordings", method="GET").respond_with_data("", 403)
    url = httpserver.url_for("").rstrip("/")
    is_s3 = kind is S3Target
    document = loaded(kind, S3, endpoint=url) if is_s3 else loaded(kind, AZURE, domain=url.removeprefix("http://"))
    target = opened(kind, document, development=True)
    target.put("x", BytesIO(b"abc"))
    target.close()
    assert [request.headers.get(header) for request, _ in httpserver.log if request.method == "PUT"] == [digest]


def test_encryption_key_needs_its_method() -> None:
    for changes in ({"sseKmsKeyId": "k"}, {"sse": "AES256", "sseKmsKeyId": "k"}, {"sse": "s3"}):
        with pytest.raises(ValidationError):
            loaded(S3Target, S3, **changes)


def test_provider_that_cannot_ask_for_encryption_refuses_it() -> None:
    plain, aes, kms = (loaded(S3Target, S3, **more) for more in ({}, {"sse": "AES256"}, {"sse": "aws:kms"}))
    assert "sse" not in storage_body("s3", plain)["config"]
    assert storage_body("s3", aes)["config"]["sse"] == "s3"
    for refused in (
        lambda: storage_body("s3", kms),
        lambda: egress.upload(StorageDestination("s3", aes)),
    ):
        with pytest.raises(ProviderRejected) as error:
            refused()
        assert error.value.errors.keys() == {"sse"}
