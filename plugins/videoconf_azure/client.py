"""The client for one container: uses only its key, has timeouts, and connects only to checked hosts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import requests
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

from videoconf.storage import EndpointGuard, ca_file, guarded_pool, refuse_entities

CONNECT_SECONDS = 3
READ_SECONDS = 6
"""The longest silence."""
RETRIES = 1
PART_BYTES = 4 << 20
"""Of 50,000 parts that an object may have: up to 200 GB, with one part in memory at a time."""
READ_BYTES = 2 << 20
"""What a request reads; the SDK holds it about ten times over."""
LARGEST_ANSWER_BYTES = 2 * READ_BYTES

# It writes every request with its URL at INFO.
logging.getLogger("azure").setLevel(logging.WARNING)


class GuardedAdapter(HTTPAdapter):
    """requests' HTTP, on guarded connections."""

    def __init__(self, guard: EndpointGuard) -> None:
        self._guard = guard
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": guarded_pool(HTTPConnectionPool, self._guard, largest_answer_bytes=LARGEST_ANSWER_BYTES),
            "https": guarded_pool(HTTPSConnectionPool, self._guard, largest_answer_bytes=LARGEST_ANSWER_BYTES),
        }

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        response = super().send(request, stream, timeout, verify, cert, proxies)
        if not stream or response.status_code >= 300:  # a stream is an object, which the SDK does not parse
            refuse_entities(response.content)
        return response


def make_client(configuration: Mapping[str, Any], account_url: str, guard: EndpointGuard) -> ContainerClient:
    """Make a client; its HTTP session is closed with it."""
    session = requests.Session()
    session.trust_env = False  # no proxy and no .netrc of this machine
    for scheme in ("http://", "https://"):
        session.mount(scheme, GuardedAdapter(guard))
    return ContainerClient(
        account_url,
        configuration["container"],
        credential=AzureNamedKeyCredential(configuration["account_name"], configuration["account_key"]),
        transport=RequestsTransport(
            session=session,
            connection_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            connection_verify=ca_file() or True,
        ),
        permit_redirects=False,
        retry_total=RETRIES,
        initial_backoff=1,
        increment_base=1,
        random_jitter_range=1,
        max_block_size=PART_BYTES,
        max_single_get_size=READ_BYTES,
        max_chunk_get_size=READ_BYTES,
    )
