"""A container as a storage target."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

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
from videoconf_azure.configuration import AzureConfiguration, AzureSettings

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

BUFFER_BYTES = 1 << 20


def mapped() -> AbstractContextManager[None]:
    """Turn what the SDK raises inside the block into our errors. Only now is it imported, as the client is."""
    from videoconf_azure import failures

    return failures.mapped()


class AzureTarget(StorageTarget):
    """A container. The client is made when first used, since importing its library takes a while."""

    key = "azure"
    wire_name = "AZURE"
    label = "Azure Blob Storage"
    hosts = (
        "*.blob.core.windows.net",
        "*.blob.core.chinacloudapi.cn",
        "*.blob.core.usgovcloudapi.net",
        "*.blob.storage.azure.net",
    )
    configuration_schema = AzureConfiguration
    Settings = AzureSettings
    secret_fields = frozenset({"account_key"})

    def __init__(self, configuration: Mapping[str, Any], context: StorageContext) -> None:
        super().__init__(configuration, context)
        self._account_url = _account_url(configuration["account_name"], configuration["domain"], context)
        self._lock = Lock()
        self._made: ContainerClient | None = None

    @property
    def _container(self) -> ContainerClient:
        from videoconf_azure.client import make_client

        with self._lock:
            if self._made is None:
                self._made = make_client(self.configuration, self._account_url, self.context.endpoints)
            return self._made

    def _blob(self, key: str) -> BlobClient:
        return self._container.get_blob_client(checked_key(key))

    def put(self, key: str, stream: BinaryIO, *, content_type: str | None = None) -> StoredObject:
        from azure.storage.blob import ContentSettings

        blob = self._blob(key)
        settings = ContentSettings(content_type=content_type)
        try:
            with mapped():
                blob.upload_blob(
                    ReadOnce(stream),
                    overwrite=True,
                    content_settings=settings,
                    validate_content=True,  # a digest of each part, which the server checks
                    max_concurrency=1,
                )
        except BaseException:
            self._discard_unfinished(blob)
            raise
        return self.stat(key)

    def _discard_unfinished(self, blob: BlobClient) -> None:
        """Remove parts that were uploaded and belong to no object. Azure would keep them for a week."""
        from azure.core import MatchConditions

        # Parts cannot be deleted; an object that is made of none of them drops them, and is deleted in their place.
        with suppress(StorageError), mapped():
            blob.commit_block_list([], match_condition=MatchConditions.IfMissing)
            blob.delete_blob()

    def open(self, key: str) -> BinaryIO:
        with mapped():
            downloader = self._blob(key).download_blob()
        return io.BufferedReader(RemoteBody(downloader, mapped), BUFFER_BYTES)

    def stat(self, key: str) -> StoredObject:
        with mapped():
            found = self._blob(key).get_blob_properties()
        return StoredObject(key, found.size, found.content_settings.content_type, found.last_modified)

    def delete(self, key: str) -> None:
        with suppress(StoredObjectNotFound, StorageContainerNotFound), mapped():
            self._blob(key).delete_blob(delete_snapshots="include")

    def signed_url(self, key: str, *, expires_in_seconds: int) -> SignedUrl:
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        blob = self._blob(key)
        expires_at = self.context.clock() + timedelta(seconds=expires_in_seconds)
        signature = generate_blob_sas(
            str(blob.account_name),
            blob.container_name,
            blob.blob_name,
            account_key=self.configuration["account_key"],
            permission=BlobSasPermissions(read=True),
            expiry=expires_at,
            protocol="https" if self._account_url.startswith("https") else "https,http",
        )
        return SignedUrl(f"{blob.url}?{signature}", expires_at)

    def close(self) -> None:
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None


def _account_url(account: str, domain: str, context: StorageContext) -> str:
    """Return where an account is: a name below the domain, or where that is this machine, a path there."""
    guard = context.endpoints
    host = urlsplit(f"//{domain}").hostname or ""
    if guard.is_own_machine(host):
        return f"{guard.check_url(f'http://{domain}')}/{account}"
    return guard.check_url(f"https://{account}.{domain}")
