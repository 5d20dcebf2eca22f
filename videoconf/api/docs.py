"""The OpenAPI document and a page that shows it. The page loads nothing from elsewhere, so that it works offline.

Its links are relative, so that it works below any prefix. flask-swagger-ui's own page is not used: its script is
inline, which a strict content security policy forbids.
"""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import cast

import flask_swagger_ui
from flask import Blueprint, Flask, Response, request, send_from_directory
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import NotFound

from videoconf.api.authentication import public
from videoconf.api.openapi import as_json, openapi_document

MAX_AGE_SECONDS = 300

_OWN = Path(__file__).parent / "static"
_SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
_ASSETS = {
    "init.js": _OWN,
    "docs.css": _OWN,
    "swagger-ui.css": _SWAGGER_UI,
    "swagger-ui-bundle.js": _SWAGGER_UI,
    "favicon-32x32.png": _SWAGGER_UI,
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

blueprint = Blueprint("docs", __name__)


@blueprint.record
def _serve_document(state: BlueprintSetupState) -> None:
    """Serve the document of the application at hand, completed when it is first asked for below this prefix."""
    app = cast("Flask", state.app)

    @lru_cache(maxsize=4)  # the prefixes that proxies remove are few; one that lies gains nothing
    def document(root: str) -> bytes:
        return as_json(openapi_document(app, root))

    @public("documentation")
    def openapi() -> Response:
        return _cacheable(Response(document(request.root_path), content_type="application/json"))

    state.add_url_rule("/openapi.json", "openapi", openapi)


@blueprint.route("/docs", strict_slashes=True)
@public("documentation")
def page() -> Response:
    response = send_from_directory(_OWN, "docs.html", max_age=MAX_AGE_SECONDS)
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@blueprint.route("/")
@public("documentation")
def root() -> Response:
    # Below a prefix that the proxy named, also where the request has no slash behind it.
    return _elsewhere(f"{request.root_path}/docs" if request.root_path else "docs")


@blueprint.route("/docs/", strict_slashes=True)
@public("documentation")
def page_with_slash() -> Response:
    return _elsewhere("../docs")


@blueprint.route("/docs/<name>")
@public("documentation")
def asset(name: str) -> Response:
    if name not in _ASSETS:
        raise NotFound
    return send_from_directory(_ASSETS[name], name, max_age=MAX_AGE_SECONDS)


def _elsewhere(place: str) -> Response:
    """Redirect to a relative place, which is right below any prefix that a proxy removes."""
    return Response(status=HTTPStatus.FOUND, headers={"Location": place})


def _cacheable(response: Response) -> Response:
    response.cache_control.public = True
    response.cache_control.max_age = MAX_AGE_SECONDS
    response.add_etag()
    return cast("Response", response.make_conditional(request))
