"""Connection pools for the SDKs of storage targets: each connection goes to an address that the guard has checked."""

from __future__ import annotations

import math
import socket
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from videoconf.errors import StorageUnavailable
from videoconf.storage.deadline import storage_seconds_left
from videoconf.storage.guard import EndpointGuard
from videoconf.storage.wire import LARGEST_ANSWER_BYTES, BoundedSocket, BoundedTLSSocket, Exchange, bounded

if TYPE_CHECKING:
    from urllib3.connectionpool import HTTPConnectionPool

P = TypeVar("P", bound="type[HTTPConnectionPool]")

LOOK_UP_SECONDS = 5.0
MOST_ADDRESSES = 4
"""Of one name that are tried."""


def guarded_pool(pool: P, guard: EndpointGuard, *, largest_answer_bytes: float = LARGEST_ANSWER_BYTES) -> P:
    """Derive a connection pool of urllib3's that connects only to addresses that the guard has checked.

    For an SDK on urllib3, whose pools may be classes of its own. TLS still verifies the name and not the address. Every
    wait is bounded, by :func:`storage_deadline` and by a minimum speed, and so is what is read of an answer. Answers
    are never decompressed.

    :param largest_answer_bytes: infinity for a pool by which objects are read as streams; errors are bounded anyway.
    """
    from urllib3.connection import HTTPSConnection
    from urllib3.util.ssl_ import create_urllib3_context

    class GuardedConnection(pool.ConnectionCls):  # type: ignore[name-defined,misc]  # known only when it runs
        _dns_host: str
        timeout: Any
        ssl_context: Any
        sock: Any
        exchange = Exchange(largest_answer_bytes)

        def _new_conn(self) -> socket.socket:
            # The name in the connection is replaced by an address only as long as the socket connects: the Host
            # header, SNI and the check of the certificate go on with the name.
            name: str = self._dns_host
            timeout: float | None = self.timeout
            patience = math.inf if timeout is None else timeout
            failure: Exception = StorageUnavailable()
            try:
                self.exchange.seconds_left(patience)  # raises what no SDK tries again
                for address in _look_up(guard, name, self.port)[:MOST_ADDRESSES]:
                    self._dns_host = address
                    self.timeout = self.exchange.seconds_left(patience)
                    try:
                        return bounded(super()._new_conn())
                    except Exception as error:
                        failure = error
                self.exchange.seconds_left(patience)
            finally:
                self._dns_host, self.timeout = name, timeout
            raise failure

        def connect(self) -> None:
            if isinstance(self, HTTPSConnection):
                self.ssl_context = self.ssl_context or create_urllib3_context()
                self.ssl_context.sslsocket_class = BoundedTLSSocket
            super().connect()
            if not isinstance(self.sock, BoundedSocket):
                raise TypeError("the socket was replaced by one that nothing bounds")
            self.sock.exchange = self.exchange

        def putrequest(self, *args: Any, **kwargs: Any) -> None:
            self.exchange = Exchange(largest_answer_bytes)
            if self.sock is not None:
                self.sock.exchange = self.exchange
            super().putrequest(*args, **kwargs)

        def getresponse(self) -> Any:
            response = super().getresponse()
            if response.status >= 300:
                self.exchange.refuse_more()
            response.headers.discard("Content-Encoding")  # a mebibyte of it may be a gibibyte in memory
            return response

    class GuardedPool(pool):  # type: ignore[valid-type,misc]  # the same
        ConnectionCls = GuardedConnection

    return GuardedPool  # type: ignore[return-value]  # the same


def _look_up(guard: EndpointGuard, host: str, port: int) -> list[str]:
    """Ask the guard for addresses, within a time of which the system's resolver knows nothing."""
    results: SimpleQueue[list[str] | Exception] = SimpleQueue()

    def look_up() -> None:
        try:
            results.put(guard.addresses(host, port))
        except Exception as error:
            results.put(error)

    Thread(target=look_up, name="videoconf-storage-dns", daemon=True).start()
    try:
        result = results.get(timeout=min(LOOK_UP_SECONDS, storage_seconds_left()))
    except Empty:
        raise StorageUnavailable("The storage target's host name was not resolved in time.") from None
    if isinstance(result, Exception):
        raise result
    return result
