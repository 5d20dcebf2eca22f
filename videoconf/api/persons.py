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
from videoconf.formats import camel_cased

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


class StoredInvitationSchema(Schema):
    """An invitation that names the person."""

    meeting_link = fields.String(metadata=documented("The meeting.", LINK_EXAMPLE))
    id = fields.String()
    role = fields.String()
    name = fields.String(allow_none=True)
    admission = fields.String()
    expires_on = fields.String(allow_none=True, metadata={"format": "date-time"})
    max_uses = fields.Integer(allow_none=True)
    uses = fields.Integer()
    created_on = fields.String(metadata={"format": "date-time"})


class StoredSeatSchema(Schema):
    """A place that the person had by an invitation."""

    meeting_link = fields.String(metadata=documented("The meeting.", LINK_EXAMPLE))
    name = fields.String(allow_none=True)
    created_on = fields.String(metadata={"format": "date-time"})


class StoredLobbyEntrySchema(Schema):
    """A time that the person asked to join."""

    meeting_link = fields.String(metadata=documented("The meeting.", LINK_EXAMPLE))
    id = fields.String()
    name = fields.String(allow_none=True)
    state = fields.String()
    waiting_since = fields.String(metadata={"format": "date-time"})
    answered_on = fields.String(allow_none=True, metadata={"format": "date-time"})


class StoredBanSchema(Schema):
    """A ban of the person."""

    meeting_link = fields.String(metadata=documented("The meeting.", LINK_EXAMPLE))
    id = fields.String()
    reason = fields.String(allow_none=True)
    created_on = fields.String(metadata={"format": "date-time"})


class PersonSchema(Schema):
    """The data that is stored under a person's id."""

    attendee = fields.String()
    tenant = fields.String()
    connections = fields.List(fields.Nested(StoredConnectionSchema))
    streams = fields.List(fields.Nested(StoredStreamSchema))
    invitations = fields.List(fields.Nested(StoredInvitationSchema))
    seats = fields.List(fields.Nested(StoredSeatSchema))
    lobby_entries = fields.List(fields.Nested(StoredLobbyEntrySchema))
    bans = fields.List(fields.Nested(StoredBanSchema))


class ErasureSchema(Schema):
    """What was erased."""

    connections = fields.Integer(metadata=documented("Connections that are anonymous now."))
    invitations = fields.Integer(metadata=documented("Invitations that named the person; they are revoked."))
    seats = fields.Integer(metadata=documented("Seats that were deleted."))
    lobby_entries = fields.Integer(metadata=documented("Entries of lobbies that were deleted."))
    bans = fields.Integer(metadata=documented("Bans that were lifted."))


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
    """Remove a person's id and name from all that the tenant's meetings store. It cannot be undone.

    The times of presence stay, so that attendance reports still add up. Invitations that named the person are revoked;
    their seats, lobby entries and bans are deleted. The audit trail notes it. Repeating it finds 0 connections.
    """
    return camel_cased(services().persons.erase(caller(), args["attendee"]))
