"""What the OpenAPI document says beside the operations, and the document itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from copy import deepcopy
from enum import StrEnum
from functools import cache
from typing import Any, cast

from flask import Flask

from videoconf import __version__
from videoconf.api.smorest import CONTROL_SCHEME, SECURITY_SCHEME, Api, Blueprint
from videoconf.events.types import DESCRIPTIONS


class Tag(StrEnum):
    """What groups operations. The first two are the documented ones; the others follow their pattern."""

    SESSIONS = "VideoChatSessionController"
    ARCHIVES = "VideoChatArchiveController"
    DOOR = "DoorController"
    EVENTS = "EventsController"
    OPERATIONS = "OperationsController"


_TAGS = {
    Tag.SESSIONS: "Meetings: creating, joining, editing and ending them; who attends; what providers report.",
    Tag.ARCHIVES: "Recordings of meetings, and the storage target that they go to.",
    Tag.DOOR: "How people come in: invitations, the exchange of a link for a token, the lobby, and bans.",
    Tag.EVENTS: "What happened: the log of events, and the subscriptions that it is sent to.",
    Tag.OPERATIONS: "Running the service: health, providers, webhook events, jobs, persons and the audit trail.",
}


_CONFIG = {
    "API_TITLE": "Video Conferencing Service",
    "API_VERSION": __version__,
    "OPENAPI_VERSION": "3.1.0",
    "API_SPEC_OPTIONS": {
        "info": {"description": "Meetings through one API, with any video provider."},
        "servers": [{"url": "/", "description": "This service"}],
        "tags": [{"name": str(tag), "description": description} for tag, description in _TAGS.items()],
        "components": {
            "securitySchemes": {
                SECURITY_SCHEME: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                CONTROL_SCHEME: {
                    "type": "http",
                    "scheme": "Control",
                    "description": "What `POST /join` returns to a moderator as `control`, for that meeting alone.",
                },
            }
        },
    },
}
_DOCUMENT = "videoconf.openapi"


def init_document(
    app: Flask, blueprints: Iterable[Blueprint], prefix: str | None = None, further: Callable[[Api], None] | None = None
) -> None:
    """Describe the operations of these blueprints, which the application serves, when the document is first asked for.

    Describing takes longer than all else that a process does before it serves, and few processes are asked.

    :param further: documents what no blueprint declares.
    """

    @cache
    def document() -> dict[str, Any]:
        # flask-smorest describes what it registers, so the routes are registered once more.
        described = Flask(app.import_name, static_folder=None)
        described.config |= deepcopy(_CONFIG)  # flask-smorest writes into it
        described.url_map.converters |= app.url_map.converters
        api = Api(described)
        for blueprint in blueprints:
            api.register_blueprint(blueprint, url_prefix=prefix)
        if further is not None:
            further(api)
        return cast("dict[str, Any]", api.spec.to_dict())

    app.extensions[_DOCUMENT] = document


def openapi_document(app: Flask, root: str = "") -> dict[str, Any]:
    """Return the document of an application.

    :param root: the path prefix that a proxy removes.
    """
    document = deepcopy(cast("dict[str, Any]", app.extensions[_DOCUMENT]()))
    document["servers"][0]["url"] = root or "/"
    for schema in document["components"]["schemas"].values():
        for member in schema.get("properties", {}).values():
            _describe_default(member)
    document["webhooks"] = _webhooks()
    return document


def _webhooks() -> dict[str, Any]:
    """Describe each event as what a subscription's URL receives."""
    return {
        str(type): {
            "post": {
                "operationId": f"{Tag.EVENTS}.on.{type}",
                "tags": [str(Tag.EVENTS)],
                "summary": str(type),
                "description": f"{description}\n\n{DELIVERED}",
                "security": [],
                "parameters": [
                    {"name": name, "in": "header", "required": True, "description": meaning, "schema": kind}
                    for name, meaning, kind in _SIGNED
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Event"}}},
                },
                "responses": {
                    "2XX": {"description": "The receiver took the event."},
                    "410": {"description": "The receiver wants no more events: the subscription is disabled."},
                },
            }
        }
        for type, description in DESCRIPTIONS.items()
    }


DELIVERED = "Sent by Standard Webhooks: at least once, in any order, with the same `webhook-id` each time."
_SIGNED = (
    ("webhook-id", "The event's id, the same for every attempt.", {"type": "string"}),
    ("webhook-timestamp", "When this attempt was made, in seconds since 1970.", {"type": "string"}),
    ("webhook-signature", "One signature, or two during a rotation of the secret.", {"type": "string"}),
)


def _describe_default(member: dict[str, Any]) -> None:
    """Describe a member's default in words: generators of typed clients would take a ``default`` for "always sent"."""
    if "default" in member:
        default = json.dumps(member.pop("default"))
        if default != "null":
            member["description"] = f"{member.get('description', '')} Default: `{default}`.".strip()


def openapi_json(app: Flask, root: str = "") -> bytes:
    """Return the document as it is served and as the command line prints it."""
    return json.dumps(openapi_document(app, root), indent=2).encode() + b"\n"
