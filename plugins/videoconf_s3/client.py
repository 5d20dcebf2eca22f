"""The client for one bucket: uses only its credentials, has timeouts, and connects only to checked hosts."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool
from botocore.config import Config
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.session import Session

from videoconf.errors import StorageError, VideoconfError
from videoconf.storage import EndpointGuard, ca_file, guarded_pool, refuse_entities

CONNECT_SECONDS = 3
READ_SECONDS = 6
"""The longest silence."""
COMPLETION_SECONDS = 300
"""For putting an object together of its parts; some servers say nothing until they have copied them all."""
ATTEMPTS = 2
CONNECTIONS = 10

# At DEBUG they write signatures, from which a signed URL can be made.
for _name in ("boto3", "botocore", "s3transfer"):
    logging.getLogger(_name).setLevel(logging.WARNING)

OF_THIS_MACHINE = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""Settings of botocore's that would let the machine's files and environment decide where requests go."""


class GuardedSession(URLLib3Session):  # type: ignore[misc]  # it has no annotations
    """botocore's HTTP, on guarded connections and without a proxy of the environment."""

    def __init__(self, guard: EndpointGuard, read_seconds: float, **bounds: float) -> None:
        super().__init__(
            verify=ca_file() or True, timeout=(CONNECT_SECONDS, read_seconds), max_pool_connections=CONNECTIONS
        )
        self._manager.pool_classes_by_scheme = {
            "http": guarded_pool(AWSHTTPConnectionPool, guard, **bounds),
            "https": guarded_pool(AWSHTTPSConnectionPool, guard, **bounds),
        }


class Sender:
    """Sends requests in botocore's place. Thread-safe."""

    def __init__(self, guard: EndpointGuard) -> None:
        self._session = GuardedSession(guard, READ_SECONDS)
        self._special = {
            "CompleteMultipartUpload": GuardedSession(guard, COMPLETION_SECONDS),
            "GetObject": GuardedSession(guard, READ_SECONDS, largest_answer_bytes=math.inf),
        }

    def close(self) -> None:
        for session in (self._session, *self._special.values()):
            session.close()

    def answer(self, request: Any, event_name: str, **kwargs: Any) -> Any:
        """Send a request.

        :raises VideoconfError: the guard refuses the host, a bound is reached, or the answer is a redirect or declares
            entities.
        """
        try:
            response = self._special.get(event_name.rpartition(".")[2], self._session).send(request)
        except HTTPClientError as error:
            cause = error.kwargs.get("error")
            if isinstance(cause, VideoconfError):
                raise cause from None  # what botocore wraps it in, it tries again
            raise
        if not request.stream_output or response.status_code >= 300:
            refuse_entities(response.content)  # reading it all frees the connection
        if 300 <= response.status_code < 400 and response.status_code != 304:
            raise StorageError("The bucket is in another region, or the endpoint redirects.")
        return response


def make_client(configuration: Mapping[str, Any], endpoint: str | None, guard: EndpointGuard) -> tuple[Any, Sender]:
    """Make a client and what it sends by, which is the caller's to close."""
    path_style = configuration.get("path_style")
    if path_style is None:
        path_style = endpoint is not None
    config = Config(
        signature_version="s3v4",
        # The digest of each part goes into its signature, so that the server refuses what was changed on the way.
        # The newer checksums in trailers say no more, and other servers than AWS's do not know them.
        s3={"addressing_style": "path" if path_style else "virtual", "payload_signing_enabled": True},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        ignore_configured_endpoint_urls=True,
        use_dualstack_endpoint=False,
        use_fips_endpoint=False,
    )
    client = boto3.session.Session(botocore_session=Session(session_vars=OF_THIS_MACHINE)).client(
        "s3",
        region_name=configuration["region"],
        endpoint_url=endpoint,
        aws_access_key_id=configuration["access_key"],
        aws_secret_access_key=configuration["secret_key"],
        config=config,
    )
    sender = Sender(guard)
    client.meta.events.register("before-send.s3", sender.answer)
    client.meta.events.register_first("needs-retry.s3", _stay_in_the_region)
    return client, sender


def _stay_in_the_region(request_dict: dict[str, Any], **kwargs: Any) -> None:
    """Tell botocore that it has redirected already, or it would look for the bucket in other regions."""
    request_dict["context"].setdefault("s3_redirect", {})["redirected"] = True
