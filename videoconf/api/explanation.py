"""``/session/{meetingLinkId}/explanation``: why an attendee shows as present or absent."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from videoconf.api.authentication import caller, requires
from videoconf.api.failures import fails_with
from videoconf.api.fields import LINK_EXAMPLE, Schema, Text, UtcTime, documented
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import Blueprint
from videoconf.attendance.explain import Explanation
from videoconf.attendance.presence import Law
from videoconf.errors import ConnectionNotFound
from videoconf.formats import camel_cased

blueprint = Blueprint("explanation", __name__, tag=Tag.SESSIONS)


class ExplanationArgs(Schema):
    """Whom to explain."""

    attendee = Text(
        max_length=1000,
        min_length=1,
        required=True,
        metadata=documented("Stable id of the person, or the connection id of an anonymous participant.", "u-7"),
    )


class ConnectionExplanationSchema(Schema):
    """Why one connection counts as present or left."""

    id = fields.String(metadata=documented("The provider's id of the connection."))
    joined = UtcTime(allow_none=True)
    left = UtcTime(allow_none=True, metadata=documented("Null while connected."))
    law = fields.Enum(Law, by_value=True, metadata=documented("The law that decided."))
    evidence = fields.List(fields.String(), metadata=documented("Everything that is known, a sentence each."))
    decision = fields.String(metadata=documented("The law in words, and why no earlier one applied."))
    result = fields.String(metadata=documented("What the connection shows as, in words."))


class ExplanationSchema(Schema):
    """Why an attendee shows as present or absent."""

    meeting_link = fields.String(metadata=documented("The meeting.", LINK_EXAMPLE))
    attendee = fields.String(allow_none=True, metadata=documented("Stable id of the person; null: anonymous."))
    name = fields.String(allow_none=True, metadata=documented("Display name."))
    active = fields.Boolean(metadata=documented("Connected now."))
    explained_on = UtcTime(metadata=documented("The moment that the explanation is about."))
    result = fields.String(metadata=documented("What the attendee shows as, in words."))
    connections = fields.List(fields.Nested(ConnectionExplanationSchema))


@blueprint.route("/session/<string:meeting_link_id>/explanation", methods=["GET"])
@requires(Permission.GET_MEETING_ATTENDEES)
@blueprint.arguments(ExplanationArgs, location="query")
@blueprint.response(200, ExplanationSchema)
@fails_with(ConnectionNotFound)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.getExplanation")
def explain_attendee(args: dict[str, Any], meeting_link_id: str) -> dict[str, Any]:
    """Explain why an attendee shows as they do: the evidence, the law that decided, and the result."""
    return explanation_values(services().attendance.explain(caller(), meeting_link_id, args["attendee"]))


def explanation_values(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as it is written on the wire."""
    return {**camel_cased(vars(explanation)), "connections": [vars(one) for one in explanation.connections]}
