"""Accept only one spelling of each route's path; every other spelling answers 404.

A proxy's rule such as ``location = /readyz`` compares paths. But Werkzeug removes extra slashes at the start of a
path, and the server decodes ``%2f`` and ``%68`` before Werkzeug sees them. Without this check, a client could
reach a route by a path that the proxy's rule does not match.
"""

from __future__ import annotations

import re

from flask import Flask, request

from videoconf.errors import NotFound

_IN_FORM = re.compile(
    r"""
    ([A-Za-z][A-Za-z0-9+.-]*://[^/?\#]*)?  # the absolute form, with the server: RFC 9112, section 3.2.2
    /(?!/)
    (
        [^%?\#]
        # Percent-encoding is refused for slashes and for the characters that never need it (letters, digits, - . _ ~).
        | %(?!2[DEF] | 3[0-9] | [46][1-9A-F] | 5[0-9AF] | 7[0-9AE])[0-9A-F]{2}
    )*
    """,
    re.VERBOSE | re.IGNORECASE,
)


def init_paths(app: Flask) -> None:
    """Refuse other spellings of a path. Call this before you register hooks that read the route."""

    @app.before_request
    def check_form() -> None:
        environ = request.environ
        # The path as the client sent it: servers use one of these keys, and some have only the decoded path.
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
        if not is_in_form(target):
            request.url_rule = None
            raise NotFound("The path must have the documented form, without extra slashes or encoding.")


def is_in_form(target: str) -> bool:
    """Return whether the path of a request's target has the one accepted spelling."""
    path = target.partition("?")[0]
    if (
        path[:1] == "/" != path[1:2] and "%" not in path and "#" not in path
    ):  # the usual case, without the regular expression
        return True
    return _IN_FORM.fullmatch(path) is not None
