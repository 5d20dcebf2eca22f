"""``/persons``: export and erase what is stored under a person's id in all meetings of a tenant."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from videoconf.api.authentication import caller, requires
from videoconf.api.fields import LINK_EXAMPLE, Schema, Text, documented
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import Blueprint

blueprint = Blueprint("persons", __name__, tag=Tag.OPERATIONS)


class PersonArgs(Schema):
    """Whose data."""

    attendee = Text(
        max_length=1000, min_length=1, required=True, metadata=documented("Stable id of the person.", "u-7")
    )


class StoredConnectionSchema(Schema):
    """One connection of the person: the evidence that is stored of it."""

    meeting_link = fields.String(metadata=documented("The meeting.", LINK_EXAMPLE))
    session_id = fields.String(allow_none=True)
    connection_id = fields.String()
    name = fields.String(allow_none=True)
    first_join = fields.String(allow_none=True, metadata={"format": "date-time"})
    last_join = fields.String(allow_none=True, metadata={"format": "date-time"})
    last_leave = fields.String(allow_none=True, metadata={"format": "date-time"})
    leave_reason = fields.String(allow_none=True)
    first_activity = fields.String(allow_none=True, metadata={"format": "date-time"})
    last_evidence = fields.String(allow_none=True, metadata={"format": "date-time"})


class StoredStreamSchema(Schema):
    """One media stream of the person."""

    meeting_link = fields.String(metadata=documented("The meeting.", LINK_EXAMPLE))
    connection_id = fields.String()
    stream_id = fields.String()
    last_published = fields.String(allow_none=True, metadata={"format": "date-time"})
    last_gone = fields.String(allow_none=True, metadata={"format": "date-time"})


class PersonSchema(Schema):
    """What is stored of a person."""

    attendee = fields.String()
    tenant = fields.String()
    connections = fields.List(fields.Nested(StoredConnectionSchema))
    streams = fields.List(fields.Nested(StoredStreamSchema))


class ErasureSchema(Schema):
    """What was erased."""

    connections = fields.Integer(metadata=documented("Connections that are anonymous now."))


@blueprint.route("/persons", methods=["GET"])
@requires(Permission.MANAGE_PERSONS)
@blueprint.arguments(PersonArgs, location="query")
@blueprint.response(200, PersonSchema)
@blueprint.doc(operationId=f"{Tag.OPERATIONS}.exportPerson")
def export_person(args: dict[str, Any]) -> dict[str, Any]:
    """Export what is stored under a person's id in all meetings of the tenant. The audit trail notes it."""
    return services().persons.export(caller(), args["attendee"])


@blueprint.route("/persons", methods=["DELETE"])
@requires(Permission.MANAGE_PERSONS)
@blueprint.arguments(PersonArgs, location="query")
@blueprint.response(200, ErasureSchema)
@blueprint.doc(operationId=f"{Tag.OPERATIONS}.erasePerson")
def erase_person(args: dict[str, Any]) -> dict[str, int]:
    """Remove a person's id and name from all connections of the tenant. It cannot be undone. The audit trail notes it.

    The times of presence stay, so that attendance reports still add up. Repeating it finds 0 connections.
    """
    return {"connections": services().persons.erase(caller(), args["attendee"])}
