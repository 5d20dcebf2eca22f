"""Where a storage target may be: every host that a caller names is checked before and while it is connected to.

Whoever may set a storage target could otherwise make the service talk to its own network: to a metadata service that
hands out credentials, to a database, to itself. So a host must be one that the operator allows, and what its name means
is looked up, checked and connected to in one step: a name that means something else the next moment gains nothing.
"""

from __future__ import annotations

import ipaddress
import math
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_network
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from videoconf.errors import StorageEndpointRefused, StorageUnavailable
from videoconf.storage.deadline import storage_seconds_left
from videoconf.storage.wire import LARGEST_ANSWER_BYTES, BoundedSocket, BoundedTLSSocket, Exchange, bounded

if TYPE_CHECKING:
    from urllib3.connectionpool import HTTPConnectionPool

Address = IPv4Address | IPv6Address
P = TypeVar("P", bound="type[HTTPConnectionPool]")

LONGEST_URL = 512
LOOK_UP_SECONDS = 5.0
MOST_ADDRESSES = 4
"""Of one name that are tried."""
HTTPS_PORT = 443

_HOST_NAME = re.compile(r"(?!.{254})([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9:/._\[\]-]+")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
"""A last label like this makes resolvers read the name as an IPv4 address, in a dozen spellings."""

NEVER = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.100.100.200/32",  # metadata at Alibaba
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud platform's own services, on an address that looks public
        "169.254.0.0/16",  # metadata nearly everywhere
        "192.0.0.0/24",  # metadata at Oracle
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "::1/128",
        "fd00:ec2::/32",  # metadata at AWS
        "fe80::/10",
        "ff00::/8",
    )
)
"""Addresses that nobody's storage is on, whatever the settings say."""

NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "172.16.0.0/12",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fec0::/10",
    )
)
"""Addresses of somebody's own network, or of none: for hosts that the operator has named in full."""

TRANSLATED = tuple(ip_network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96"))
"""IPv6 addresses whose last 32 bits are the IPv4 address that they lead to."""


class EndpointGuard:
    """Decides to which hosts storage targets may connect. Immutable; shared by threads.

    :param hosts: what is allowed, ``host`` or ``host:port``, with ``*`` for any run of characters.
    :param development: also allows this machine itself, by plain HTTP and on any port.
    :param resolve: gives the addresses of a name; ``socket.getaddrinfo``.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        development: bool = False,
        resolve: Callable[..., Sequence[Any]] = socket.getaddrinfo,
    ) -> None:
        self._hosts = tuple(host.lower() for host in hosts)
        self._development = development
        self._resolve = resolve

    def allowing(self, hosts: Sequence[str]) -> EndpointGuard:
        """Derive a guard that allows further hosts."""
        return EndpointGuard((*self._hosts, *hosts), development=self._development, resolve=self._resolve)

    def check_url(self, url: str) -> str:
        """Return the URL of an endpoint as scheme, host and port, where it may be connected to. Asks no resolver.

        :raises StorageEndpointRefused: with the reason as its detail.
        """
        if len(url) > LONGEST_URL or not _URL_CHARACTERS.fullmatch(url):
            raise StorageEndpointRefused("An endpoint is https:// and a host name, of plain ASCII.")
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            raise StorageEndpointRefused("The endpoint is no URL.") from None
        if parts.scheme not in ("https", "http") or parts.path not in ("", "/") or not host or port == 0:
            raise StorageEndpointRefused("An endpoint is https:// and a host, without a path.")
        self.check_host(host, port or (HTTPS_PORT if parts.scheme == "https" else 80))
        if parts.scheme == "http" and not self._is_own_machine(host):
            raise StorageEndpointRefused("An endpoint is reached by https:// alone.")
        named = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{named}" + ("" if port is None else f":{port}")

    def is_plain(self, host: str) -> bool:
        """Tell whether a host without a scheme means plain HTTP: this machine itself, in development."""
        return self._is_own_machine(host)

    def check_host(self, host: str, port: int) -> None:
        """Check a host by its name alone.

        :raises StorageEndpointRefused: the operator has not allowed it, or it is no proper name.
        """
        if self._is_own_machine(host):
            return
        address = _find_address(host)
        if address is None and (not _HOST_NAME.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2])):
            raise StorageEndpointRefused("The endpoint's host is no proper name.")
        if not self._is_named(host, port) and not self._is_matched(host, port):
            raise StorageEndpointRefused(
                "The endpoint's host or port is not among those that VIDEOCONF_STORAGE_HOSTS allows."
            )
        if address is not None:
            self._check_address(address, host, port)

    def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host, each of which may be connected to. To be called for every connection.

        :raises StorageEndpointRefused: the host is not allowed, or one of its addresses is not. One is enough: an
            answer that mixes a public address with one of ours is an attack.
        :raises StorageUnavailable: the name has no address.
        """
        host = host.lower().strip("[]")
        self.check_host(host, port)
        try:
            found = self._resolve(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise StorageUnavailable("The storage target's host name is not known.") from None
        texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for text in texts:
            self._check_address(ipaddress.ip_address(text.partition("%")[0]), host, port)
        if not texts:
            raise StorageUnavailable("The storage target's host name is not known.")
        return texts

    def _check_address(self, address: Address, host: str, port: int) -> None:
        if self._development and address.is_loopback:
            return
        denied = NEVER if self._is_named(host, port) else NEVER + NOT_PUBLIC
        if any(meant in network for meant in (address, *_embedded(address)) for network in denied):
            raise StorageEndpointRefused("The endpoint's host is not on a public address.")

    def _is_own_machine(self, host: str) -> bool:
        if not self._development:
            return False
        address = _find_address(host)
        return host == "localhost" if address is None else address.is_loopback

    def _is_named(self, host: str, port: int) -> bool:
        return f"{host}:{port}" in self._hosts or (port == HTTPS_PORT and host in self._hosts)

    def _is_matched(self, host: str, port: int) -> bool:
        return any(
            fnmatchcase(f"{host}:{port}", pattern if ":" in pattern else f"{pattern}:{HTTPS_PORT}")
            for pattern in self._hosts
            if "*" in pattern
        )


def guarded_pool(pool: P, guard: EndpointGuard, *, largest_answer_bytes: float = LARGEST_ANSWER_BYTES) -> P:
    """Derive a connection pool of urllib3's that connects only to addresses that the guard has checked.

    For an SDK on urllib3, whose pools may be classes of its own. TLS still verifies the name and not the address. Every
    wait is bounded, by :func:`storage_deadline` and by a minimum speed, and so is what is read of an answer. Answers
    are never decompressed.

    :param largest_answer_bytes: infinity for a pool by which objects are read as streams; errors are bounded anyway.
    """
    from urllib3.connection import HTTPSConnection
    from urllib3.util.ssl_ import create_urllib3_context

    # What is derived from is known only now; mypy would have it written out.
    class GuardedConnection(pool.ConnectionCls):  # type: ignore[name-defined,misc]
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

    class GuardedPool(pool):  # type: ignore[valid-type,misc]
        ConnectionCls = GuardedConnection

    return GuardedPool  # type: ignore[return-value]


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


def _find_address(host: str) -> Address | None:
    with suppress(ValueError):
        return ipaddress.ip_address(host)
    return None


def _embedded(address: Address) -> tuple[Address, ...]:
    """Return the IPv4 addresses to which an IPv6 address leads through a translator or a tunnel."""
    if isinstance(address, IPv4Address):
        return ()
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in TRANSLATED):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(one for one in found if one is not None)
