"""The storage plugins against real servers that verify signatures."""

import io
import os
import re
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.support.storage_servers import StorageServer
from videoconf.errors import (
    ProviderTimeout,
    StorageContainerNotFound,
    StorageDenied,
    StorageEndpointRefused,
    StorageError,
    StorageTimeout,
    StorageUnavailable,
    StoredObjectNotFound,
)
from videoconf.storage import EndpointGuard, StorageContext, StorageTarget
from videoconf_azure import client as azure_client
from videoconf_azure.target import AzureTarget
from videoconf_s3 import client as s3_client
from videoconf_s3.target import PART_BYTES, S3Target

KINDS = {"AWSS3": S3Target, "AZURE": AzureTarget}


def open_target(document: dict[str, Any], *, development: bool = True, **changes: Any) -> StorageTarget:
    sent = {**document, **changes}
    kind = KINDS[sent.pop("name")]
    configuration = kind.configuration_schema().load(sent)
    guard = EndpointGuard(kind.hosts, development=development)
    return kind(configuration, StorageContext(lambda: datetime.now(UTC), guard))


@pytest.fixture
def target(storage_server: StorageServer):
    made = open_target(storage_server.target)
    yield made
    made.close()


def get(url: str, **headers: str) -> urllib3.BaseHTTPResponse:
    """Fetch with a plain HTTP client."""
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        return pool.request("GET", url, headers=headers, redirect=False)


def test_a_probe_leaves_nothing(target, storage_server):
    target.probe()
    before = sorted(storage_server.folder.rglob("*videoconf-probe*"))
    assert before == []


@pytest.mark.parametrize("size_bytes", [0, 1, 100_000, PART_BYTES + 1, 2 * PART_BYTES])
def test_an_object_is_put_read_described_and_deleted(target, size_bytes):
    content, key = os.urandom(size_bytes), f"a/{size_bytes}.mp4"
    stored = target.put(key, io.BytesIO(content), content_type="video/mp4")
    assert (stored.key, stored.size_bytes, stored.content_type) == (key, size_bytes, "video/mp4")
    assert target.stat(key).modified_at.tzinfo is not None
    with target.open(key) as stream:
        assert stream.read() == content
    target.put(key, io.BytesIO(b"replaced"))
    with target.open(key) as stream:
        assert stream.read() == b"replaced"
    target.delete(key)
    target.delete(key)
    for ask in (target.open, target.stat):
        with pytest.raises(StoredObjectNotFound):
            ask(key)


@pytest.mark.parametrize("key", ["", "/a", "a/../b", "..", "a//b", "a b", "ä", "a\n", "a" * 600])
def test_invalid_key_is_refused(target, key):
    for use in (target.open, target.stat, target.delete):
        with pytest.raises(StorageError):
            use(key)


def test_failing_stream_leaves_no_object_and_no_upload(target, storage_server):
    class Broken(io.RawIOBase):
        left = 3 * PART_BYTES

        def readable(self):
            return True

        def read(self, size=-1):
            if self.left <= 0:
                raise ProviderTimeout
            self.left -= size
            return b"x" * size

    with pytest.raises(ProviderTimeout):
        target.put("broken.mp4", Broken())
    with pytest.raises(StoredObjectNotFound):
        target.stat("broken.mp4")
    assert storage_server.unfinished() == []


def test_next_put_removes_the_upload_of_a_killed_process(target, storage_server):
    storage_server.begin_upload("killed.mp4")
    assert storage_server.unfinished() == ["killed.mp4"]
    target.put("killed.mp4", io.BytesIO(b"whole"))
    assert storage_server.unfinished() == []
    target.delete("killed.mp4")


# --- signed URLs ----------------------------------------------------------------------------------------------------


def test_a_signed_url_reads_one_object_whole_or_in_part(target):
    content = os.urandom(10_000)
    target.put("signed.mp4", io.BytesIO(content), content_type="video/mp4")
    signed = target.signed_url("signed.mp4", expires_in_seconds=60)
    assert 50 < (signed.expires_at - datetime.now(UTC)).total_seconds() <= 60
    whole = get(signed.url)
    assert (whole.status, whole.data, whole.headers["Content-Type"]) == (200, content, "video/mp4")
    part = get(signed.url, Range="bytes=100-199")
    assert part.status in (200, 206), "rclone gives the range and says 200"
    assert (part.data, part.headers["Content-Range"]) == (content[100:200], "bytes 100-199/10000")


