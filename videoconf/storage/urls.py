"""Check a URL that a provider or a storage target names before it is handed to a caller or fetched."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

LONGEST_URL = 8192
NEVER = ("javascript", "vbscript", "data", "blob", "file", "filesystem")
_CHARACTERS = re.compile(r"[!#-;=?-\[\]_a-z~]+")
"""Printable ASCII without what browsers and proxies read in different ways: quotes, angle brackets, backslashes."""


def is_web_url(url: object) -> bool:
    """Return whether a value is an absolute URL that may be fetched: by HTTPS, or by plain HTTP from this machine."""
    if not isinstance(url, str) or not is_absolute_url(url):
        return False
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_own_machine(parts.hostname or ""))


def is_url_of_object(url: object) -> bool:
    """Return whether a value is a URL that a storage target may sign: one that may be fetched, or of its own scheme."""
    return is_absolute_url(url) and (is_web_url(url) or urlsplit(str(url)).scheme != "http")


def is_absolute_url(url: object) -> bool:
    """Return whether a value is a URL with a host that a browser does not run as a script, or read from its disk."""
    if not isinstance(url, str) or len(url) > LONGEST_URL or not _CHARACTERS.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return bool(parts.hostname) and port != 0 and "@" not in parts.netloc and parts.scheme not in ("", *NEVER)


def is_own_machine(host: str) -> bool:
    """Return whether a host names this machine itself, so that plain HTTP to it crosses no network."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
