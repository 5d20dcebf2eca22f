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
"""How many addresses of a name are tried."""


def ca_file() -> str | None:
    """Return the file of certificate authorities that the standard ``SSL_CERT_FILE`` names; None where it names none.

    SDKs bring authorities of their own and do not look at it.
    """
    return os.environ.get("SSL_CERT_FILE") or None


def guarded_pool(pool: P, guard: EndpointGuard, *, largest_answer_bytes: float = LARGEST_ANSWER_BYTES) -> P:
    """Derive a connection pool of urllib3's that connects only to addresses that the guard has checked.

    For an SDK on urllib3, whose pools may be classes of its own. TLS still verifies the name and not the address. Every
    wait is bounded, by :func:`storage_deadline` and by a minimum speed, and so is what is read of an answer. Answers
    are never decompressed.

    :param largest_answer_bytes: infinity for a pool by which objects are read as streams; errors are bounded anyway.
    """

    class GuardedConnection(BoundedConnection, pool.ConnectionCls):  # type: ignore[name-defined,misc]  # known only when it runs
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
            response.headers.discard("Content-Encoding")  # a mebibyte of it may be a gibibyte in memory
            return response

    class GuardedPool(pool):  # type: ignore[valid-type,misc]  # the same
        ConnectionCls = GuardedConnection

    return GuardedPool  # type: ignore[return-value]  # the same
