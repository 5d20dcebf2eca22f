"""The operator's forward proxy: which connections it carries, and how it is asked to.

Every connection that it carries is a tunnel (``CONNECT``), also one for plain HTTP: the proxy sees names and no
contents. What a name resolves to is then the proxy's to decide, since this machine may not be able to resolve it.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from urllib.parse import unquote, urlsplit

DEFAULT_PORT = 3128


@dataclass(frozen=True)
class ForwardProxy:
    """A proxy that opens tunnels. Immutable; shared by threads."""

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    """For each ``CONNECT``; the user and the password, where the URL has them."""
    bypass: tuple[str, ...] = ()
    """Hosts that are connected to directly."""

    @classmethod
    def at(cls, url: str, bypass: Sequence[str] = ()) -> ForwardProxy | None:
        """Return the proxy of a URL like ``http://user:password@proxy.example.com:3128``; None for an empty one.

        :param bypass: names, patterns like ``*.internal``, addresses, and networks like ``10.0.0.0/8``.
        :raises ValueError: the URL is not one of a proxy. The message does not repeat it.
        """
        if not url:
            return None
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            host, port = parts.hostname, parts.port or DEFAULT_PORT
        except ValueError:
            host = None
        if not host or parts.scheme != "http" or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("Must be a URL like http://proxy.example.com:3128, or with http://user:password@ in it.")
        headers = {}
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Proxy-Authorization"] = f"Basic {base64.b64encode(credentials.encode()).decode()}"
        return cls(host, port, headers, tuple(one.lower().strip() for one in bypass))

    def carries(self, host: str) -> bool:
        """Return whether connections to a host go through the proxy. Those to this machine never do."""
        host = host.lower().strip("[]").rstrip(".")
        address = None
        with suppress(ValueError):
            address = ipaddress.ip_address(host)
        if host == "localhost" or (address is not None and address.is_loopback):
            return False
        return not any(_matches(pattern, host, address) for pattern in self.bypass)


def _matches(pattern: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if address is not None and "/" in pattern:
        with suppress(ValueError):
            return address in ipaddress.ip_network(pattern, strict=False)
    # `.internal` means what `*.internal` does, as in NO_PROXY.
    return fnmatchcase(host, f"*{pattern}" if pattern.startswith(".") else pattern)
