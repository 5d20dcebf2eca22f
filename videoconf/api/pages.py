"""The files of the pages for people, ``videoconf/pages``: small, checked by their ETag, compressed.

A page is an HTML file that a route of its own sends by :func:`page_file`, with the content security policy that it
needs; the files that it loads are served below ``/pages/``. Links between them are relative, so that the pages work
below any path prefix.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

import videoconf
from videoconf.api.authentication import public

FOLDER = Path(videoconf.__file__).parent / "pages"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
ASSET = re.compile(r"([a-z][a-z0-9-]*/){0,2}[a-z][a-z0-9-]*\.(css|js|svg)", re.ASCII)
PERMISSIONS = "camera=(self), microphone=(self), display-capture=(), geolocation=()"

blueprint = Blueprint("pages", __name__)


@dataclass(frozen=True)
class _File:
    plain: bytes
    compressed: bytes
    etag: str


@blueprint.route("/pages/<path:name>")
@public("pages")
def asset(name: str) -> Response:
    """Send what a page loads. The pages themselves have routes of their own."""
    if not ASSET.fullmatch(name):
        raise NotFound
    return send_page_file(FOLDER / name)


def page_policy(*, frame_ancestors: str = "'none'", **sources: str) -> str:
    """Return a content security policy for a page: its own scripts, styles and requests, and nothing else.

    :param sources: further directives by name, with ``_`` for ``-``: ``media_src="blob:"``.
    """
    directives = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        **{name.replace("_", "-"): value for name, value in sources.items()},
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": frame_ancestors,
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def page_file(name: str, policy: str) -> Response:
    """Send the HTML file of a page, with its policy."""
    return _as_page(send_page_file(FOLDER / name), policy)


def send_page_text(html: str, policy: str) -> Response:
    """Send a page that is made for the request, with its policy."""
    response = Response(html, content_type=CONTENT_TYPES[".html"])
    response.cache_control.no_cache = True
    return _as_page(response, policy)


def _as_page(response: Response, policy: str) -> Response:
    response.headers["Content-Security-Policy"] = policy
    response.headers["Permissions-Policy"] = PERMISSIONS
    return response


def send_page_file(path: Path) -> Response:
    """Send a file, compressed where the client accepts it; a browser that has it asks whether it has changed.

    :raises NotFound: it does not exist, or is of a type that pages do not have.
    """
    content_type = CONTENT_TYPES.get(path.suffix)
    if content_type is None or not path.is_file():
        raise NotFound
    found = _read(path, path.stat().st_mtime_ns)
    compressed = request.accept_encodings["gzip"] > 0
    response = Response(found.compressed if compressed else found.plain, content_type=content_type)
    response.vary.add("Accept-Encoding")
    if compressed:
        response.content_encoding = "gzip"
    response.cache_control.no_cache = True  # it may be stored, and is checked before each use
    response.set_etag(found.etag + ("-gzip" if compressed else ""))
    return cast("Response", response.make_conditional(request))


@lru_cache(maxsize=256)
def _read(path: Path, changed: int) -> _File:
    content = path.read_bytes()
    return _File(content, gzip.compress(content, mtime=0), hashlib.sha256(content).hexdigest()[:32])
