"""A small application of the HTTP layer alone: no database, no provider."""

from __future__ import annotations

from typing import Any

from flask import Flask
from marshmallow import fields
from sqlalchemy import Integer, column

from videoconf.api import docs
from videoconf.api.authentication import caller, init_auth, public, requires
from videoconf.api.described import describe
from videoconf.api.fields import JsonObject, Schema, StrictBoolean, StrictInteger, Text, UtcTime
from videoconf.api.http import init_requests
from videoconf.api.json_body import raw_body
from videoconf.api.openapi import Tag, init_document
from videoconf.api.permissions import Permission
from videoconf.api.problems import register_problem_handlers
from videoconf.api.smorest import LIST_HEADERS, Blueprint, ListArgs, ListRequest
from videoconf.db.keyset import Listed, Order
from videoconf.formats import camel_case
from videoconf.settings import Settings


def shell_with(settings: Settings) -> Flask:
    class ThingSchema(Schema):
        name = Text(max_length=5)
        starts_on = UtcTime(allow_none=True)
        is_open = StrictBoolean()
        seat_count = StrictInteger()
        ext_metadata = JsonObject(max_bytes=64)
        schedule = fields.List(UtcTime())

    class ThingArgs(ListArgs):
        is_open = StrictBoolean()

    app = Flask("shell", static_folder=None)
    init_auth(app, settings)
    init_requests(app)
    register_problem_handlers(app)
    things = Blueprint("things", __name__, tag=Tag.SESSIONS)

    @things.route("/things", methods=["POST"])
    @requires(Permission.CREATE_MEETING_SESSION)
    @things.arguments(ThingSchema)
    @things.response(200, ThingSchema)
    @things.doc(operationId="createThing")
    def create(new: dict[str, Any]) -> dict[str, Any]:
        """Create a thing."""
        return {camel_case(name): value for name, value in new.items()}

    @things.route("/things")
    @requires(Permission.GET_MEETINGS)
    @things.arguments(ThingArgs, location="query")
    @things.response(200, ThingSchema(many=True), headers=LIST_HEADERS)
    @things.doc(operationId="listThings")
    def listing(args: dict[str, Any]) -> tuple[list[Any], dict[str, str]]:
        """List things.

        All of them.
        """
        asked = ListRequest(args, Order((column("id", Integer),), descending=True))
        found = Listed([{"isOpen": args["is_open"]} if "is_open" in args else {}], total=1000)
        return found.items, asked.headers(found)

    @things.route("/things/<thing_link_id>", methods=["DELETE"])
    @requires(Permission.DELETE_MEETING)
    @things.response(204)
    @things.doc(operationId="deleteThing")
    def delete(thing_link_id: str) -> None:
        """Delete a thing."""

    @things.route("/who")
    @requires(Permission.GET_MEETINGS)
    def who() -> dict[str, Any]:
        known = caller()
        return {
            "subject": known.subject,
            "tenant": known.tenant,
            "permissions": sorted(known.permissions),
            "meetingRoles": None if known.meeting_roles is None else sorted(known.meeting_roles),
            "requestId": known.request_id,
        }

    @things.route("/hooks", methods=["POST"])
    @public("the sender's signature")
    def hook() -> dict[str, int]:
        return {"size": len(raw_body())}

    app.register_blueprint(things)
    app.register_blueprint(docs.blueprint)
    init_document(app, lambda: describe(app, [things]))
    return app
