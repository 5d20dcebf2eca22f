"""Read what trusted proxies report about a request: client address, scheme, host, and the prefix that they removed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from videoconf.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PREFIX = re.compile(r"(/[\w.~-]+)*", re.ASCII)


def init_proxies(app: Flask, settings: Settings) -> None:
    """Believe as many proxies as the settings say; without the setting no header is believed."""
    hops = settings.trusted_proxies
    if hops:
        prefixed = _Prefix(app.wsgi_app, served_below=settings.path_prefix)
        app.wsgi_app = ProxyFix(prefixed, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]  # Flask's way


class _Prefix:
    """Sets the root of all links to what ``X-Forwarded-Prefix`` names: a prefix that a proxy has removed from the path.

    Unlike the other headers it is not a list: only one proxy removes the prefix, whichever it is. ``ProxyFix`` would
    want one entry for each proxy, and accepts any text.
    """

    def __init__(self, app: WSGIApplication, *, served_below: str) -> None:
        self._app = app
        self._served_below = served_below

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        prefix = environ.get("HTTP_X_FORWARDED_PREFIX", "").rpartition(",")[2].strip().rstrip("/")
        # One that is the path prefix of the settings was not removed: the routes have it already.
        if prefix and prefix != self._served_below and _PREFIX.fullmatch(prefix):
            environ["SCRIPT_NAME"] = prefix
        return self._app(environ, start_response)
