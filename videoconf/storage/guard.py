"""Check every host that a caller names before the service connects to it.

Without this check, a caller who may set a storage target could make the service send requests to its own network: to a
metadata service that returns credentials, to a database, to itself. So the operator must allow the host. The guard
resolves the name, checks the addresses and connects to a checked address, so a later DNS change has no effect.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any
from urllib.parse import urlsplit

from videoconf.errors import StorageEndpointRefused, StorageHostUnknown, StorageUnavailable
from videoconf.forward_proxy import ForwardProxy

Address = IPv4Address | IPv6Address

LONGEST_URL = 512
DOES_NOT_EXIST = tuple(getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name))
"""What a resolver says of a name that does not exist, rather than that it cannot answer now."""
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
        "fd00:42::42/128",  # metadata at Scaleway
        "fd00:c1::a9fe:a9fe/128",  # metadata at Oracle
        "fd00:ec2::/32",  # metadata at AWS
        "fd20:ce::254/128",  # metadata at Google
        "fe80::/10",
        "ff00::/8",
    )
)
"""Addresses that are never allowed, whatever the settings say."""

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
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
    )
)
"""Private and unassigned addresses: for hosts that the operator has named in full."""

GLOBAL_UNICAST = ip_network("2000::/3")
"""The only IPv6 addresses that are public. All others are private, unassigned, or lead elsewhere by a translator, in
more forms than a list could hold: ``::ffff:0:0:0/96`` and ``64:ff9b:2::/96`` were connected to."""

PRIVATE_IPV6 = ip_network("fc00::/7")
"""Private IPv6 addresses: for hosts that the operator has named in full."""

TRANSLATED = tuple(ip_network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96"))
"""IPv6 addresses whose last 32 bits are the IPv4 address that they lead to."""


NOT_PUBLIC_NAMES = ("internal", "local", "localhost", "lan", "intranet", "corp", "home", "private", "arpa")
"""Last labels of names that public DNS does not have, and those of one label: a forward proxy may know them."""


class EndpointGuard:
    """Decides to which hosts storage targets may connect. Immutable; shared by threads.

    :param hosts: what is allowed, ``host`` or ``host:port``, with ``*`` for any run of characters.
    :param development: also allows this machine itself, by plain HTTP and on any port.
    :param resolve: gives the addresses of a name; ``socket.getaddrinfo``.
    :param proxy: the operator's forward proxy. What it carries is judged by its name alone (:meth:`check_carried`).
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        development: bool = False,
        resolve: Callable[..., Sequence[Any]] = socket.getaddrinfo,
        proxy: ForwardProxy | None = None,
    ) -> None:
        self.proxy = proxy
        self._hosts = tuple(host.lower() for host in hosts)
        self._development = development
        self._resolve = resolve

    def allowing(self, hosts: Sequence[str]) -> EndpointGuard:
        """Derive a guard that allows further hosts."""
        return EndpointGuard(
            (*self._hosts, *hosts), development=self._development, resolve=self._resolve, proxy=self.proxy
        )

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
        if parts.scheme == "http" and not self.is_own_machine(host):
            raise StorageEndpointRefused("An endpoint is reached by https:// alone.")
        named = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{named}" + ("" if port is None else f":{port}")

    def is_own_machine(self, host: str) -> bool:
        """Return whether a host is this machine itself, in development: the one that is reached by plain HTTP."""
        if not self._development:
            return False
        address = _find_address(host)
        return host == "localhost" if address is None else address.is_loopback

    def check_host(self, host: str, port: int) -> None:
        """Check a host by its name alone.

        :raises StorageEndpointRefused: the operator has not allowed it, or it is not a valid name.
        """
        if self.is_own_machine(host):
            return
        address = _find_address(host)
        if address is None and (not _HOST_NAME.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2])):
            raise StorageEndpointRefused("The endpoint's host is not a valid name.")
        if not self._is_named(host, port) and not self._is_matched(host, port):
            raise StorageEndpointRefused(
                "The endpoint's host or port is not among those that VIDEOCONF_STORAGE_HOSTS allows."
            )
        if address is not None:
            self._check_address(address, host, port)

    def check_carried(self, host: str, port: int) -> None:
        """Check a host that a forward proxy connects to. A name without a public address needs to be named in full.

        :raises StorageEndpointRefused: as :meth:`check_host`; and the name is one of a private network.
        """
        host = host.lower().strip("[]")
        self.check_host(host, port)
        inner, _, last = host.rpartition(".")
        is_private = _find_address(host) is None and (not inner or last in NOT_PUBLIC_NAMES)
        if is_private and not self._is_named(host, port):
            raise StorageEndpointRefused("The endpoint's host is not on a public address.")

    def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host, each of which may be connected to. To be called for every connection.

        :raises StorageEndpointRefused: the host is not allowed, or one of its addresses is not. One is enough: an
            answer that mixes a public address with one of ours is an attack.
        :raises StorageHostUnknown: the name does not exist, or has no address.
        :raises StorageUnavailable: it cannot be looked up now.
        """
        host = host.lower().strip("[]")
        self.check_host(host, port)
        try:
            found = self._resolve(host, port, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise StorageHostUnknown from None
        except OSError as error:
            if isinstance(error, socket.gaierror) and error.errno in DOES_NOT_EXIST:
                raise StorageHostUnknown from None
            raise StorageUnavailable("The storage target's host name cannot be looked up now.") from None
        texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for text in texts:
            self._check_address(ipaddress.ip_address(text.partition("%")[0]), host, port)
        if not texts:
            raise StorageHostUnknown
        return texts

    def _check_address(self, address: Address, host: str, port: int) -> None:
        if self._development and address.is_loopback:
            return
        is_named = self._is_named(host, port)
        denied = NEVER if is_named else NEVER + NOT_PUBLIC
        if isinstance(address, IPv6Address) and not _is_reachable(address, is_named=is_named):
            raise StorageEndpointRefused("The endpoint's host is not on a public address.")
        if any(meant in network for meant in (address, *_embedded(address)) for network in denied):
            raise StorageEndpointRefused("The endpoint's host is not on a public address.")

    def _is_named(self, host: str, port: int) -> bool:
        return f"{host}:{port}" in self._hosts or (port == HTTPS_PORT and host in self._hosts)

    def _is_matched(self, host: str, port: int) -> bool:
        return any(
            fnmatchcase(f"{host}:{port}", pattern if ":" in pattern else f"{pattern}:{HTTPS_PORT}")
            for pattern in self._hosts
            if "*" in pattern
        )


def _find_address(host: str) -> Address | None:
    with suppress(ValueError):
        return ipaddress.ip_address(host)
    return None


def _is_reachable(address: IPv6Address, *, is_named: bool) -> bool:
    """Return whether an IPv6 address is of a kind that may be connected to. What is denied of it is decided apart."""
    if address.ipv4_mapped is not None:  # an IPv4 address by another name, and judged as that
        return True
    is_translated = any(address in network for network in TRANSLATED[:1])  # NAT64, as networks without IPv4 need it
    return address in GLOBAL_UNICAST or is_translated or (is_named and address in PRIVATE_IPV6)


def _embedded(address: Address) -> tuple[Address, ...]:
    """Return the IPv4 addresses to which an IPv6 address leads through a translator or a tunnel."""
    if isinstance(address, IPv4Address):
        return ()
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in TRANSLATED):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(one for one in found if one is not None)
