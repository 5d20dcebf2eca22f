"""The pages on which people join: the door (``/join``), and the room, a frame in it with the provider's own client.

The room has a document of its own so that a vendor's SDK needs no place in the policy of the door. Both are of one
origin: the door hands the camera to the room, and a browser asks for it once.
"""

from __future__ import annotations

import json
from html import escape

from flask import Blueprint, Response
from werkzeug.exceptions import MethodNotAllowed, NotFound

from videoconf.api.authentication import public
from videoconf.api.pages import FOLDER, page_file, page_policy, send_page_file, send_page_text
from videoconf.api.services import services
from videoconf.providers import BrowserClient

OPTIONS_MARK = "{{options}}"

blueprint = Blueprint("join_page", __name__)


@blueprint.route("/join")
@public("pages")
def door() -> Response:
    if not services().settings.join_page:
        raise MethodNotAllowed(["POST"])  # an operation of the API has the same path
    return page_file("join/index.html", page_policy(frame_src="'self'", frame_ancestors=_embedders("'none'")))


@blueprint.route("/join/room/<provider>")
@public("pages")
def room(provider: str) -> Response:
    """Send the frame, with the policy that the provider's client needs, and with its options."""
    client = _client_of(provider)
    text = (FOLDER / "join/room.html").read_text()
    options = escape(json.dumps(dict(client.options)))
    policy = room_policy(client, _embedders("'self'"))
    return send_page_text(text.replace(OPTIONS_MARK, options), policy)


@blueprint.route("/join/room/<provider>/client.js")
@public("pages")
def client(provider: str) -> Response:
    return send_page_file(_client_of(provider).module)


def _client_of(provider: str) -> BrowserClient:
    """Return an enabled provider's client for browsers.

    :raises NotFound: it has none, or is not enabled; or the page is off.
    """
    found = services().providers.find(provider) if services().settings.join_page else None
    client = None if found is None else found.browser_client()
    if client is None:
        raise NotFound
    return client


def room_policy(client: BrowserClient, frame_ancestors: str = "'self'") -> str:
    """Return the content security policy of a client's frame: the service's own origin, and what the client needs."""
    own = {"script-src": "'self'", "style-src": "'self'", "img-src": "'self'", "connect-src": "'self'"}
    needed = client.directives()
    sources = {name: f"{own.get(name, '')} {needed.get(name, '')}".strip() for name in {**own, **needed}}
    return page_policy(
        frame_ancestors=frame_ancestors, **{name.replace("-", "_"): value for name, value in sources.items()}
    )


def _embedders(none: str) -> str:
    """Return who may show the page in a frame."""
    origins = services().settings.join_page_embedders
    return " ".join(("'self'", *origins)) if origins else none
