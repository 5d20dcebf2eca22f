"""The storage target of all archives: an S3 server that can stall."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.stalling_proxy import StallingProxy
from tests.support.storage_servers import StorageServer, start_s3


class Storage:
    """The server as the nodes see it."""

    def __init__(self, server: StorageServer, proxy: StallingProxy) -> None:
        self._server = server
        self._proxy = proxy

    def stall(self, seconds: float) -> None:
        """Accept connections and requests, and answer none of them for some seconds."""
        self._proxy.stall()
        time.sleep(seconds)
        self._proxy.resume()

    def become_target(self, url: str, authorization: str) -> None:
        """Let the service delete copies here, as the owner of the provider's account asks for it."""
        body = json.dumps({**self._server.target, "endpoint": self._proxy.url}).encode()
        sent = {"Authorization": authorization, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/archives/storage-target", body, sent, method="PUT")
        urllib.request.urlopen(request, timeout=30).close()


@contextmanager
def storage(folder: Path) -> Iterator[Storage]:
    """Run the server."""
    place = folder / "storage"
    place.mkdir()
    for server in start_s3(place):
        proxy = StallingProxy(server.port)
        try:
            yield Storage(server, proxy)
        finally:
            proxy.close()
