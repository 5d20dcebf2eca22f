"""Archives are really put into the storage target, by requests that its credentials sign."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.vonage_standin.storage import Target
from tools.vonage_standin.uploads import upload
from videoconf.testing.faulty_server import FaultyServer, reply


@pytest.fixture
def storage() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


def test_upload_to_s3_is_signed(storage: FaultyServer) -> None:
    storage.on("/bucket/47/a/archive.mp4", reply(200, headers={"ETag": '"e"'}))
    config = {"accessKey": "AK", "secretKey": "SK", "bucket": "bucket", "endpoint": storage.url("").rstrip("/")}
    upload(Target("s3", config, "none", {}), "47/a/archive.mp4", b"content")
    (put,) = storage.requests("/bucket/47/a/archive.mp4")
    assert put.method == "PUT"
    assert put.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AK/")


def test_upload_to_azure_is_signed(storage: FaultyServer) -> None:
    path = "/account/container/47/a/archive.mp4"
    said = {"ETag": '"e"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "x-ms-request-server-encrypted": "true"}
    storage.on(path, reply(201, headers=said))
    config = {"accountName": "account", "accountKey": "a2V5", "container": "container", "domain": storage.url("")}
    upload(Target("azure", config, "none", {}), "47/a/archive.mp4", b"content")
    (put,) = storage.requests(path)
    assert (put.method, put.body) == ("PUT", b"content")
    assert put.headers["authorization"].startswith("SharedKey account:")


@pytest.mark.parametrize("status", [403, 500])
def test_refused_upload_raises_once(storage: FaultyServer, status: int) -> None:
    storage.on("/bucket/key", reply(status))
    config = {"accessKey": "AK", "secretKey": "SK", "bucket": "bucket", "endpoint": storage.url("").rstrip("/")}
    with pytest.raises(Exception, match=str(status)):
        upload(Target("s3", config, "none", {}), "key", b"content")
    assert storage.count("/bucket/key") == 1