def test_a_signed_url_that_was_changed_is_refused(target):
    for name in ("mine.mp4", "other.mp4"):
        target.put(name, io.BytesIO(name.encode()))
    url = target.signed_url("mine.mp4", expires_in_seconds=60).url
    changed = [
        url.replace("mine.mp4", "other.mp4"),
        url.partition("?")[0],
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.replace("Expires=60", "Expires=6000").replace("se=20", "se=21"),
    ]
    assert get(url).status == 200
    for one in changed:
        assert one != url
        assert get(one).status in (400, 401, 403, 404), one


def test_a_signed_url_expires(storage_server):
    made = open_target(storage_server.target)
    made.put("late.mp4", io.BytesIO(b"late"))
    signed = made.signed_url("late.mp4", expires_in_seconds=1)
    give_up = threading.Event()
    for _ in range(50):
        if (answer := get(signed.url)).status != 200:
            break
        give_up.wait(0.1)
    assert answer.status in (400, 403)
    made.close()


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_each_failure_has_its_own_error(storage_server):
    is_s3 = storage_server.target["name"] == "AWSS3"
    missing = {"bucket": "absent"} if is_s3 else {"container": "absent"}
    wrong = {"secretKey": "wrong" * 8} if is_s3 else {"accountKey": "d3Jvbmc="}
    for changes, error in ((missing, StorageContainerNotFound), (wrong, StorageDenied)):
        made = open_target(storage_server.target, **changes)
        with pytest.raises(error) as caught:
            made.probe()
        assert storage_server.secret not in str(vars(caught.value)) + repr(caught.value.__context__)
        if error is StorageContainerNotFound:
            made.delete("anything.mp4")  # nothing of it can be left
        made.close()


def moved_to(server: StorageServer, port: int) -> dict[str, Any]:
    name = "endpoint" if server.target["name"] == "AWSS3" else "domain"
    return {name: server.target[name].replace(str(server.port), str(port))}


def test_absent_and_silent_servers_have_different_errors(storage_server, monkeypatch):
    for module in (s3_client, azure_client):
        monkeypatch.setattr(module, "READ_SECONDS", 0.3)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        closed = open_target(storage_server.target, **moved_to(storage_server, port))
        with pytest.raises(StorageUnavailable):
            closed.stat("a")
        listener.listen(8)
        silent = open_target(storage_server.target, **moved_to(storage_server, port))
        with pytest.raises(StorageTimeout):
            silent.stat("a")
        for made in (closed, silent):
            made.close()


@pytest.mark.parametrize("status", [300, 301, 307])
def test_a_redirect_is_not_followed(storage_server, httpserver, status):
    httpserver.expect_request(re.compile("/.*")).respond_with_data(
        b"", status=status, headers={"Location": f"{storage_server.url}/archives/a", "x-amz-bucket-region": "eu-west-1"}
    )
    made = open_target(storage_server.target, **moved_to(storage_server, httpserver.port))
    for ask in (lambda: made.stat("a"), lambda: made.open("a"), lambda: made.delete("a")):
        httpserver.clear_log()
        with pytest.raises(StorageError, match="redirects"):
            ask()
        assert len(httpserver.log) == 1, "neither followed nor repeated in another region"
    with pytest.raises(StorageError, match="redirects"):
        made.put("a", io.BytesIO(b"x"))
    made.close()


def test_settings_of_the_machine_are_not_used(storage_server, monkeypatch, tmp_path):
    config = tmp_path / "config"
    config.write_text("[default]\nregion = mars\ns3 =\n  use_accelerate_endpoint = true\n")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "canary",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_PROFILE": "absent",
        "AWS_CONFIG_FILE": str(config),
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    made = open_target(storage_server.target)
    made.probe()
    made.close()


def test_own_machine_is_refused_outside_development(storage_server):
    with pytest.raises(StorageEndpointRefused):
        open_target(storage_server.target, development=False).probe()


def test_the_address_is_checked_again_when_it_connects(storage_server):
    """A name that is public when it is checked, and this machine's when it is connected to, gains nothing."""
    made = open_target(storage_server.target)
    made.context = StorageContext(made.context.clock, EndpointGuard((f"127.0.0.1:{storage_server.port}",)))
    with pytest.raises(StorageEndpointRefused):
        made.stat("a")
    made.close()


def test_sdk_is_imported_when_a_target_is_first_used():
    code = (
        "import sys, videoconf.app as a\n"
        "from videoconf.settings import Settings\n"
        "a.create_app(Settings(), serving=False)\n"
        "assert {'videoconf_s3.target', 'videoconf_azure.target'} <= set(sys.modules)\n"
        "loaded = {'boto3', 'botocore', 'azure.storage.blob', 'azure.core', 'requests'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=60)
