"""Describe operations as the OpenAPI document has them: ``make docs`` writes it to ``videoconf/api/openapi.json``.

A process that serves the document does not make it, which takes half a second: :mod:`videoconf.api.openapi` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from typing import Any, cast

from flask import Flask

from videoconf import __version__
from videoconf.api.described_kinds import VERSION, describe_defaults
from videoconf.api.openapi import Tag
from videoconf.api.smorest import CONTROL_SCHEME, SECURITY_SCHEME, Api, Blueprint
from videoconf.events.types import DESCRIPTIONS

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
    "OPENAPI_VERSION": VERSION,
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


def describe(app: Flask, blueprints: Iterable[Blueprint]) -> dict[str, Any]:
    """Describe the operations of these blueprints.

    :param app: has the converters of their routes.
    """
    # flask-smorest describes what it registers, so the routes are registered once more.
    described = Flask(app.import_name, static_folder=None)
    described.config |= deepcopy(_CONFIG)  # flask-smorest writes into it
    described.url_map.converters |= app.url_map.converters
    api = Api(described)
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    document = cast("dict[str, Any]", api.spec.to_dict())
    describe_defaults(document["components"]["schemas"].values())
    document["webhooks"] = _webhooks()
    return cast("dict[str, Any]", json.loads(json.dumps(document)))  # as it is read from the file


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
