"""A provider's client for browsers: an ES module that the join page loads, and what the module may reach."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_HOST = r"(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?|\[[0-9a-f:.]+\]"
_SOURCE = re.compile(rf"(https?|wss?)://({_HOST})(:(\d{{1,5}}|\*))?(/[\w.~%@/-]*)?", re.IGNORECASE | re.ASCII)
_INTEGRITY = re.compile(r"sha256-[A-Za-z0-9+/]{43}=|sha384-[A-Za-z0-9+/]{64}|sha512-[A-Za-z0-9+/]{86}==")
_SCHEMES = {"blob:", "data:"}


@dataclass(frozen=True)
class BrowserClient:
    """A provider's client for browsers.

    The join page loads the module in a frame of its own, ``/join/room/{provider}``, whose content security policy has
    the sources below besides the service's own origin. The module exports ``join``; the guide "Write a browser client"
    says what it accepts and returns. Its relative imports do not resolve: everything that it needs is in one file, or
    loaded from a source that is listed here.

    A source is a host with its scheme, such as ``wss://*.example.com:8188``, with a path for a script.
    """

    module: Path
    """The file, which belongs to the plugin's package."""
    connect: tuple[str, ...] = ()
    """Where it may send requests and open WebSockets."""
    scripts: tuple[str, ...] = ()
    """From where it may load scripts: the vendor's SDK."""
    styles: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    """From where audio and video may come other than by WebRTC; may have ``blob:``."""
    workers: tuple[str, ...] = ()
    """From where workers may start; may have ``blob:``."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the module gets as ``options``: JSON, and public."""

    def directives(self) -> dict[str, str]:
        """Return what the frame's policy allows besides its own origin, by directive."""
        sources = {
            "connect-src": self.connect,
            "script-src": self.scripts,
            "style-src": self.styles,
            "img-src": self.images,
            "media-src": self.media,
            "worker-src": self.workers,
        }
        return {name: " ".join(values) for name, values in sources.items() if values}

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with it. A source could otherwise weaken the policy of the page."""
        if self.module.suffix != ".js" or not self.module.is_file():
            yield f"{self.module.name} is not a JavaScript file"
        schemes_of = {"img-src": _SCHEMES, "media-src": _SCHEMES, "worker-src": {"blob:"}}
        for directive, sources in self.directives().items():
            for source in sources.split(" "):
                if source not in schemes_of.get(directive, ()) and not _SOURCE.fullmatch(source):
                    yield f"{source!r} is not a source for {directive}"
        try:
            json.dumps(dict(self.options), allow_nan=False)
        except (TypeError, ValueError):
            yield "its options are not JSON"


def source_of(url: str) -> str:
    """Return the source that allows requests to a URL: its scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_integrity(text: str) -> bool:
    """Return whether a text is the hash of a script, as browsers compare it: ``sha384-`` and base64, for example.

    A module that sets it as the ``integrity`` of a script element runs no other file. It is for settings of plugins.
    """
    return _INTEGRITY.fullmatch(text) is not None
