"""Connection pools for the SDKs of storage targets: each connection goes to an address that the guard has checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from videoconf.bounded_connection import BoundedConnection, call_within
from videoconf.errors import StorageUnavailable
from videoconf.storage.guard import EndpointGuard
from videoconf.storage.wire import LARGEST_ANSWER_BYTES, Exchange

if TYPE_CHECKING:
    from urllib3.connectionpool import HTTPConnectionPool

P = TypeVar("P", bound="type[HTTPConnectionPool]")

LOOK_UP_SECONDS = 5.0
MOST_ADDRESSES = 4
"""The maximum number of addresses to try for one host name."""


def ca_file() -> str | None:
    """Return the CA file in the environment variable ``SSL_CERT_FILE``, or None when it is not set.

    SDKs ship their own CA file and ignore this variable.
    """
    return os.environ.get("SSL_CERT_FILE") or None


def guarded_pool(pool: P, guard: EndpointGuard, *, largest_answer_bytes: float = LARGEST_ANSWER_BYTES) -> P:
    """Derive a subclass of a urllib3 connection pool that connects only to addresses that the guard has checked.

    For SDKs that use urllib3, with their own pool classes or without. TLS verifies the host name, not the address.
    :func:`storage_deadline` and a minimum speed limit every wait, and ``largest_answer_bytes`` limits each answer. The
    pool never decompresses answers.

    :param largest_answer_bytes: infinity for a pool that streams objects; the limit of error answers stays.
    """

    class GuardedConnection(BoundedConnection, pool.ConnectionCls):  # type: ignore[name-defined,misc]  # the base class is a variable
        bounds: Exchange
        sock: Any
        forward_proxy = guard.proxy

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.bounds = Exchange(largest_answer_bytes)  # a pool connects by TLS before the request begins

        def addresses(self, seconds: float) -> Sequence[str]:
            try:
                found = call_within(min(LOOK_UP_SECONDS, seconds), guard.addresses, self.host, self.port)
            except TimeoutError:
                raise StorageUnavailable("The storage target's host name was not resolved in time.") from None
            return found[:MOST_ADDRESSES]

        def check_name(self) -> None:
            guard.check_carried(self.host, self.port)

        def putrequest(self, *args: Any, **kwargs: Any) -> None:
            self.bounds = Exchange(largest_answer_bytes)
            if self.sock is not None:
                self.sock.bounds = self.bounds
            super().putrequest(*args, **kwargs)

        def getresponse(self) -> Any:
            response = super().getresponse()
            if response.status >= 300:
                self.bounds.refuse_more()
            response.headers.discard("Content-Encoding")  # 1 MiB of compressed data can decompress to 1 GiB
            return response

    class GuardedPool(pool):  # type: ignore[valid-type,misc]  # the base class is a variable
        ConnectionCls = GuardedConnection

    return GuardedPool  # type: ignore[return-value]  # mypy does not see that it derives from P
