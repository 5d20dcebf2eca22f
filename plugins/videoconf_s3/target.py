"""A bucket as a storage target."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

from videoconf.errors import StorageContainerNotFound, StorageError, StoredObjectNotFound
from videoconf.storage import (
    ReadOnce,
    RemoteBody,
    SignedUrl,
    StorageContext,
    StorageTarget,
    StoredObject,
    checked_key,
)
from videoconf_s3.configuration import S3Configuration, S3Settings

if TYPE_CHECKING:
    from videoconf_s3.client import Sender

PART_BYTES = 5 << 20
"""Of 10,000 parts that an upload may have: objects of up to 50 GB, with one part at a time in memory."""


def mapped() -> AbstractContextManager[None]:
    """Turn what the SDK raises inside the block into our errors. Only now is it imported, as the client is."""
    from videoconf_s3 import failures

    return failures.mapped()


class S3Target(StorageTarget):
    """A bucket. The client is made when first used, since importing its library takes a while."""

    key = "s3"
    wire_name = "AWSS3"
    label = "Amazon S3, and servers that speak its protocol"
    hosts = (
        "s3.amazonaws.com",
        "*.s3.amazonaws.com",
        "s3.*.amazonaws.com",
        "*.s3.*.amazonaws.com",
        "s3.*.amazonaws.com.cn",
        "*.s3.*.amazonaws.com.cn",
    )
    configuration_schema = S3Configuration
    Settings = S3Settings
    secret_fields = frozenset({"secret_key"})
    masked_fields = frozenset({"access_key"})

    def __init__(self, configuration: Mapping[str, Any], context: StorageContext) -> None:
        super().__init__(configuration, context)
        endpoint = configuration.get("endpoint")
        self._endpoint = context.endpoints.check_url(endpoint) if endpoint else None
        self._bucket = str(configuration["bucket"])
        self._prefix = f"{prefix}/" if (prefix := str(configuration.get("prefix") or "").strip("/")) else ""
        self._lock = Lock()
        self._made: tuple[Any, Sender] | None = None

    @property
    def _client(self) -> Any:
        from videoconf_s3.client import make_client

        with self._lock:
            if self._made is None:
                self._made = make_client(self.configuration, self._endpoint, self.context.endpoints)
            return self._made[0]

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + checked_key(key)}

    def put(self, key: str, stream: BinaryIO, *, content_type: str | None = None) -> StoredObject:
        from boto3.s3.transfer import TransferConfig

        at = self._at(key)
        extra = {"ContentType": content_type} if content_type else {}
        names = {"ServerSideEncryption": "sse", "SSEKMSKeyId": "sse_kms_key_id"}
        extra |= {name: value for name, ours in names.items() if (value := self.configuration.get(ours))}
        # In this thread, so that one part at a time is in memory. What fails is aborted by the library.
        parts = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False)
        with mapped():
            self._client.upload_fileobj(ReadOnce(stream), **at, ExtraArgs=extra, Config=parts)
        self._abort_unfinished(at)
        return self.stat(key)

    def _abort_unfinished(self, at: dict[str, str]) -> None:
        """Remove what processes that were killed have left. Credentials that may not list uploads leave it there."""
        with suppress(StorageError), mapped():
            listed = self._client.list_multipart_uploads(Bucket=at["Bucket"], Prefix=at["Key"])
            for upload in listed.get("Uploads", ()):
                if upload["Key"] == at["Key"]:
                    self._client.abort_multipart_upload(**at, UploadId=upload["UploadId"])

    def open(self, key: str) -> BinaryIO:
        with mapped():
            body = self._client.get_object(**self._at(key))["Body"]
        return io.BufferedReader(RemoteBody(body, mapped))

    def stat(self, key: str) -> StoredObject:
        try:
            with mapped():
                found = self._client.head_object(**self._at(key))
        except StoredObjectNotFound:
            self._check_bucket()
            raise
        return StoredObject(key, found["ContentLength"], found.get("ContentType"), found.get("LastModified"))

    def _check_bucket(self) -> None:
        """Tell a bucket that is missing from an object that is: the answer to HEAD has no body to say which.

        Credentials that may not ask leave it at the object.

        :raises StorageContainerNotFound: the bucket does not exist.
        """
        try:
            with mapped():
                self._client.head_bucket(Bucket=self._bucket)
        except StoredObjectNotFound:
            raise StorageContainerNotFound from None
        except StorageError:
            return

    def delete(self, key: str) -> None:
        with suppress(StoredObjectNotFound, StorageContainerNotFound), mapped():
            self._client.delete_object(**self._at(key))

    def signed_url(self, key: str, *, expires_in_seconds: int) -> SignedUrl:
        expires_at = self.context.clock() + timedelta(seconds=expires_in_seconds)
        url = self._client.generate_presigned_url("get_object", Params=self._at(key), ExpiresIn=expires_in_seconds)
        return SignedUrl(url, expires_at)

    def close(self) -> None:
        with self._lock:
            if self._made is not None:
                client, sender = self._made
                client.close()
                sender.close()
                self._made = None
