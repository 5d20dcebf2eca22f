"""One form for each route: a path that is written in another way answers 404.

A proxy's rule such as ``location = /readyz`` compares paths. Werkzeug strips further slashes at the start of a path,
and the server decodes ``%2f`` and ``%68`` before Werkzeug sees them: each route would have forms that no rule names.
"""

from __future__ import annotations

import re

from flask import Flask, request

from videoconf.errors import NotFound

_IN_FORM = re.compile(
    r"""
    ([A-Za-z][A-Za-z0-9+.-]*://[^/?\#]*)?  # a client may name the server as well: RFC 9112, section 3.2.2
    /(?!/)
    (
        [^%?\#]
        # Encoded are neither slashes nor what no URI needs to encode, and what all routes are made of.
        | %(?!2[DEF] | 3[0-9] | [46][1-9A-F] | 5[0-9AF] | 7[0-9AE])[0-9A-F]{2}
    )*
    """,
    re.VERBOSE | re.IGNORECASE,
)


def init_paths(app: Flask) -> None:
    """Refuse paths that are not in form. To be called before hooks that look at the route."""

    @app.before_request
    def check_form() -> None:
        environ = request.environ
        # What the client sent, which servers name in one of these ways; some tell only the decoded path.
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
        if not is_in_form(target):
            request.url_rule = None
            raise NotFound("The path is not written in the one form that this route has.")


def is_in_form(target: str) -> bool:
    """Tell whether the path of a request's target is written in the one form that a route has."""
    path = target.partition("?")[0]
    if path[:1] == "/" != path[1:2] and "%" not in path and "#" not in path:  # nearly always, and quicker to see
        return True
    return _IN_FORM.fullmatch(path) is not None
